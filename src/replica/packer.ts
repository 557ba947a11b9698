/**
 * Natural batching: whatever queued up while the previous log write ran becomes the next entry. There
 * are no timers; a proposal that comes alone goes alone.
 */
import { assert } from '../base/assert.ts';
import { crc32 } from '../base/crc32.ts';
import type { Proposal, ProposeResult } from '../raft/effects.ts';
import type { RaftCore } from '../raft/raft-core.ts';
import { packPayload } from './entry-packer.ts';
import type { Batch, Proposals } from './proposals.ts';

export interface PackerOptions {
  readonly core: RaftCore;
  readonly proposals: Proposals;
  readonly mayServe: () => boolean;
  /** Leadership is being handed over: what is queued waits for the end of that. */
  readonly isTransferring: () => boolean;
  /** Whether the log takes another write now. */
  readonly logIsFree: () => boolean;
  /** Steps the core; its answer comes to `onResult` before this returns. */
  readonly propose: (proposal: Proposal, payload: Uint8Array) => void;
}

export class Packer {
  readonly #options: PackerOptions;
  #batchInCore: Batch | null = null;
  entryCount = 0;
  recordCount = 0;
  payloadSizeBytes = 0;

  constructor(options: PackerOptions) {
    this.#options = options;
  }

  pack(): void {
    const { proposals, mayServe, logIsFree, isTransferring } = this.#options;
    while (proposals.queuedCount > 0 && mayServe() && logIsFree() && !isTransferring()) {
      if (!this.#propose(proposals.takeBatch())) return;
    }
  }

  onResult(result: ProposeResult): void {
    const { proposals, mayServe } = this.#options;
    if (result.result === 'overwritten') {
      proposals.onOverwritten(result.tag);
      return;
    }
    const batch = this.#batchInCore;
    assert(batch?.tag === result.tag, 'the core answers the proposal of this step');
    this.#batchInCore = null;
    if (result.result === 'rejected') {
      // No room: it and all behind it wait, because later queue offsets follow earlier ones.
      proposals.putBack(batch);
      if (!mayServe()) proposals.rejectQueued();
      return;
    }
    proposals.onAppended(batch, result.index, result.term);
    this.entryCount++;
    this.payloadSizeBytes += batch.payloadSizeBytes;
    for (const { recordCount } of batch.proposals) this.recordCount += recordCount;
  }

  /** @returns false when the core has no room now */
  #propose(batch: Batch): boolean {
    const { core, proposals } = this.#options;
    const { tag, payloadSizeBytes } = batch;
    const placement = core.placementFor(payloadSizeBytes);
    if (placement === null) {
      proposals.putBack(batch);
      return false;
    }
    const payload = packPayload(batch, placement.physicalOffset);
    this.#batchInCore = batch;
    const payloadCrc = crc32(payload);
    this.#options.propose({ tag, type: 'data', payloadSizeBytes, payloadCrc }, payload);
    assert(this.#batchInCore === null, 'the core answers a proposal in its step');
    const entry = core.entryAt(placement.index);
    if (entry === null) return false;
    assert(
      entry.physicalOffset === placement.physicalOffset,
      'the entry lies where its records say',
      () => ({ entry, placement }),
    );
    return true;
  }
}
