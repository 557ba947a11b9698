/**
 * What must hold before the group is changed (raft.md 7.3). All of it is looked at, and all that fails is
 * said at once. Made from a view of the leader; the core looks again when the entry is appended, and the
 * compare-and-set on the config entry catches whatever came between.
 */
import { unreachable } from '../../base/assert.ts';
import { sizeText } from '../../base/size-text.ts';
import type { NodeId } from '../../base/units.ts';
import type { AdminChange, ChangeOptions } from '../../protocol/admin.ts';
import type { Check, Plan } from '../../protocol/admin-plan.ts';
import { HANDOVER_LAG_BYTES_MAX } from '../../raft/limits.ts';
import { MEMBER_COUNT_MAX } from '../../raft/membership.ts';
import {
  check,
  checkOf,
  commonChecks,
  quorumCheck,
  repairCheck,
  settledChecks,
} from './check-builder.ts';
import { soleCopyCheck } from './copy-checks.ts';
import { type GroupView, isWell, isWellIn, type MemberView, memberOf } from './group-view.ts';
import { ADDRESS_LENGTH_MAX } from './limits.ts';
import { bestHeir } from './plan.ts';
import { arithmeticOf, canDecide } from './quorum-arithmetic.ts';
import { targetChecks } from './target-checks.ts';
import { votersChecks } from './voters-checks.ts';
import { type Course, courseOf, isKnown, isMembershipWish, type MembershipWish } from './wish.ts';
import { zoneChecks } from './zone-checks.ts';

export function checksOf(
  change: AdminChange,
  view: GroupView,
  options: ChangeOptions,
  plan: Plan,
  operationId: string,
): readonly Check[] {
  const common = change.kind === 'unlock' ? [] : commonChecks(view, options, plan, operationId);
  if (isMembershipWish(change)) return [...common, ...membershipChecks(change, view, options)];
  return [...common, ...otherChecks(change, view, options)];
}

export function hasFailed(checks: readonly Check[]): boolean {
  return checks.some(({ verdict }) => verdict === 'failed');
}

function membershipChecks(
  change: MembershipWish,
  view: GroupView,
  options: ChangeOptions,
): readonly Check[] {
  const course = courseOf(change, view);
  const settled = settledChecks(view, course.isInJoint);
  // What was begun ends by itself: the arithmetic was done before it began.
  if (course.isInJoint) return settled;
  const checks: Check[] = [...settled, repairCheck(view, course.leavers)];
  const before = arithmeticOf(view.membership.voters, isWellIn(view));
  checks.push(quorumCheck('quorumBefore', [before], QUORUM_REMEDY));
  if (change.kind === 'add') {
    // It is a learner already: only its ticket is asked for.
    if (course.isReached) return checks;
    checks.push(...newcomerChecks(change.nodeId, change.raftAddress, view));
    return checks;
  }
  if (change.kind === 'replace' && !isKnown(view, change.newNodeId)) {
    checks.push(...newcomerChecks(change.newNodeId, change.raftAddress, view));
  }
  if (change.kind === 'replace') checks.push(replacedCheck(change, view));
  if (change.kind === 'remove' || change.kind === 'promote') {
    checks.push(...namedOf(change, course, view).map((nodeId) => knownCheck(nodeId, view)));
  }
  if (course.leavers.length > 0) checks.push(soleCopyCheck(course, view));
  const isOfVoters = course.votersAfter.join() !== course.votersNow.join();
  if (!isOfVoters) return checks;
  checks.push(...votersChecks(change, course, view, options));
  checks.push(...zoneChecks(course.votersNow, course.votersAfter, view));
  // Of `replace`: what is not there yet is waited for, not refused.
  const mayWait = change.kind === 'replace';
  for (const nodeId of course.newcomers) {
    checks.push(...targetChecks(memberOf(view, nodeId), nodeId, view, mayWait, options));
  }
  if (course.leavers.includes(view.self)) checks.push(heirCheck(view, course.leavers));
  return checks;
}

/** Those of whom something is left to do: of a wish that another one has half fulfilled, the other half. */
function namedOf(
  { kind }: MembershipWish,
  { joiners, leavers }: Course,
  { membership }: GroupView,
): readonly NodeId[] {
  if (kind === 'promote') return joiners;
  return leavers.filter((id) => !membership.removed.includes(id));
}

const QUORUM_REMEDY = 'bring voters back first: nothing can be committed without a majority';

