/**
 * The one committed log of the whole run, as told by whoever committed an index first; I4: everybody
 * else must agree. Other checkers measure nodes against it.
 */
import type { LogIndex, Term } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { EntryDesc } from '../../../src/raft/entry.ts';
import type { SimNode } from '../node.ts';
import { isSameEntry, show } from './entry-registry.ts';
import type { Checker, Observers, Step } from './observers.ts';
import type { Judge } from './violation.ts';

export class CommitHistory {
  readonly #entries: EntryDesc[] = [];
  readonly #commitTerms: Term[] = [];

  get lastIndex(): number {
    return this.#entries.length;
  }

  at(index: LogIndex): EntryDesc | undefined {
    return this.#entries[index - 1];
  }

  /**
   * Calls `see` for each entry that was committed in a term below `term`. A candidate may still win
   * an old term after newer leaders have committed; of those entries it need not know.
   */
  forEachCommittedBelow(term: Term, see: (entry: EntryDesc) => void): void {
    for (const [i, entry] of this.#entries.entries()) {
      if (this.#commitTerms[i]! < term) see(entry); // the arrays are parallel
    }
  }

  /** @param term of the leader that committed it: leaders commit first */
  push(entry: EntryDesc, term: Term): void {
    this.#entries.push(entry);
    this.#commitTerms.push(term);
  }
}

export function commitHistoryChecker(
  judge: Judge,
  history: CommitHistory,
  observers: Observers,
): Checker {
  function advance(node: SimNode, from: number, to: number): void {
    for (let index = from + 1; index <= to; index++) {
      const entry = node.log[index - 1];
      judge.require(entry !== undefined, 'N2', () => `${node.id} commits ${index}, beyond its log`);
      if (entry === undefined) return; // the invariant was muted
      const known = history.at(entry.index);
      if (known === undefined) {
        history.push(entry, node.status.term);
        observers.committed(node, entry);
        continue;
      }
      judge.require(isSameEntry(known, entry), 'I4', () => {
        return `${node.id} commits ${show(entry)}, elsewhere ${show(known)} is committed`;
      });
    }
  }

  return {
    started: (node: SimNode, start: CoreStart) => advance(node, 0, start.commitIndex),
    stepped({ node, before, after }: Step): void {
      if (after.commitIndex > before.commitIndex) {
        advance(node, before.commitIndex, after.commitIndex);
      }
    },
  };
}
