/**
 * Proposals of our latest leadership whose outcome is open, so that the one certain failure can be
 * told: a committed entry of another term occupies the place (hazard H29).
 *
 * Bounded by the window of uncommitted bytes: no entry is open here that is committed.
 */
import { assert } from '../base/assert.ts';
import { LogIndex, Term } from '../base/units.ts';

interface OpenProposal {
  readonly index: LogIndex;
  readonly tag: number;
}

export class ProposalTags {
  /** Ascending by index. */
  #open: OpenProposal[] = [];
  #term = Term(0);
  #commitIndex = LogIndex(0);

  /** A new leadership: what the one before left open stays unknown for ever. */
  begin(term: Term, commitIndex: LogIndex): void {
    assert(term > this.#term, 'each leadership has its own term', () => ({ term }));
    this.#open = [];
    this.#term = term;
    this.#commitIndex = commitIndex;
  }

  add(index: LogIndex, tag: number): void {
    const last = this.#open.at(-1);
    assert(index > this.#commitIndex, 'an open proposal is not committed', () => ({ index }));
    if (last !== undefined) assert(index > last.index, 'proposals are placed in order');
    this.#open.push({ index, tag });
  }

  /** @returns the tags whose place is taken by another term, now that the log is committed so far. */
  onCommit(commitIndex: LogIndex, termOf: (index: LogIndex) => Term): readonly number[] {
    this.#commitIndex = commitIndex;
    let settledCount = 0;
    const overwritten: number[] = [];
    for (const { index, tag } of this.#open) {
      if (index > commitIndex) break;
      settledCount += 1;
      if (termOf(index) !== this.#term) overwritten.push(tag);
    }
    this.#open.splice(0, settledCount);
    return overwritten;
  }
}