function knownCheck(nodeId: NodeId, view: GroupView): Check {
  const { members, removed } = view.membership;
  const isGone = removed.includes(nodeId);
  return check('nodeKnown', isKnown(view, nodeId), {
    subject: nodeId,
    observed: isKnown(view, nodeId)
      ? `${nodeId} is a member`
      : isGone
        ? `${nodeId} was removed once`
        : `${nodeId} is not a member`,
    limit: `a member: ${members.map((member) => member.nodeId).join(', ')}`,
    remedy: isGone ? 'nothing is left to do for it' : 'see `mq-raft members` for the names',
  });
}

/** A voter makes room for somebody else. */
function replacedCheck(
  { oldNodeId, newNodeId }: Extract<MembershipWish, { kind: 'replace' }>,
  view: GroupView,
): Check {
  if (oldNodeId !== newNodeId && !view.membership.learners.includes(oldNodeId)) {
    return knownCheck(oldNodeId, view);
  }
  const isSame = oldNodeId === newNodeId;
  return check('nodeKnown', false, {
    subject: oldNodeId,
    observed: isSame ? `${oldNodeId} would replace itself` : `${oldNodeId} is a learner`,
    limit: 'a voter, and another node in its place',
    remedy: isSame
      ? 'choose a new id: a wiped directory has forgotten what it promised under the old one'
      : `use \`mq-raft remove ${oldNodeId}\` and \`mq-raft add ${newNodeId}\``,
  });
}

/** An id, an address and a place for somebody new. */
function newcomerChecks(nodeId: NodeId, raftAddress: string, view: GroupView): readonly Check[] {
  const { membership, members, retired } = view;
  const isUsed = membership.removed.includes(nodeId);
  const isMember = isKnown(view, nodeId);
  const owner = members.find((one) => one.raftAddress === raftAddress && one.nodeId !== nodeId);
  const former = retired.find((one) => one.raftAddress === raftAddress);
  const isValid = isAddress(raftAddress);
  return [
    check('nodeIdUnused', !isUsed && !isMember, {
      subject: nodeId,
      observed: isUsed
        ? `${nodeId} was a member once, and was removed`
        : isMember
          ? `${nodeId} is a member already, at another address`
          : `${nodeId} was never used`,
      limit: 'a node id is used once, for ever',
      remedy: isUsed
        ? 'choose a new id: a wiped directory has forgotten what it promised under the old one'
        : `see \`mq-raft members\`; to take ${nodeId} out use \`mq-raft remove ${nodeId}\``,
    }),
    check('addressValid', isValid, {
      subject: nodeId,
      observed: raftAddress === '' ? 'no address' : raftAddress.slice(0, ADDRESS_LENGTH_MAX),
      limit: 'host:port of its port for peers',
      remedy: 'give it with --addr, as the other members will reach it',
    }),
    checkOf(
      'addressUnused',
      owner !== undefined ? 'failed' : former === undefined ? 'ok' : 'warning',
      {
        subject: owner?.nodeId ?? former?.nodeId ?? null,
        observed:
          owner !== undefined
            ? `${raftAddress} is that of ${owner.nodeId}`
            : former === undefined
              ? `nobody else is at ${raftAddress}`
              : `${raftAddress} was that of ${former.nodeId}, which was removed`,
        limit: 'one member at an address',
        remedy:
          owner === undefined
            ? `see that the old process of ${former?.nodeId ?? 'the node'} does not run there any more`
            : 'choose another port, or remove that member first',
      },
    ),
    check('memberCountMax', membership.members.length < MEMBER_COUNT_MAX, {
      observed: `${membership.members.length} members`,
      limit: `at most ${MEMBER_COUNT_MAX}, with those that come and go`,
      remedy: 'remove one first',
    }),
  ];
}

/** What the layers below can call; they take no other text. */
export function isAddress(text: string): boolean {
  const parts = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[1]);
  return text.length <= ADDRESS_LENGTH_MAX && port >= 1 && port <= 65_535;
}

/** Somebody must be able to lead. */
function heirCheck(view: GroupView, except: readonly NodeId[]): Check {
  const heir = bestHeir(view, except);
  const others = view.membership.voters.filter((id) => !except.includes(id));
  return check('eligibleLeader', heir !== null, {
    observed:
      heir === null
        ? `of ${others.join(', ') || 'no other voter'} none is live, caught up and not drained`
        : `${heir} can lead`,
    limit: 'one other voter that is live, caught up and not drained',
    remedy: 'bring one back, or undrain one',
  });
}

type OtherChange = Exclude<AdminChange, MembershipWish>;

