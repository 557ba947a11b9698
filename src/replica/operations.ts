/**
 * What operators ask of a leader: hand over, or change the membership. Each request gets exactly one
 * outcome. The core answers all but an accepted transfer at once, and of those it takes one at a time.
 */
import type { LogIndex, NodeId } from '../base/units.ts';
import type { ChangeResult, Input, TransferResult } from '../raft/effects.ts';
import type { MembershipStep } from '../raft/membership.ts';
import type { ChangeOutcome, TransferOutcome } from './replica.ts';

export class Operations {
  readonly #feed: (input: Input) => void;
  readonly #transfers = new Map<number, (outcome: TransferOutcome) => void>();
  readonly #changes = new Map<number, (outcome: ChangeOutcome) => void>();
  #nextTag = 1;
  #closed = false;

  /** @param feed gives an input to the core; the answer comes through the methods below */
  constructor(feed: (input: Input) => void) {
    this.#feed = feed;
  }

  transfer(to: NodeId): Promise<TransferOutcome> {
    if (this.#closed) return Promise.resolve({ kind: 'refused', why: 'notLeader' });
    const tag = this.#nextTag++;
    return new Promise((resolve) => {
      this.#transfers.set(tag, resolve);
      this.#feed({ kind: 'transfer', tag, to });
    });
  }

  change(steps: readonly MembershipStep[], ifMembershipIndex: LogIndex): Promise<ChangeOutcome> {
    if (this.#closed) return Promise.resolve(NOT_LEADER);
    const tag = this.#nextTag++;
    return new Promise((resolve) => {
      this.#changes.set(tag, resolve);
      this.#feed({ kind: 'changeMembership', tag, steps, ifMembershipIndex });
    });
  }

  onTransferResult(result: TransferResult): void {
    const resolve = this.#transfers.get(result.tag);
    this.#transfers.delete(result.tag);
    resolve?.(
      result.result === 'refused' ? { kind: 'refused', why: result.why } : { kind: result.result },
    );
  }

  onChangeResult(result: ChangeResult): void {
    const resolve = this.#changes.get(result.tag);
    this.#changes.delete(result.tag);
    resolve?.(
      result.result === 'refused'
        ? { kind: 'refused', problems: result.problems }
        : { kind: 'accepted', index: result.index, term: result.term },
    );
  }

  close(): void {
    this.#closed = true;
    for (const resolve of this.#transfers.values()) resolve({ kind: 'unknown' });
    // Those that the core has not seen: the others have their answer.
    for (const resolve of this.#changes.values()) resolve(NOT_LEADER);
    this.#transfers.clear();
    this.#changes.clear();
  }
}

const NOT_LEADER: ChangeOutcome = { kind: 'refused', problems: [{ kind: 'notLeader' }] };
