/**
 * Gives backups away: committed entries and a snapshot that goes with them, at a bounded rate, while this replica
 * serves (docs/operations-backup.md). What is being read stays, for a bounded time (log-pins.ts).
 *
 * Nothing that is not committed ever leaves here.
 */
import { concatBytes } from '../../base/bytes.ts';
import { CorruptionError } from '../../base/errors.ts';
import { advance, LogIndex } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import {
  type BackupBegin,
  type BackupMark,
  type BackupNode,
  BackupNodeFailure,
  type BackupOffer,
  type EntriesPull,
  type SnapshotPull,
} from '../../protocol/backup.ts';
import { CHAIN_SEED } from '../../protocol/entry-codec.ts';
import type { OfferedSnapshot } from '../../protocol/snapshot-codec.ts';
import type { RaftCore } from '../../raft/raft-core.ts';
import { type CommitLog, EntriesGone } from '../../store/commit-log.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import { isSameSnapshot, type SnapshotInfo } from '../../store/snapshots/snapshot-info.ts';
import { ByteRate } from '../byte-rate.ts';
import { Pauses } from '../pauses.ts';
import type { ReadOutcome } from '../replica.ts';
import type { BackupServiceEvent } from './backup-event.ts';
import {
  BACKUP_BYTES_PER_SECOND_MAX,
  BACKUP_CHUNK_SIZE_BYTES,
  COMMIT_WAIT_MS,
  POLL_MS,
  SNAPSHOT_WAIT_MS,
} from './limits.ts';
import type { LogPins } from './log-pins.ts';

export interface BackupDeskOptions {
  readonly log: Pick<
    CommitLog,
    'identity' | 'base' | 'segmentStarts' | 'headerCrcAt' | 'readEntries'
  >;
  readonly core: Pick<RaftCore, 'commitIndex' | 'termAt' | 'membershipAt'>;
  readonly files: Pick<SnapshotFiles, 'newest' | 'at' | 'hold' | 'readChunk'>;
  readonly pins: LogPins;
  readonly clock: Clock;
  readonly version: string;
  readonly bytesPerSecondMax?: number;
  /** Derived state is behind the log: this replica has to get well first. */
  readonly isHelpless: () => boolean;
  readonly wantSnapshot: () => void;
  /** Of the leader; whoever does not lead rejects. */
  readonly readBarrier: () => Promise<ReadOutcome>;
  readonly onEvent: (event: BackupServiceEvent) => void;
}

export class BackupDesk implements BackupNode {
  readonly #options: BackupDeskOptions;
  readonly #rate: ByteRate;
  readonly #pauses: Pauses;
  /** Reads of log and snapshots that have not ended. */
  readonly #reading = new Set<Promise<unknown>>();
  sentSizeBytes = 0;

  constructor(options: BackupDeskOptions) {
    this.#options = options;
    const { clock, bytesPerSecondMax = BACKUP_BYTES_PER_SECOND_MAX } = options;
    this.#rate = new ByteRate(clock, bytesPerSecondMax);
    this.#pauses = new Pauses(clock);
  }

  get name(): string {
    return this.#options.log.identity.nodeId;
  }

  async mark(): Promise<BackupMark> {
    const { log, readBarrier } = this.#options;
    const { clusterId, groupId, nodeId } = log.identity;
    const outcome = await readBarrier();
    const committedIndex = outcome.kind === 'ok' ? outcome.index : null;
    return { clusterId, groupId, nodeId, committedIndex };
  }

  async begin({ holder, firstIndex, snapshot }: BackupBegin): Promise<BackupOffer> {
    const { log, core, files, pins, version, onEvent, isHelpless } = this.#options;
    if (isHelpless()) throw refused('it is being brought up to the log by a snapshot itself');
    const info = this.#held(snapshot) ?? (await this.#fitting());
    const cut = log.segmentStarts().findLast((start) => start.firstIndex <= info.logStart.index);
    const baseIndex = LogIndex((cut?.firstIndex ?? 1) - 1);
    const from = firstIndex === 0 ? advance(baseIndex, 1) : LogIndex(firstIndex);
    this.#requireKept(from);
    const term = core.termAt(baseIndex);
    const headerCrc = baseIndex === 0 ? CHAIN_SEED : log.headerCrcAt(baseIndex);
    if (cut === undefined || typeof term !== 'number' || headerCrc === null) {
      throw refused('its snapshot and its log do not fit together at this moment');
    }
    const foundation = core.membershipAt(baseIndex);
    const { physicalOffset: endOffset } = cut;
    const last = { term, index: baseIndex };
    const desc = baseIndex === 0 ? null : { last, endOffset, membership: foundation };
    const release = files.hold(info.appliedIndex);
    const problem = pins.hold(holder, from, release);
    if (problem !== null) {
      release();
      throw refused(problem);
    }
    onEvent({ kind: 'backupBegun', holder, firstIndex: from });
    const { clusterId, groupId, nodeId, segmentSizeBytes } = log.identity;
    return {
      ...{ clusterId, groupId, nodeId, segmentSizeBytes, version },
      ...{ base: { desc, headerCrc }, snapshot: info, foundation },
      committedIndex: core.commitIndex,
    };
  }