function otherChecks(
  change: OtherChange,
  view: GroupView,
  options: ChangeOptions,
): readonly Check[] {
  switch (change.kind) {
    case 'transfer':
      return change.to === null ? [heirCheck(view, [view.self])] : transferChecks(change.to, view);
    case 'drain':
      return drainChecks(change.nodeId, view);
    case 'undrain':
      return [];
    case 'snapshot':
    case 'scrub':
      return [
        knownCheck(change.nodeId, view),
        liveCheck(memberOf(view, change.nodeId), change.nodeId),
      ];
    case 'finalizeFeatures':
      return levelChecks(change.level, view);
    case 'unlock':
      return unlockChecks(view, options);
    case 'rollingRestart':
      return restartChecks(view);
    default:
      return unreachable(change);
  }
}

/** Who is drained already is only waited for, whoever else has come to harm meanwhile. */
function drainChecks(nodeId: NodeId, view: GroupView): readonly Check[] {
  const known = voterCheck(nodeId, view);
  if (view.drained.includes(nodeId)) return [known];
  return [known, heirCheck(view, [nodeId, ...view.drained])];
}

/** Each voter in turn is down, whoever else is. */
function restartChecks(view: GroupView): readonly Check[] {
  const { voters } = view.membership;
  const isLive = isWellIn(view);
  const without = voters.map((down) => arithmeticOf(voters, (id) => id !== down && isLive(id)));
  const undecided = without.filter((each) => !canDecide(each));
  return [
    quorumCheck('quorumBefore', [arithmeticOf(voters, isLive)], QUORUM_REMEDY),
    quorumCheck(
      'quorumDuring',
      undecided.length > 0 ? undecided : without.slice(0, 1),
      'bring every voter back first; a group of one or two cannot be restarted without a pause',
    ),
  ];
}

function voterCheck(nodeId: NodeId, view: GroupView): Check {
  return check('nodeKnown', view.membership.voters.includes(nodeId), {
    subject: nodeId,
    observed: isKnown(view, nodeId) ? `${nodeId} is a learner` : `${nodeId} is not a member`,
    limit: `a voter: ${view.membership.voters.join(', ')}`,
    remedy: 'only voters lead',
  });
}

function liveCheck(member: MemberView | null, nodeId: NodeId): Check {
  const isLive = member?.isActive === true;
  return check('targetLive', isLive, {
    subject: nodeId,
    observed: isLive ? `${nodeId} is heard` : `${nodeId} is silent: ${member?.silence ?? ''}`,
    limit: 'heard within an election timeout',
    remedy: 'see that its process runs and can be reached',
  });
}

function transferChecks(to: NodeId, view: GroupView): readonly Check[] {
  const member = memberOf(view, to);
  const isDrained = view.drained.includes(to);
  const lagBytes = member?.lagBytes ?? 0;
  const isFit =
    member !== null && isWell(member) && (member.isSelf || lagBytes <= HANDOVER_LAG_BYTES_MAX);
  return [
    voterCheck(to, view),
    check('transferTarget', isFit && !isDrained, {
      subject: to,
      observed: isDrained
        ? `${to} is drained`
        : member === null
          ? `${to} is not a member`
          : `${to} is ${member.isActive ? 'heard' : 'silent'}, lacks ${sizeText(lagBytes)}` +
            (member.isDiskStalled ? ', its disk is stalled' : ''),
      limit: `heard, at most ${sizeText(HANDOVER_LAG_BYTES_MAX)} behind, disk well, not drained`,
      remedy: isDrained ? `mq-raft undrain ${to}` : 'choose another one, or wait until it is well',
    }),
  ];
}

function levelChecks(level: number, view: GroupView): readonly Check[] {
  const unable = view.members.filter(({ health }) => (health?.featureLevelMax ?? 0) < level);
  return [
    check('featureLevel', unable.length === 0 && level >= view.featureLevel, {
      subject: unable[0]?.nodeId ?? null,
      observed:
        unable.length === 0
          ? `all support level ${level}, level ${view.featureLevel} is in force`
          : unable
              .map(({ nodeId, health, silence }) =>
                health === null
                  ? `${nodeId} does not answer (${silence})`
                  : `${nodeId} supports ${health.featureLevelMax}`,
              )
              .join('; '),
      limit: `every member supports level ${level}, and a level never falls`,
      remedy: 'upgrade those members first; see `mq-raft features`',
    }),
  ];
}

function unlockChecks(view: GroupView, options: ChangeOptions): readonly Check[] {
  const { lock } = view;
  const isOwn = lock === null || lock.owner === options.actor;
  return [
    check('operatorLock', isOwn || options.steal, {
      observed: lock === null ? 'nobody holds it' : `"${lock.action}" by ${lock.owner}`,
      limit: `an operation of ${options.actor}`,
      remedy: `ask ${lock?.owner ?? 'its owner'}, or use --steal`,
    }),
  ];
}
