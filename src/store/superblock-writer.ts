/**
 * Keeps the superblock that was handed over last, and writes each update to both slots, one after the
 * other, each alone in its sync (superblock.ts says why). Order with entries is the order of the lane.
 */
import type { WriteBatch, WriterFile } from '../io/disk.ts';
import { encodeSuperblock, SLOT_COUNT, SLOT_SIZE_BYTES, type Superblock } from './superblock.ts';

export type SuperblockChange = Partial<
  Pick<Superblock, 'hardState' | 'bootCount' | 'commitHint' | 'cleanEnd' | 'peers'>
>;

export class SuperblockWriter {
  readonly #file: WriterFile;
  readonly #submit: (batch: WriteBatch) => void;
  #current: Superblock;

  constructor(file: WriterFile, current: Superblock, submit: (batch: WriteBatch) => void) {
    this.#file = file;
    this.#current = current;
    this.#submit = submit;
  }

  /** As handed over last; not necessarily durable yet. */
  get current(): Superblock {
    return this.#current;
  }

  update(change: SuperblockChange, onDurable: () => void): void {
    this.#current = { ...this.#current, ...change, sequence: this.#current.sequence + 1 };
    const bytes = encodeSuperblock(this.#current);
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      this.#submit({
        writes: [{ file: this.#file, position: slot * SLOT_SIZE_BYTES, bytes }],
        sync: 'alone',
        note: null,
        onDone: slot === SLOT_COUNT - 1 ? onDurable : () => {},
      });
    }
  }
}
