/** The arithmetic of a change of voters: before, while both sets decide, and after. */
import type { NodeId } from '../../base/units.ts';
import type { ChangeOptions } from '../../protocol/admin.ts';
import type {
  Allowance,
  Check,
  CheckVerdict,
  QuorumArithmetic,
} from '../../protocol/admin-plan.ts';
import { checkOf, quorumCheck } from './check-builder.ts';
import { type GroupView, isWell, isWellIn, memberOf } from './group-view.ts';
import { arithmeticOf, arithmeticText } from './quorum-arithmetic.ts';
import type { Course, MembershipWish } from './wish.ts';

/** Below it no failure is survived. */
const VOTERS_MIN = 3;

/**
 * Who is new counts as down: it may be the very machine that does not work. But a group of one voter
 * could never grow that way, so there it counts as it is.
 */
export function countsAsLive(course: Course, view: GroupView): (nodeId: NodeId) => boolean {
  const isLive = isWellIn(view);
  const isFirstGrowth = course.votersNow.length === 1 && course.leavers.length === 0;
  return (nodeId) => (course.newcomers.includes(nodeId) && !isFirstGrowth ? false : isLive(nodeId));
}

export function votersChecks(
  change: MembershipWish,
  course: Course,
  view: GroupView,
  options: ChangeOptions,
): readonly Check[] {
  const isLive = countsAsLive(course, view);
  const before = arithmeticOf(course.votersNow, isWellIn(view));
  const during = arithmeticOf(course.votersAfter, isLive);
  const checks: Check[] = [
    quorumCheck('quorumDuring', [before, during], remedyFor(course, view)),
    quorumCheck('quorumAfter', [during], remedyFor(course, view)),
    toleranceCheck(course, view, options, before),
  ];
  if (course.votersAfter.length !== course.votersNow.length) {
    checks.push(...sizeChecks(course, options));
  }
  if (change.kind === 'replace') checks.push(oldNodeCheck(change.oldNodeId, view, options));
  return checks;
}

function remedyFor({ leavers, newcomers }: Course, view: GroupView): string {
  const down = view.members.filter((one) => !isWell(one) && !newcomers.includes(one.nodeId));
  const names = down.map(({ nodeId }) => nodeId);
  if (names.length > 0 && leavers.some((id) => !names.includes(id))) {
    return `${names.join(', ')} must be back first, or is the one to remove or replace`;
  }
  return 'more voters must be live and caught up first; to change a dead one for a new one use replace';
}

/** Against the true state of the new ones: counted as down it would always be less. */
function toleranceCheck(
  course: Course,
  view: GroupView,
  options: ChangeOptions,
  before: QuorumArithmetic,
): Check {
  const isLive = isWellIn(view);
  // Of those that have not caught up yet, what they will be is what counts.
  const after = arithmeticOf(
    course.votersAfter,
    (id) => course.newcomers.includes(id) || isLive(id),
  );
  const isLess = after.tolerates < before.tolerates;
  return checkOf('faultTolerance', verdictOf(isLess, 'lessTolerance', options), {
    observed: `before: ${arithmeticText(before)}; after: ${arithmeticText(after)}`,
    limit: 'as many failures survived afterwards as before',
    remedy: 'add a voter first, or accept it with --allow lessTolerance',
  });
}

function sizeChecks(course: Course, options: ChangeOptions): readonly Check[] {
  const [before, after] = [course.votersNow.length, course.votersAfter.length];
  const isEven = after % 2 === 0;
  const isFew = after < VOTERS_MIN && after < before;
  return [
    checkOf('oddVoters', verdictOf(isEven, 'evenVoters', options), {
      observed: `${after} voters afterwards`,
      limit: 'an odd number: the last of an even number survives no failure more',
      remedy: 'name two in one command, or accept an even number for now with --allow evenVoters',
    }),
    checkOf('threeVoters', verdictOf(isFew, 'belowThree', options), {
      observed: `${after} voters afterwards, ${before} before`,
      limit: `${VOTERS_MIN} voters`,
      remedy: 'replace the node instead, or accept it with --allow belowThree',
    }),
  ];
}

function oldNodeCheck(oldNodeId: NodeId, view: GroupView, options: ChangeOptions): Check {
  const member = memberOf(view, oldNodeId);
  const works = member !== null && isWell(member);
  return checkOf('oldNodeDown', verdictOf(works, 'planned', options), {
    subject: oldNodeId,
    observed: works ? `${oldNodeId} is live and caught up` : `${oldNodeId} is down or far behind`,
    limit: 'a node that works is kept, unless its replacement is planned',
    remedy: 'use --planned when this is the node you mean',
  });
}

function verdictOf(isRisk: boolean, allowance: Allowance, { allow }: ChangeOptions): CheckVerdict {
  if (!isRisk) return 'ok';
  return allow.includes(allowance) ? 'warning' : 'failed';
}
