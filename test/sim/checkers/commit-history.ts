/**
 * The one committed log of the whole run, as told by whoever committed an index first; I4: everybody
 * else must agree. Other checkers measure nodes against it.
 */
import type { Term } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { EntryDesc, EntryId } from '../../../src/raft/entry.ts';
import type { LoggedMembership } from '../../../src/raft/membership.ts';
import { isSameEntry, show } from './entry-registry.ts';
import type { LogBook, NodeLog } from './log-book.ts';
import type { NodeView } from './node-view.ts';
import type { Checker, Observers, Step } from './observers.ts';
import type { Judge } from './violation.ts';

export class CommitHistory {
  readonly #entries: EntryDesc[] = [];
  /** By index - 1: terms never fall, so that a search finds what terms below one have committed. */
  readonly #commitTerms: number[] = [];
  /** By index - 1: how many values are committed up to there. */
  readonly #valueCounts: number[] = [];
  readonly #memberships: LoggedMembership[] = [];

  get lastIndex(): number {
    return this.#entries.length;
  }

  /** Of the newest committed config entry; null before the first. */
  get membership(): LoggedMembership | null {
    return this.#memberships.at(-1) ?? null;
  }

  at(index: number): EntryDesc | undefined {
    return this.#entries[index - 1];
  }

  /** Newest committed config entry at or below `index`; null when there is none. */
  membershipAt(index: number): LoggedMembership | null {
    return this.#memberships.findLast((logged) => logged.index <= index) ?? null;
  }

  valueCountAt(index: number): number {
    return this.#valueCounts[Math.min(index, this.lastIndex) - 1] ?? 0;
  }

  /**
   * The last index that was committed in a term below `term`. A candidate may still win an old term
   * after newer leaders have committed; of those entries it need not know.
   */
  lastCommittedBelow(term: number): number {
    let count = this.#commitTerms.length;
    while (count > 0 && this.#commitTerms[count - 1]! >= term) count--; // count is in the array
    return count;
  }

  /** How far the log agrees with what is committed; what it has compacted was committed. */
  matchOf(log: NodeLog): number {
    let index = Math.min(log.lastIndex, this.lastIndex);
    // Ends soon: only a tail that will be cut differs.
    while (index > log.base.last.index && log.termAt(index) !== this.at(index)?.term) index--;
    return index;
  }

  /** @param term of the leader that committed it: leaders commit first */
  push(entry: EntryDesc, term: Term, membership: LoggedMembership | null): void {
    this.#entries.push(entry);
    this.#commitTerms.push(Math.max(term, this.#commitTerms.at(-1) ?? 0));
    const count = this.#valueCounts.at(-1) ?? 0;
    this.#valueCounts.push(entry.type === 'data' ? count + 1 : count);
    if (membership !== null) this.#memberships.push(membership);
  }
}

export function commitHistoryChecker(
  judge: Judge,
  book: LogBook,
  history: CommitHistory,
  observers: Pick<Observers, 'committed'>,
): Checker {
  /** What is summed up in a snapshot was committed by somebody, as it says. */
  function requireBase(node: NodeView, { last }: { last: EntryId }): void {
    if (last.index === 0) return;
    judge.require(history.at(last.index)?.term === last.term, 'I4', () => {
      const known = show(history.at(last.index));
      return `${node.id} has a snapshot of ${last.index}/${last.term}, committed is ${known}`;
    });
  }

  function advance(node: NodeView, term: Term, from: number, to: number): void {
    const log = book.of(node);
    for (let index = Math.max(from, log.base.last.index) + 1; index <= to; index++) {
      const entry = log.entryAt(index);
      judge.require(entry !== undefined, 'N2', () => `${node.id} commits ${index}, beyond its log`);
      if (entry === undefined) return; // the invariant was muted
      const known = history.at(entry.index);
      if (known === undefined) {
        if (entry.index !== history.lastIndex + 1) return; // a snapshot of nothing was muted
        const logged = entry.type === 'config' ? log.membershipAt(entry.index) : null;
        history.push(entry, term, logged);
        observers.committed(node as Parameters<Observers['committed']>[0], entry);
        continue;
      }
      judge.require(isSameEntry(known, entry), 'I4', () => {
        return `${node.id} commits ${show(entry)}, elsewhere ${show(known)} is committed`;
      });
    }
  }

  return {
    started(node: NodeView, start: CoreStart): void {
      requireBase(node, start.base);
      advance(node, start.hardState.term, 0, start.commitIndex);
    },
    stepped({ node, effects, before, after }: Step): void {
      for (const effect of effects) {
        if (effect.kind === 'persist' && effect.snapshot !== null) {
          requireBase(node, effect.snapshot);
        }
      }
      if (after.commitIndex > before.commitIndex) {
        advance(node, after.term, before.commitIndex, after.commitIndex);
      }
    },
  };
}
