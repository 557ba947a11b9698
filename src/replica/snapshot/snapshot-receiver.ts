/**
 * The receiving side: pulls the chunks of a snapshot, one after the other, each checked as it comes, and
 * goes on where it was left: after a break, a restart, or with another sender that has the same snapshot.
 * One at a time; a leader's offer takes the place of anything else.
 */
import { CorruptionError, FatalError } from '../../base/errors.ts';
import { DiskError, isOutOfSpace } from '../../io/disk.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import { isSameSnapshot, type SnapshotInfo } from '../../store/snapshots/snapshot-info.ts';
import { type CallingLog, callerOf } from './caller-check.ts';
import type { Answer, PeerAddress, SnapshotPort } from './snapshot-port.ts';

export interface SnapshotReceiverOptions {
  readonly log: CallingLog;
  readonly files: SnapshotFiles;
  readonly port: SnapshotPort;
  readonly onEvent: (event: ReceiverEvent) => void;
}

export type ReceiverEvent =
  | {
      readonly kind: 'snapshotPulling';
      readonly from: string;
      readonly index: number;
      readonly chunkCount: number;
      readonly chunksHere: number;
    }
  | {
      readonly kind: 'snapshotPulled';
      readonly from: string;
      readonly index: number;
      readonly sizeBytes: number;
    };

/** What is on its way to us. */
export interface PullProgress {
  readonly info: SnapshotInfo;
  readonly from: string;
  readonly chunksHere: number;
}

interface Pull extends PullProgress {
  chunksHere: number;
  isGivenUp: boolean;
  readonly done: Promise<Answer<null>>;
}

export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  #pull: Pull | null = null;
  #closed = false;
  receivedSizeBytes = 0;

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
  }

  get progress(): PullProgress | null {
    return this.#pull;
  }

  /**
   * Resolves when all of it is here, durable and verified; or with the reason why not, and then what has
   * come is kept for the next time.
   *
   * @throws FatalError when the disk fails
   */
  async pull(from: PeerAddress, info: SnapshotInfo): Promise<Answer<null>> {
    const { files } = this.#options;
    const known = files.at(info.appliedIndex);
    if (known !== null && isSameSnapshot(known, info)) return { kind: 'answer', value: null };
    while (this.#pull !== null) {
      const running = this.#pull;
      if (isSameSnapshot(running.info, info)) return running.done;
      running.isGivenUp = true;
      await running.done;
    }
    if (this.#closed) return { kind: 'failed', why: 'this node stops' };
    const pull: Pull = {
      ...{ info, from: from.nodeId, chunksHere: 0, isGivenUp: false },
      done: this.#pullAll(from, info, () => pull).finally(() => {
        this.#pull = null;
      }),
    };
    this.#pull = pull;
    return pull.done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#pull === null) return;
    this.#pull.isGivenUp = true;
    await this.#pull.done;
  }

  async #pullAll(from: PeerAddress, info: SnapshotInfo, self: () => Pull): Promise<Answer<null>> {
    try {
      return await this.#pullChunks(from, info, self);
    } catch (error) {
      if (isOutOfSpace(error)) return { kind: 'failed', why: error.message };
      if (error instanceof CorruptionError) return { kind: 'failed', why: error.message };
      if (!(error instanceof DiskError)) throw error;
      throw new FatalError('diskFailed', error.message, { cause: error });
    }
  }

  async #pullChunks(
    from: PeerAddress,
    info: SnapshotInfo,
    self: () => Pull,
  ): Promise<Answer<null>> {
    const { files, port, log, onEvent } = this.#options;
    const { appliedIndex: index, chunkCount } = info;
    let sizeBytes = 0;
    const chunksHere = await files.beginPart(info);
    self().chunksHere = chunksHere;
    onEvent({ kind: 'snapshotPulling', from: from.nodeId, index, chunkCount, chunksHere });
    for (let number = chunksHere; number < chunkCount; number++) {
      if (self().isGivenUp) return { kind: 'failed', why: 'another snapshot took its place' };
      const caller = callerOf(log, from.nodeId);
      const answer = await port.read(from, { caller, snapshot: info, number });
      if (answer.kind !== 'answer') return answer;
      await files.writePart(info, number, answer.value);
      sizeBytes += answer.value.length;
      this.receivedSizeBytes += answer.value.length;
      self().chunksHere = number + 1;
    }
    await files.finishPart(info);
    onEvent({ kind: 'snapshotPulled', from: from.nodeId, index, sizeBytes });
    return { kind: 'answer', value: null };
  }
}
