/**
 * The leader's part in checkpoints: from time to time it puts one into the log, reads from its own disk what
 * came since the last one, and says in a second command what everybody should be now.
 *
 * A new leader finishes what the last one left: a checkpoint without a claim.
 */
import { assert } from '../../base/assert.ts';
import type { LogIndex } from '../../base/units.ts';
import { LogIndex as Index } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import { type Command, encodeCommandRecord } from '../../protocol/command-record.ts';
import type { Checkpoint } from '../../store/derived/checkpoint-table.ts';
import type { CommittedEntry, RecordResult } from '../../store/derived/derived-state.ts';
import type { LogDamage } from '../../store/scrub/log-on-disk.ts';
import { rangeDigest } from '../../store/scrub/range-digest.ts';
import type { Replica } from '../replica.ts';
import { CLAIM_BYTES_PER_SECOND_MAX, CLAIM_RANGE_SIZE_BYTES_MAX } from './limits.ts';

export interface CheckpointLimits {
  readonly records: number;
  readonly sizeBytes: number;
}

export interface CheckpointProposerOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly limits: CheckpointLimits;
  readonly onDamage: (damage: LogDamage) => void;
  /** The claim is in the log and applied here. */
  readonly onClaimed: (index: LogIndex) => void;
  /** The disk, or a bug. */
  readonly onFatal: (error: unknown) => void;
}

export class CheckpointProposer {
  readonly #options: CheckpointProposerOptions;
  readonly #stopping = new AbortController();
  /** Applied since the last checkpoint, as far as this process has seen it. */
  #since = { records: 0, sizeBytes: 0 };
  /** One at a time. Never rejects. */
  #claiming: Promise<void> | null = null;

  constructor(options: CheckpointProposerOptions) {
    this.#options = options;
    const { replica } = options;
    replica.onApplied((entry, results) => this.#onApplied(entry, results));
    replica.onLeadership((leadership) => {
      if (leadership !== null) this.#finishLast();
    });
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#claiming ?? Promise.resolve();
  }

  /**
   * Puts a checkpoint into the log now, and lets a claim follow in the background.
   * @returns the entry before it; null when this node does not lead, or no longer
   */
  async checkpoint(): Promise<LogIndex | null> {
    const { replica, clock } = this.#options;
    if (replica.leadership() === null || this.#stopping.signal.aborted) return null;
    this.#since = { records: 0, sizeBytes: 0 };
    const result = await this.#propose({ kind: 'checkpoint', atMs: clock.wallMs() });
    if (result === null) return null;
    assert(result.kind === 'checkpointMarked', 'a checkpoint has its own result');
    this.#claimSoon(result.index);
    return result.index;
  }

  #onApplied({ payload }: CommittedEntry, results: readonly RecordResult[]): void {
    const { replica, limits, onFatal } = this.#options;
    if (results.some(({ kind }) => kind === 'checkpointMarked')) {
      this.#since = { records: 0, sizeBytes: 0 };
      return;
    }
    this.#since.records += results.length;
    this.#since.sizeBytes += payload.length;
    const { records, sizeBytes } = this.#since;
    if (records < limits.records && sizeBytes < limits.sizeBytes) return;
    if (replica.leadership() === null || this.#claiming !== null) return;
    this.checkpoint().catch(onFatal);
  }

  #finishLast(): void {
    const last = this.#options.replica.state.checkpoints().at(-1);
    if (last !== undefined && last.claim === null) this.#claimSoon(last.index);
  }

  #claimSoon(index: LogIndex): void {
    const { onFatal } = this.#options;
    this.#claiming = (this.#claiming ?? Promise.resolve())
      .then(() => this.#claim(index))
      .catch(onFatal);
    const claiming = this.#claiming;
    void claiming.then(() => {
      if (this.#claiming === claiming) this.#claiming = null;
    });
  }

  async #claim(index: LogIndex): Promise<void> {
    const { replica, clock, onDamage, onClaimed } = this.#options;
    const { signal } = this.#stopping;
    const all = replica.state.checkpoints();
    const own = all.find((each) => each.index === index);
    const headerCrc = replica.log.headerCrcAt(index);
    // Forgotten meanwhile, said by somebody else, or the log no longer reaches back so far.
    if (own === undefined || own.claim !== null || headerCrc === null) return;
    const from = this.#firstIndexOf(index, all);
    const read = { from, to: index, bytesPerSecondMax: CLAIM_BYTES_PER_SECOND_MAX, signal };
    const range = await rangeDigest(replica.log.onDisk, clock, read);
    if (range.kind === 'damaged') for (const damage of range.damages) onDamage(damage);
    if (range.kind !== 'digest' || replica.leadership() === null) return;
    const digests = { stateDigest: own.digest, rangeDigest: range.digest };
    const command = { kind: 'checkpointClaim', index, headerCrc, firstIndex: from } as const;
    const result = await this.#propose({ ...command, ...digests });
    if (result !== null && !signal.aborted) onClaimed(index);
  }

  /** Behind the checkpoint before, unless that is too much, or gone. */
  #firstIndexOf(index: LogIndex, all: readonly Checkpoint[]): LogIndex {
    const { onDisk } = this.#options.replica.log;
    const before = all.findLast((each) => each.index < index)?.index ?? Index(0);
    let sizeBytes = 0;
    let firstIndex = index;
    for (const extent of onDisk.segments().toReversed()) {
      if (extent.firstIndex > index) continue;
      sizeBytes += extent.sizeBytes;
      if (sizeBytes > CLAIM_RANGE_SIZE_BYTES_MAX) break;
      firstIndex = Index(Math.max(extent.firstIndex, before + 1));
      if (extent.firstIndex <= before + 1) break;
    }
    return Index(Math.min(firstIndex, index));
  }

  /** @returns null when it is not in the log, or may not be: the next leader goes on */
  async #propose(command: Command): Promise<RecordResult | null> {
    const { replica } = this.#options;
    const records = encodeCommandRecord(command);
    const outcome = await replica.propose({ records, messageRecordAt: [] });
    if (outcome.kind !== 'applied') return null;
    const [result] = outcome.results;
    assert(result !== undefined, 'a record has a result');
    return result;
  }
}
