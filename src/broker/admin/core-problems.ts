/** What the core says against a change, in the words of checks. */
import { unreachable } from '../../base/assert.ts';
import { sizeText } from '../../base/size-text.ts';
import type { Check } from '../../protocol/admin-plan.ts';
import { HANDOVER_LAG_BYTES_MAX } from '../../raft/limits.ts';
import type { ChangeProblem } from '../../raft/membership.ts';
import { check } from './check-builder.ts';

/** Problems of the moment: another look a little later may find none of them. */
export function isPassing(problem: ChangeProblem): boolean {
  const { kind } = problem;
  return (
    kind === 'changeInFlight' ||
    kind === 'membershipMoved' ||
    kind === 'noRoom' ||
    kind === 'ownTermNotCommitted'
  );
}

export function checkOfProblem(problem: ChangeProblem): Check {
  switch (problem.kind) {
    case 'notLeader':
    case 'ownTermNotCommitted':
      return failed('ownTermCommitted', 'the leader has just changed', 'a settled leader');
    case 'noSteps':
      return failed('nodeKnown', 'nothing is left to change', 'a change');
    case 'changeInFlight':
      return failed('noChangeInFlight', `config #${problem.index} is under way`, 'none under way');
    case 'membershipMoved':
      return failed('configUnmoved', `config #${problem.current}`, `config #${problem.asked}`);
    case 'transferInProgress':
      return failed('noTransferInProgress', `leadership goes to ${problem.to}`, 'none under way');
    case 'invalidStep':
      return failed('nodeKnown', problem.reason, 'a step that fits the membership');
    case 'learnerBehind':
      return {
        ...failed(
          'targetCaughtUp',
          `${problem.nodeId} lacks ${sizeText(problem.lagBytes)}, or is silent`,
          `heard, and at most ${sizeText(HANDOVER_LAG_BYTES_MAX)} behind`,
        ),
        subject: problem.nodeId,
      };
    case 'noQuorumAfter':
      return failed(
        'quorumAfter',
        `${problem.active} voters answer`,
        `${problem.needed} of the voters afterwards`,
      );
    case 'noRoom':
      return failed('noChangeInFlight', 'the log has too many open entries', 'room for one more');
    default:
      return unreachable(problem);
  }
}

function failed(id: Check['id'], observed: string, limit: string): Check {
  return check(id, false, { observed, limit, remedy: 'look at the group, and ask again' });
}
