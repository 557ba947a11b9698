/**
 * Verifies one replica while it serves: reads its whole log from the device, says what it is at the last
 * checkpoints, and derives its state again to compare it. Finds and tells; what follows from damage is decided
 * by damage-response.ts, which hears of it too.
 */
import { CorruptionError } from '../../base/errors.ts';
import { advance, LogIndex } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type {
  NodeStanding,
  VerifiedLog,
  VerifiedState,
  VerifyProgress,
  VerifyRun,
  VerifyVerdict,
} from '../../protocol/verify-codec.ts';
import { EntriesGone } from '../../store/commit-log.ts';
import { type KvStore, ViewRevoked } from '../../store/derived/kv-store.ts';
import { type Rederived, type RederiveFrom, rederive } from '../../store/derived/rederive.ts';
import { SCRUB_READ_SIZE_BYTES } from '../../store/scrub/limits.ts';
import { damageText, type LogDamage } from '../../store/scrub/log-on-disk.ts';
import { pause } from '../../store/scrub/pause.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import type { Standing } from '../checkpoints/divergence.ts';
import type { Replica } from '../replica.ts';
import {
  CHECKPOINT_POLL_MS,
  CHECKPOINT_WAIT_MS_MAX,
  DAMAGES_TOLD_MAX,
  PROGRESS_INTERVAL_MS,
} from './limits.ts';

/** An empty database, thrown away afterwards; or the reason for none, in words. */
export type WithScratch = <T>(work: (store: KvStore) => Promise<T>) => Promise<T | string>;

export interface VerifyParts {
  readonly replica: Pick<Replica, 'log' | 'state'>;
  readonly clock: Clock;
  /** null: a replica whose log loses nothing. */
  readonly snapshots: Pick<SnapshotFiles, 'all' | 'hold' | 'chunks'> | null;
  readonly standingAt: (index: LogIndex) => Standing | null;
  readonly withScratch: WithScratch;
  readonly onDamage: (damage: LogDamage) => void;
}

/** Whoever asked has gone away, or this node stops. */
export class VerifyStopped extends Error {
  override readonly name = 'VerifyStopped';
}

export async function verifyReplica(
  parts: VerifyParts,
  run: VerifyRun,
  onProgress: (progress: VerifyProgress) => void,
  signal: AbortSignal,
): Promise<VerifyVerdict> {
  const verifier = new Verifier(parts, run, onProgress, signal);
  await verifier.waitForCheckpoint();
  const log = await verifier.verifyLog();
  const state = await verifier.verifyState(log);
  const { nodeId, storeUuid } = parts.replica.log.identity;
  return { nodeId, storeUuid, log, standings: verifier.standings(), state };
}

