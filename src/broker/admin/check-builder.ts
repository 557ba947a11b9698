/** Checks as sentences with numbers; the words of those that several kinds of changes share. */
import type { NodeId } from '../../base/units.ts';
import type { ChangeOptions } from '../../protocol/admin.ts';
import type {
  Check,
  CheckId,
  CheckVerdict,
  Plan,
  QuorumArithmetic,
} from '../../protocol/admin-plan.ts';
import { isJoint } from '../../raft/membership.ts';
import { type GroupView, isUnderRepair } from './group-view.ts';
import { arithmeticText, canDecide } from './quorum-arithmetic.ts';

export interface CheckWords {
  readonly subject?: NodeId | null;
  readonly observed: string;
  readonly limit: string;
  /** Shown when it is not ok. */
  readonly remedy: string;
}

export function check(id: CheckId, isOk: boolean, words: CheckWords): Check {
  return checkOf(id, isOk ? 'ok' : 'failed', words);
}

export function checkOf(id: CheckId, verdict: CheckVerdict, words: CheckWords): Check {
  const { subject = null, observed, limit, remedy } = words;
  return { id, verdict, subject, observed, limit, remedy: verdict === 'ok' ? '' : remedy };
}

/** What must hold for whatever is changed. */
export function commonChecks(
  view: GroupView,
  options: ChangeOptions,
  plan: Plan,
  operationId: string,
): readonly Check[] {
  const { lock } = view;
  const isOurs = lock !== null && lock.operationId === operationId;
  const checks: Check[] = [
    check('ownTermCommitted', view.isOwnTermCommitted, {
      observed: view.isOwnTermCommitted
        ? `the leader of term ${view.term} has committed in it`
        : `the leader of term ${view.term} has committed nothing in it yet`,
      limit: 'an entry of the own term is committed',
      remedy: 'ask again in a moment',
    }),
    checkOf('operatorLock', lock === null || isOurs || options.steal ? 'ok' : 'failed', {
      observed:
        lock === null
          ? 'nobody is changing the group'
          : `"${lock.action}" by ${lock.owner} since ${new Date(lock.takenAtMs).toISOString()}`,
      limit: 'one operation at a time',
      remedy:
        lock === null
          ? ''
          : `let ${lock.owner} finish it with \`mq-raft ${lock.action}\`, or take over with --steal`,
    }),
  ];
  // Whoever goes on with an operation meets the entries that it has made itself.
  if (isOurs) return checks;
  if (options.ifConfig !== null) {
    checks.push(
      check('configUnmoved', options.ifConfig === view.configIndex, {
        observed: `config #${view.configIndex} is in force`,
        limit: `config #${options.ifConfig}`,
        remedy: 'somebody has changed the group: look at it, and make a new plan with --dry-run',
      }),
    );
  }
  if (options.ifPlan !== null) {
    checks.push(
      check('planUnmoved', options.ifPlan === plan.hash, {
        observed: `the plan is ${plan.hash} now`,
        limit: `plan ${options.ifPlan}`,
        remedy: 'look at the new plan with --dry-run',
      }),
    );
  }
  return checks;
}

/** What must hold before members change, whoever comes or goes. */
export function settledChecks(view: GroupView, isInOwnJoint: boolean): readonly Check[] {
  const { membership, isCommitted, configIndex, transferTo } = view;
  const isUnderWay = !isCommitted || isJoint(membership);
  return [
    check('noChangeInFlight', !isUnderWay || isInOwnJoint, {
      observed: isUnderWay
        ? `config #${configIndex} is ${isJoint(membership) ? 'joint' : 'not committed'}`
        : `config #${configIndex} is committed and stable`,
      limit: 'one change of members at a time',
      remedy: 'ask again when it is through: the leader ends it by itself once a majority answers',
    }),
    check('noTransferInProgress', transferTo === null, {
      observed: transferTo === null ? 'leadership stays' : `leadership goes to ${transferTo}`,
      limit: 'no hand-over under way',
      remedy: 'ask again in a second',
    }),
  ];
}

export function quorumCheck(
  id: 'quorumBefore' | 'quorumDuring' | 'quorumAfter',
  sets: readonly QuorumArithmetic[],
  remedy: string,
): Check {
  return check(id, sets.every(canDecide), {
    observed: sets.map(arithmeticText).join('; '),
    limit: 'a live majority of every set that decides',
    remedy,
  });
}

export function repairCheck(view: GroupView, leavers: readonly NodeId[]): Check {
  const sick = view.members.filter((one) => isUnderRepair(one) && !leavers.includes(one.nodeId));
  return check('nobodyUnderRepair', sick.length === 0, {
    subject: sick[0]?.nodeId ?? null,
    observed:
      sick.length === 0
        ? 'no member that stays is under repair'
        : sick
            .map(({ nodeId, health, silence }) => `${nodeId}: ${health?.repair ?? silence}`)
            .join('; '),
    limit: 'only a member that leaves',
    remedy: 'wait until it is whole: what it lacks, others must still have (`mq-raft check`)',
  });
}