  async *snapshotChunks({ holder, snapshot, number, bytesPerSecond }: SnapshotPull) {
    const { files, pins } = this.#options;
    const rate = this.#rateOf(bytesPerSecond);
    for (let next = number; next < snapshot.chunkCount; next++) {
      if (this.#held(snapshot) === null) throw gone('it has another snapshot by now');
      pins.moveTo(holder, LogIndex(0));
      const chunk = await this.#sound(() => files.readChunk(snapshot.appliedIndex, next));
      await this.#take(rate, chunk.length);
      yield chunk;
    }
  }

  async *entries(pull: EntriesPull) {
    const { log, core, pins, onEvent } = this.#options;
    const { holder, bytesPerSecond, prevHeaderCrc } = pull;
    const rate = this.#rateOf(bytesPerSecond);
    const first = LogIndex(pull.firstIndex);
    this.#requireKept(first);
    const known = log.headerCrcAt(LogIndex(first - 1));
    if (first > 1 && known !== prevHeaderCrc) {
      throw refused(`its entry ${first - 1} is another one than that of this backup`);
    }
    for (let next = first; next <= pull.lastIndex; ) {
      await this.#committed(next);
      const to = LogIndex(Math.min(core.commitIndex, pull.lastIndex));
      const entries = await this.#sound(() => log.readEntries(next, to, BACKUP_CHUNK_SIZE_BYTES));
      const bytes = concatBytes(entries.map((entry) => entry.bytes));
      await this.#take(rate, bytes.length);
      next = advance(next, entries.length);
      pins.moveTo(holder, next);
      yield bytes;
    }
    onEvent({ kind: 'backupGiven', holder, lastIndex: pull.lastIndex });
  }

  /** Whoever is still being given something gets an end. Nothing is read any more when it resolves. */
  async close(): Promise<void> {
    this.#rate.close();
    this.#pauses.close();
    this.#options.pins.close();
    await Promise.allSettled(this.#reading);
  }

  #held(snapshot: OfferedSnapshot | null): SnapshotInfo | null {
    if (snapshot === null) return null;
    const info = this.#options.files.at(snapshot.appliedIndex);
    return info !== null && isSameSnapshot(info, snapshot) ? info : null;
  }

  /** The newest snapshot; a young group has none yet, and takes one now. */
  async #fitting(): Promise<SnapshotInfo> {
    const { files, log, clock, wantSnapshot } = this.#options;
    const untilMs = clock.monotonicMs() + SNAPSHOT_WAIT_MS;
    for (let isFirst = true; ; isFirst = false) {
      const { newest } = files;
      const baseIndex = log.base.desc?.last.index ?? 0;
      if (newest !== null && newest.logStart.index > baseIndex) return newest;
      if (isFirst) wantSnapshot();
      if (clock.monotonicMs() > untilMs || !(await this.#pauses.wait(POLL_MS))) {
        throw refused('it has no snapshot that fits its log');
      }
    }
  }

  async #committed(index: LogIndex): Promise<void> {
    const { core, clock } = this.#options;
    const untilMs = clock.monotonicMs() + COMMIT_WAIT_MS;
    while (core.commitIndex < index) {
      if (clock.monotonicMs() > untilMs || !(await this.#pauses.wait(POLL_MS))) {
        throw refused(`it knows entry ${core.commitIndex} as committed, not entry ${index}`);
      }
    }
  }

  #requireKept(from: LogIndex): void {
    const baseIndex = this.#options.log.base.desc?.last.index ?? 0;
    if (from <= baseIndex) throw gone(`its log begins with entry ${baseIndex + 1}`);
  }

  #rateOf(bytesPerSecond: number): ByteRate | null {
    return bytesPerSecond === 0 ? null : new ByteRate(this.#options.clock, bytesPerSecond);
  }

  async #take(own: ByteRate | null, sizeBytes: number): Promise<void> {
    const mayGo = (await this.#rate.take(sizeBytes)) && (await (own?.take(sizeBytes) ?? true));
    if (!mayGo || this.#pauses.closed) throw refused('it stops');
    this.sentSizeBytes += sizeBytes;
  }

  async #sound<T>(read: () => Promise<T>): Promise<T> {
    if (this.#pauses.closed) throw refused('it stops');
    const reading = read();
    this.#reading.add(reading);
    try {
      return await reading;
    } catch (error) {
      if (error instanceof EntriesGone) throw gone(error.message);
      if (!(error instanceof CorruptionError)) throw error;
      this.#options.onEvent({ kind: 'backupSourceRotten', problem: error.message });
      throw refused(`it has damage: ${error.message}`);
    } finally {
      this.#reading.delete(reading);
    }
  }
}

function gone(why: string): BackupNodeFailure {
  return new BackupNodeFailure('gone', why);
}

function refused(why: string): BackupNodeFailure {
  return new BackupNodeFailure('refused', why);
}
