/** The checkers of a run, in the order in which they are told. */
import type { SimNode } from '../node.ts';
import { CommitHistory, commitHistoryChecker } from './commit-history.ts';
import {
  commitMonotoneChecker,
  leaderCompletenessChecker,
  ownTermCommitChecker,
  truncationChecker,
} from './commit-rules.ts';
import { committedIsDurableChecker, promiseIsDurableChecker } from './durability.ts';
import { electionSafetyChecker, leaderAppendOnlyChecker, voteMemoryChecker } from './elections.ts';
import { logMatchingChecker } from './entry-registry.ts';
import type { Switchboard } from './observers.ts';
import { ackedForeverChecker, outcomeChecker, stateMachineSafetyChecker } from './outcomes.ts';
import type { Judge } from './violation.ts';

export interface CheckerSetup {
  readonly judge: Judge;
  readonly nodes: readonly SimNode[];
  readonly segmentSizeBytes: number;
}

export function addAllCheckers(switchboard: Switchboard, setup: CheckerSetup): CommitHistory {
  const { judge, nodes, segmentSizeBytes } = setup;
  const history = new CommitHistory();
  const checkers = [
    // Narrow rules first: they name the cause where the global ones name the damage.
    commitMonotoneChecker(judge, nodes),
    truncationChecker(judge),
    leaderAppendOnlyChecker(judge),
    logMatchingChecker(judge, segmentSizeBytes),
    promiseIsDurableChecker(judge),
    voteMemoryChecker(judge),
    ownTermCommitChecker(judge),
    electionSafetyChecker(judge, switchboard),
    commitHistoryChecker(judge, history, switchboard),
    leaderCompletenessChecker(judge, nodes, history),
    committedIsDurableChecker(judge, nodes, history),
    stateMachineSafetyChecker(judge),
    ackedForeverChecker(judge, nodes, history),
    outcomeChecker(judge),
  ];
  for (const checker of checkers) switchboard.add(checker);
  return history;
}
