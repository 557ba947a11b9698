/** The superblock of a log under repair: what has to change in it, durable before whatever relies on it. */
import type { Term } from '../../base/units.ts';
import type { Superblock } from '../superblock.ts';

export class KeptSuperblock {
  #current: Superblock;
  readonly #write: (superblock: Superblock) => Promise<void>;

  /** @param write durable when it resolves */
  constructor(superblock: Superblock, write: (superblock: Superblock) => Promise<void>) {
    this.#current = superblock;
    this.#write = write;
  }

  get current(): Superblock {
    return this.#current;
  }

  /** The term of an entry is durable before it, as with every other write (H7). */
  async learnTerm(term: Term): Promise<void> {
    if (term <= this.#current.hardState.term) return;
    await this.#replace({ hardState: { term, votedFor: null } });
  }

  /** It spoke of entries that were never committed, or that are not here any more. */
  async forgetCleanEnd(): Promise<void> {
    if (this.#current.cleanEnd === null) return;
    await this.#replace({ cleanEnd: null });
  }

  async #replace(change: Partial<Pick<Superblock, 'hardState' | 'cleanEnd'>>): Promise<void> {
    this.#current = { ...this.#current, ...change, sequence: this.#current.sequence + 1 };
    await this.#write(this.#current);
  }
}
