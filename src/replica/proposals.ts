/**
 * Proposals from the call to the outcome: queued, then packed with others into one entry, then open
 * until that entry is applied or its place is taken by another.
 *
 * Invariants:
 * - Proposals are placed in the order of the calls. A refusal for lack of room happens before the
 *   queue, never in it: later proposals may count on the queue offsets of earlier ones.
 * - Each proposal gets exactly one outcome, and `rejected` only when it surely is not in the log (H29).
 */
import { assert } from '../base/assert.ts';
import { viewOf } from '../base/bytes.ts';
import { type LogIndex, Term } from '../base/units.ts';
import { recordPlaceAt } from '../protocol/records.ts';
import type { CommittedEntry, RecordResult } from '../store/derived/derived-state.ts';
import {
  PACKED_SIZE_BYTES_MAX,
  PROPOSAL_SIZE_BYTES_MAX,
  QUEUED_COUNT_MAX,
  QUEUED_SIZE_BYTES_MAX,
} from './limits.ts';
import { ProposalQueue } from './proposal-queue.ts';
import type { ProposeOutcome, RecordsProposal } from './replica.ts';

export interface PendingProposal {
  readonly proposal: RecordsProposal;
  readonly recordCount: number;
  readonly resolve: (outcome: ProposeOutcome) => void;
}

/** What travels in one entry. */
export interface Batch {
  readonly tag: number;
  readonly proposals: readonly PendingProposal[];
  readonly payloadSizeBytes: number;
}

interface OpenBatch extends Batch {
  readonly index: LogIndex;
  readonly term: Term;
}

export class Proposals {
  readonly #proposalSizeBytesMax: number;
  readonly #queue = new ProposalQueue();
  readonly #openByTag = new Map<number, OpenBatch>();
  readonly #openByIndex = new Map<LogIndex, OpenBatch>();
  #nextTag = 1;
  #appliedTerm = Term(0);

  /** @param payloadSizeBytesMax the largest payload of an entry in this log */
  constructor(payloadSizeBytesMax: number) {
    this.#proposalSizeBytesMax = Math.min(PROPOSAL_SIZE_BYTES_MAX, payloadSizeBytesMax);
  }

  get queuedCount(): number {
    return this.#queue.count;
  }

  get openCount(): number {
    return this.#openByTag.size;
  }

  /** @returns why it is refused; null: it is queued, and `resolve` will hear the outcome */
  enqueue(
    proposal: RecordsProposal,
    resolve: (outcome: ProposeOutcome) => void,
  ): 'busy' | 'tooLarge' | null {
    const refused = this.#refusalOf(proposal);
    if (refused !== null) return refused;
    this.#queue.push({ proposal, recordCount: countRecords(proposal.records), resolve });
    return null;
  }

  #refusalOf(proposal: RecordsProposal): 'busy' | 'tooLarge' | null {
    const sizeBytes = proposal.records.length;
    if (sizeBytes > this.#proposalSizeBytesMax) return 'tooLarge';
    if (this.#queue.count >= QUEUED_COUNT_MAX) return 'busy';
    return this.#queue.sizeBytes + sizeBytes > QUEUED_SIZE_BYTES_MAX ? 'busy' : null;
  }

  /** Takes what fits in one entry from the queue, at least one proposal. */
  takeBatch(): Batch {
    const sizeBytesMax = Math.min(PACKED_SIZE_BYTES_MAX, this.#proposalSizeBytesMax);
    const proposals = this.#queue.take(sizeBytesMax);
    let payloadSizeBytes = 0;
    for (const { proposal } of proposals) payloadSizeBytes += proposal.records.length;
    return { tag: this.#nextTag++, proposals, payloadSizeBytes };
  }

  /** The core had no room: first in line for the next attempt. */
  putBack(batch: Batch): void {
    this.#queue.putBack(batch.proposals);
  }

  /** From here on the outcome is open. */
  onAppended(batch: Batch, index: LogIndex, term: Term): void {
    const stale = this.#openByIndex.get(index);
    // Our own log has replaced the old one; whether it was committed is not for us to guess.
    if (stale) assert(stale.term < term, 'a place is given twice in different terms only');
    const open = { ...batch, index, term };
    this.#openByTag.set(batch.tag, open);
    this.#openByIndex.set(index, open);
  }

  onApplied(entry: CommittedEntry, results: readonly RecordResult[]): void {
    this.#onTermApplied(entry.term);
    const open = this.#openByIndex.get(entry.index);
    if (open === undefined) return;
    assert(open.term === entry.term, 'what is left of an older term is settled', () => ({
      index: entry.index,
      terms: [open.term, entry.term],
    }));
    this.#forget(open);
    let at = 0;
    for (const { recordCount, resolve } of open.proposals) {
      const slice = results.slice(at, at + recordCount);
      at += recordCount;
      resolve({ kind: 'applied', index: entry.index, term: entry.term, results: slice });
    }
    assert(at === results.length, 'each record of an entry has one result', () => ({
      index: entry.index,
      records: at,
      results: results.length,
    }));
  }

  onOverwritten(tag: number): void {
    const open = this.#openByTag.get(tag);
    if (open !== undefined) this.#settle(open, { kind: 'rejected', why: 'notLeader' });
  }

  /** Nothing in the queue has ever been in the log. */
  rejectQueued(): void {
    for (const pending of this.#queue.takeAll()) {
      pending.resolve({ kind: 'rejected', why: 'notLeader' });
    }
  }

  openTags(): readonly number[] {
    return [...this.#openByTag.keys()];
  }

  /** We stop waiting for the outcomes that are still open. */
  giveUp(tags: readonly number[]): void {
    for (const tag of tags) {
      const open = this.#openByTag.get(tag);
      if (open !== undefined) this.#settle(open, { kind: 'unknown' });
    }
  }

  /**
   * Entries are applied in order, so what is open lies at or behind the one that is applied now. Terms
   * never decrease along a log, and every later leader's log has this one: nothing of an older term
   * will ever be committed behind it. Whoever waits hears so at once; the lanes of the broker, which
   * wait for one outcome before they ask for the next, would stand still otherwise.
   */
  #onTermApplied(term: Term): void {
    if (term === this.#appliedTerm) return;
    this.#appliedTerm = term;
    for (const open of [...this.#openByTag.values()]) {
      if (open.term < term) this.#settle(open, { kind: 'rejected', why: 'notLeader' });
    }
  }

  #settle(open: OpenBatch, outcome: ProposeOutcome): void {
    this.#forget(open);
    for (const { resolve } of open.proposals) resolve(outcome);
  }

  #forget(open: OpenBatch): void {
    this.#openByTag.delete(open.tag);
    if (this.#openByIndex.get(open.index) === open) this.#openByIndex.delete(open.index);
  }
}

function countRecords(records: Uint8Array): number {
  const view = viewOf(records);
  let count = 0;
  for (let at = 0; at < records.length; count++) at += recordPlaceAt(view, at).sizeBytes;
  assert(count > 0, 'a proposal has records');
  return count;
}
