/**
 * The giving side: offers the newest snapshot to a peer that needs one, says how it went, and serves
 * chunks at a bounded rate to whoever reads.
 */
import { CorruptionError } from '../../base/errors.ts';
import type { NodeId, Term } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { SnapshotAsk, SnapshotOffer, SnapshotRead } from '../../protocol/snapshot-codec.ts';
import type { SnapshotDesc } from '../../raft/entry.ts';
import type { CommitLog } from '../../store/commit-log.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import { isSameSnapshot, type SnapshotInfo } from '../../store/snapshots/snapshot-info.ts';
import { ByteRate } from '../byte-rate.ts';
import { callerOf, readerProblem } from './caller-check.ts';
import { CHUNK_MS_MAX, OFFER_MS_MIN, type SnapshotLimits } from './limits.ts';
import type { Answer, PeerAddress, SnapshotPort } from './snapshot-port.ts';

export interface SnapshotSenderOptions {
  readonly log: Pick<CommitLog, 'identity' | 'recovered' | 'base'>;
  readonly files: SnapshotFiles;
  readonly port: SnapshotPort;
  readonly clock: Clock;
  readonly limits: SnapshotLimits;
  readonly term: () => Term;
  /** null: nobody knows where it can be called. */
  readonly addressOf: (peer: NodeId) => PeerAddress | null;
  /** The peer has it; `base` is what its log will stand on. */
  readonly onSent: (peer: NodeId, base: SnapshotDesc) => void;
  readonly onFailed: (peer: NodeId) => void;
  readonly onEvent: (event: SenderEvent) => void;
  readonly onFatal: (error: unknown) => void;
}

export type SenderEvent =
  | {
      readonly kind: 'snapshotOffered';
      readonly to: NodeId;
      readonly index: number;
      readonly chunkCount: number;
    }
  | { readonly kind: 'snapshotGiven'; readonly to: NodeId; readonly index: number }
  | {
      readonly kind: 'snapshotNotGiven';
      readonly to: NodeId;
      readonly index: number | null;
      readonly why: string;
    };

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #rate: ByteRate;
  readonly #sending = new Map<NodeId, Promise<void>>();
  #closed = false;
  sentSizeBytes = 0;

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
    this.#rate = new ByteRate(options.clock, options.limits.bytesPerSecondMax);
  }

  /** To how many peers one is on its way. */
  get sendingCount(): number {
    return this.#sending.size;
  }

  /** Ends in bounded time, in `onSent` or `onFailed`. One to a peer at a time: the one under way will do. */
  send(to: NodeId): void {
    if (this.#closed || this.#sending.has(to)) return;
    const sending = this.#send(to)
      .catch(this.#options.onFatal)
      .finally(() => this.#sending.delete(to));
    this.#sending.set(to, sending);
  }

  async read({ caller, snapshot, number }: SnapshotRead): Promise<Answer<Uint8Array>> {
    const { files, log } = this.#options;
    const problem = readerProblem(caller, log);
    if (problem !== null) return { kind: 'failed', why: problem };
    const info = files.at(snapshot.appliedIndex);
    if (info === null || !isSameSnapshot(info, snapshot)) return { kind: 'gone' };
    const release = files.hold(info.appliedIndex);
    try {
      const chunk = await files.readChunk(info.appliedIndex, number);
      if (!(await this.#rate.take(chunk.length))) return { kind: 'gone' };
      this.sentSizeBytes += chunk.length;
      return { kind: 'answer', value: chunk };
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      await files.setAside(info.appliedIndex, error.message);
      return { kind: 'gone' };
    } finally {
      release();
    }
  }

  newest({ caller }: SnapshotAsk): Answer<SnapshotOffer> {
    const { files, log } = this.#options;
    const problem = readerProblem(caller, log);
    if (problem !== null) return { kind: 'failed', why: problem };
    const info = files.newest;
    if (info === null) return { kind: 'gone' };
    return { kind: 'answer', value: this.#offerOf(info, caller.nodeId as NodeId) };
  }

  /** Resolves when nobody reads from here any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#rate.close();
    await Promise.all(this.#sending.values());
  }

  async #send(to: NodeId): Promise<void> {
    const { files, log, port, addressOf, onSent, onEvent } = this.#options;
    const address = addressOf(to);
    const info = files.newest;
    const base = log.base.desc;
    if (address === null) return this.#fail(to, info, 'it has no address');
    // A log that was compacted has a snapshot; unless it was damaged since, and then there will be one.
    if (info === null || base === null || info.logStart.index <= base.last.index) {
      return this.#fail(to, info, 'there is no snapshot that fits the log');
    }
    const offer = this.#offerOf(info, to);
    const release = files.hold(info.appliedIndex);
    const { appliedIndex: index, chunkCount } = info;
    onEvent({ kind: 'snapshotOffered', to, index, chunkCount });
    try {
      const timeoutMs = OFFER_MS_MIN + chunkCount * CHUNK_MS_MAX;
      const answer = await port.offer(address, offer, timeoutMs);
      if (this.#closed) return;
      if (answer.kind !== 'answer') {
        return this.#fail(to, info, answer.kind === 'gone' ? 'it was gone' : answer.why);
      }
      onEvent({ kind: 'snapshotGiven', to, index });
      onSent(to, base);
    } finally {
      release();
    }
  }

  #fail(to: NodeId, info: SnapshotInfo | null, why: string): void {
    if (this.#closed) return;
    const index = info?.appliedIndex ?? null;
    this.#options.onEvent({ kind: 'snapshotNotGiven', to, index, why });
    this.#options.onFailed(to);
  }

  #offerOf(snapshot: SnapshotInfo, to: NodeId): SnapshotOffer {
    const { log, term } = this.#options;
    return { caller: callerOf(log, to), term: term(), snapshot, base: log.base };
  }
}