class Verifier {
  readonly #parts: VerifyParts;
  readonly #run: VerifyRun;
  readonly #onProgress: (progress: VerifyProgress) => void;
  readonly #signal: AbortSignal;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    parts: VerifyParts,
    run: VerifyRun,
    onProgress: (progress: VerifyProgress) => void,
    signal: AbortSignal,
  ) {
    this.#parts = parts;
    this.#run = run;
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  async waitForCheckpoint(): Promise<void> {
    const { clock, replica } = this.#parts;
    const { checkpointIndex } = this.#run;
    if (checkpointIndex === null) return;
    const deadlineMs = clock.monotonicMs() + CHECKPOINT_WAIT_MS_MAX;
    // The checkpoint itself is the entry behind.
    while (replica.state.appliedIndex <= checkpointIndex && clock.monotonicMs() < deadlineMs) {
      if (!(await pause(clock, CHECKPOINT_POLL_MS, this.#signal))) throw new VerifyStopped();
    }
  }

  /** From the first entry on, so that what is good is a stretch. */
  async verifyLog(): Promise<VerifiedLog> {
    const { onDisk } = this.#parts.replica.log;
    const extents = onDisk.segments();
    const total = extents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const firstIndex = extents[0]?.firstIndex ?? LogIndex(1);
    let goodIndex = LogIndex(firstIndex - 1);
    let [readBytes, damageCount, isFromDevice] = [0, 0, true];
    const damages: string[] = [];
    for (const extent of extents) {
      for (let next = extent.firstIndex; next <= extent.lastIndex; ) {
        const outcome = await onDisk.check(next, extent.lastIndex, SCRUB_READ_SIZE_BYTES);
        // Cut by a new leader, or retired: nothing of it is left to be judged.
        if (outcome.kind === 'gone') break;
        readBytes += outcome.sizeBytes;
        if (outcome.kind === 'good') isFromDevice &&= outcome.isFromDevice;
        else {
          // Before the first damage all was good.
          const [first] = outcome.damages;
          if (damageCount === 0 && first !== undefined) goodIndex = LogIndex(first.index - 1);
          damageCount += outcome.damages.length;
          for (const damage of outcome.damages) {
            this.#parts.onDamage(damage);
            if (damages.length < DAMAGES_TOLD_MAX) damages.push(damageText(damage));
          }
        }
        if (damageCount === 0) goodIndex = outcome.lastIndex;
        next = advance(outcome.lastIndex, 1);
        this.#tell({ phase: 'log', done: readBytes, total });
        await this.#breathe(outcome.sizeBytes);
      }
    }
    const lastIndex = extents.at(-1)?.lastIndex ?? goodIndex;
    return { firstIndex, goodIndex, lastIndex, readBytes, isFromDevice, damageCount, damages };
  }

  async verifyState(log: VerifiedLog): Promise<VerifiedState> {
    const { replica } = this.#parts;
    const skipped = (why: string): VerifiedState => {
      const counts = { rowCount: 0, differenceCount: 0 };
      return { outcome: 'skipped', index: replica.state.appliedIndex, ...counts, details: [why] };
    };
    if (this.#run.skipsDerived) return skipped('as asked');
    if (log.damageCount > 0)
      return skipped('the log is damaged: there is nothing to derive it from');
    if (replica.state.appliedIndex === 0) return skipped('nothing is applied yet');
    const result = await this.#rederived();
    if (typeof result === 'string') return skipped(result);
    const { index, rowCount, differenceCount, differences } = result;
    const outcome = differenceCount === 0 ? 'same' : 'differs';
    return { outcome, index, rowCount, differenceCount, details: differences };
  }

  /** @returns why it could not be done, in words, or what came of it */
  async #rederived(): Promise<Rederived | string> {
    const { replica, withScratch, snapshots } = this.#parts;
    const source = this.#source();
    if (typeof source === 'string') return source;
    const release = source === null ? null : snapshots?.hold(source.appliedIndex);
    try {
      return await withScratch((scratch) =>
        rederive({
          log: replica.log,
          live: replica.state,
          from: source,
          scratch,
          onProgress: (progress) => this.#tell(progress),
          breathe: (sizeBytes) => this.#breathe(sizeBytes),
        }),
      );
    } catch (error) {
      // Retention took the first entries, rot came, or a snapshot took the place of the state meanwhile.
      const isExpected =
        error instanceof EntriesGone ||
        error instanceof CorruptionError ||
        error instanceof ViewRevoked;
      if (!isExpected) throw error;
      return error.message;
    } finally {
      release?.();
    }
  }

  /**
   * The oldest snapshot that the log can be read from: then the most is derived again. It is our own, or was
   * verified when it came, and its digest is that of the group.
   *
   * @returns null: the log has everything; why there is none, in words
   */
  #source(): RederiveFrom | null | string {
    const { replica, snapshots } = this.#parts;
    const { desc } = replica.log.base;
    if (desc === null) return null;
    const usable = snapshots?.all.find(({ appliedIndex, logStart }) => {
      return logStart.index > desc.last.index && appliedIndex <= replica.state.appliedIndex;
    });
    if (snapshots === null || usable === undefined) {
      return `the log begins behind entry ${desc.last.index}, and no snapshot here reaches back to it`;
    }
    const { appliedIndex } = usable;
    return { appliedIndex, chunks: () => snapshots.chunks(appliedIndex) };
  }

  standings(): readonly NodeStanding[] {
    const { replica, standingAt } = this.#parts;
    return replica.state.checkpoints().flatMap(({ index }) => {
      const standing = standingAt(index);
      return standing === null ? [] : [{ index, ...standing }];
    });
  }

  #tell(progress: VerifyProgress): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#toldAtMs < PROGRESS_INTERVAL_MS) return;
    this.#toldAtMs = nowMs;
    this.#onProgress(progress);
  }

  /** At least a turn of the event loop. */
  async #breathe(sizeBytes: number): Promise<void> {
    const { bytesPerSecond } = this.#run;
    const waitMs = bytesPerSecond === null ? 0 : (sizeBytes * 1_000) / bytesPerSecond;
    if (!(await pause(this.#parts.clock, waitMs, this.#signal))) throw new VerifyStopped();
  }
}
