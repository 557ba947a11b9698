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

  /** A snapshot tells what was committed, but not by whom: these outcomes stay unknown. */
  forgetThrough(index: LogIndex): void {
    this.#commitIndex = index;
    this.#open = this.#open.filter((open) => open.index > index);
  }

  /**
   * Terms do not fall along a log: behind a committed entry of a later term none of ours can follow,
   * so those that would lie there are settled as well.
   *
   * @returns the tags that can never be committed, now that the log is committed so far
   */
  onCommit(commitIndex: LogIndex, termOf: (index: LogIndex) => Term): readonly number[] {
    this.#commitIndex = commitIndex;
    if (this.#open.length === 0) return [];
    const isPast = termOf(commitIndex) > this.#term;
    const settled = this.#open.filter(({ index }) => isPast || index <= commitIndex);
    this.#open.splice(0, settled.length);
    return settled
      .filter(({ index }) => index > commitIndex || termOf(index) !== this.#term)
      .map(({ tag }) => tag);
  }
}
