/** The checkers of a run, in the order in which they are told. */
import type { SimNode } from '../node.ts';
import { CommitHistory, commitHistoryChecker } from './commit-history.ts';
import {
  commitMonotoneChecker,
  leaderCompletenessChecker,
  newerLogChecker,
  ownTermCommitChecker,
  toldLogChecker,
  truncationChecker,
} from './commit-rules.ts';
import { fitnessChecker, termsOfMessagesChecker } from './conduct.ts';
import {
  committedIsDurableChecker,
  promiseIsDurableChecker,
  quorumLogChecker,
} from './durability.ts';
import {
  electionSafetyChecker,
  leaderAppendOnlyChecker,
  voteMemoryChecker,
  welcomeChecker,
} from './elections.ts';
import { logMatchingChecker } from './entry-registry.ts';
import { IdentityBook, identityChecker } from './identity.ts';
import {
  boundsChecker,
  type CheckedLimits,
  handOverChecker,
  leaderProgressChecker,
} from './leadership.ts';
import { LogBook } from './log-book.ts';
import {
  membershipInForceChecker,
  membershipSequenceChecker,
  oneChangeChecker,
} from './membership-rules.ts';
import type { Switchboard } from './observers.ts';
import { ackedForeverChecker, outcomeChecker, stateMachineSafetyChecker } from './outcomes.ts';
import { readConfirmedChecker, readSeesChecker } from './reads.ts';
import type { Judge } from './violation.ts';

export interface CheckerSetup {
  readonly judge: Judge;
  /** Everybody who may ever be a member. */
  readonly nodes: readonly SimNode[];
  readonly limits: CheckedLimits;
}

export function addAllCheckers(switchboard: Switchboard, setup: CheckerSetup): CommitHistory {
  const { judge, nodes, limits } = setup;
  const history = new CommitHistory();
  const book = new LogBook();
  const identity = new IdentityBook();
  const books = { nodes, book, history, identity };
  const checkers = [
    book.reader,
    identity.reader,
    // Narrow rules first: they name the cause where the global ones name the damage.
    identityChecker(judge, identity),
    commitMonotoneChecker(judge, book),
    truncationChecker(judge, book),
    leaderAppendOnlyChecker(judge),
    logMatchingChecker(judge, book, limits.segmentSizeBytes),
    promiseIsDurableChecker(judge),
    voteMemoryChecker(judge, identity),
    termsOfMessagesChecker(judge),
    fitnessChecker(judge, book),
    welcomeChecker(judge, book),
    oneChangeChecker(judge, book),
    membershipSequenceChecker(judge, book),
    membershipInForceChecker(judge, book, history),
    ownTermCommitChecker(judge, book),
    boundsChecker(judge, book, limits),
    leaderProgressChecker(judge, book, limits),
    handOverChecker(judge, book, limits),
    readConfirmedChecker(judge, book),
    electionSafetyChecker(judge, switchboard),
    commitHistoryChecker(judge, book, history, switchboard),
    leaderCompletenessChecker(judge, nodes, book, history),
    committedIsDurableChecker(judge, books),
    newerLogChecker(judge, book, history),
    quorumLogChecker(judge, books),
    stateMachineSafetyChecker(judge),
    ackedForeverChecker(judge, books),
    outcomeChecker(judge),
    readSeesChecker(judge, history),
    toldLogChecker(judge, nodes, book),
    book.writer,
  ];
  for (const checker of checkers) switchboard.add(checker);
  return history;
}
