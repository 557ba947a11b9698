/** The steps of a change, with the arithmetic of quorums at each, and how far it is. */
import { unreachable } from '../../base/assert.ts';
import { crc32 } from '../../base/crc32.ts';
import type { NodeId } from '../../base/units.ts';
import type { AdminChange } from '../../protocol/admin.ts';
import type { Plan, PlanStep, QuorumArithmetic, StepKind } from '../../protocol/admin-plan.ts';
import { HANDOVER_LAG_BYTES_MAX } from '../../raft/limits.ts';
import { type GroupView, isWell, isWellIn, memberOf } from './group-view.ts';
import { arithmeticOf } from './quorum-arithmetic.ts';
import { actionOf, type Course, courseOf, isKnown, type MembershipWish } from './wish.ts';

const HASH_DIGITS = 8;
const encoder = new TextEncoder();

/** A step before it is known which one is the next. */
interface Draft {
  readonly kind: StepKind;
  readonly sentence: string;
  readonly isDone: boolean;
  readonly quorums?: readonly QuorumArithmetic[];
  readonly bytes?: number;
}

export function planOf(change: AdminChange, view: GroupView): Plan {
  const action = actionOf(change);
  const drafts = draftsOf(change, view);
  const nextAt = drafts.findIndex(({ isDone }) => !isDone);
  const steps = drafts.map(({ kind, sentence, quorums, bytes }, i): PlanStep => {
    const status = nextAt === -1 || i < nextAt ? 'done' : i === nextAt ? 'now' : 'later';
    return { kind, sentence, status, quorums: quorums ?? [], bytes: bytes ?? null };
  });
  return { hash: hashOf(action, view, steps), configIndex: view.configIndex, action, steps };
}

export function nextStepOf({ steps }: Plan): PlanStep | null {
  return steps.find(({ status }) => status === 'now') ?? null;
}

/**
 * Over what is decided, not over what is observed: sizes, who is live and who leads change from second to
 * second.
 */
function hashOf(action: string, { configIndex }: GroupView, steps: readonly PlanStep[]): string {
  const left = steps.filter(({ kind, status }) => status !== 'done' && kind !== 'handOver');
  const parts = [action, String(configIndex), ...left.map(({ kind, sentence }) => kind + sentence)];
  return crc32(encoder.encode(parts.join('\n')))
    .toString(16)
    .padStart(HASH_DIGITS, '0');
}

function draftsOf(change: AdminChange, view: GroupView): readonly Draft[] {
  switch (change.kind) {
    case 'add':
      return [{ ...addDraft(change.nodeId, view), isDone: courseOf(change, view).isReached }];
    case 'promote':
    case 'remove':
    case 'replace':
      return membershipDrafts(change, view);
    case 'transfer': {
      const to = change.to ?? bestHeir(view, [view.self]);
      const isDone = change.to === view.self;
      return [
        {
          kind: 'handOver',
          sentence: to === null ? 'hand over leadership' : `hand over leadership to ${to}`,
          isDone,
        },
      ];
    }
    case 'drain':
      return drainDrafts(change.nodeId, view);
    case 'undrain': {
      const isDone = !view.drained.includes(change.nodeId);
      const sentence = `let ${change.nodeId} lead again`;
      return [{ kind: 'undrain', sentence, isDone }];
    }
    case 'snapshot':
      return [oneDraft('snapshot', `take a snapshot of derived state on ${change.nodeId}`)];
    case 'scrub':
      return [oneDraft('scrub', `read and check the whole log of ${change.nodeId}`)];
    case 'finalizeFeatures': {
      const isDone = view.featureLevel >= change.level;
      const sentence = `raise the feature level from ${view.featureLevel} to ${change.level}`;
      return [{ kind: 'features', sentence, isDone }];
    }
    case 'unlock': {
      const what = view.lock === null ? 'the operation' : `"${view.lock.action}"`;
      return [{ kind: 'unlock', sentence: `give up ${what}`, isDone: view.lock === null }];
    }
    case 'rollingRestart':
      return restartDrafts(view);
    default:
      return unreachable(change);
  }
}

function oneDraft(kind: StepKind, sentence: string): Draft {
  return { kind, sentence, isDone: false };
}

function quorumNow(view: GroupView): readonly QuorumArithmetic[] {
  return [arithmeticOf(view.membership.voters, isWellIn(view))];
}

function addDraft(nodeId: NodeId, view: GroupView): Draft {
  const sentence = `add ${nodeId} as learner`;
  return { kind: 'addLearner', sentence, isDone: isKnown(view, nodeId), quorums: quorumNow(view) };
}

function membershipDrafts(change: MembershipWish, view: GroupView): readonly Draft[] {
  const course = courseOf(change, view);
  const { joiners, leavers } = course;
  const drafts: Draft[] = [];
  if (change.kind === 'replace') drafts.push(addDraft(change.newNodeId, view));
  drafts.push(...joiners.flatMap((joiner) => arrivalDrafts(joiner, view)));
  const learners = leavers.filter((id) => view.membership.learners.includes(id));
  if (learners.length > 0 && isOfLearnersOnly(course)) {
    const sentence = `drop ${learners.length === 1 ? 'learner' : 'learners'} ${learners.join(', ')}`;
    drafts.push({ kind: 'removeLearner', sentence, isDone: false, quorums: quorumNow(view) });
  } else {
    if (leavers.includes(view.self) && !course.isInJoint) {
      const heir = bestHeir(view, leavers);
      const sentence = `${view.self} hands over leadership${heir === null ? '' : ` to ${heir}`}`;
      drafts.push({ kind: 'handOver', sentence, isDone: false });
    }
    drafts.push(...jointDrafts(course, view));
  }
  for (const leaver of leavers) {
    const store = memberOf(view, leaver)?.storeUuid ?? null;
    const name = store === null ? leaver : `${leaver} (store ${store})`;
    const sentence = `${name} is never taken in again; wipe its directory before a new id uses it`;
    drafts.push({ kind: 'tombstone', sentence, isDone: course.isReached });
  }
  return drafts;
}

/** Nobody who decides comes or goes. */
function isOfLearnersOnly({ votersNow, votersAfter, isInJoint }: Course): boolean {
  return !isInJoint && votersNow.join() === votersAfter.join();
}

/** Of those who are to be voters the first that is not there yet, or lacks too much of the log. */
export function awaitedOf({ joiners }: Course, view: GroupView): NodeId | null {
  return (
    joiners.find((joiner) => arrivalDrafts(joiner, view).some(({ isDone }) => !isDone)) ?? null
  );
}

function arrivalDrafts(joiner: NodeId, view: GroupView): readonly Draft[] {
  const member = memberOf(view, joiner);
  const isVoter = view.membership.voters.includes(joiner);
  const lagBytes = member?.lagBytes ?? view.logSizeBytes;
  const isHere = member !== null && (member.storeUuid !== null || member.isMet);
  return [
    {
      kind: 'join',
      sentence: `start ${joiner} with its token`,
      isDone: isVoter || isHere,
    },
    {
      kind: 'catchUp',
      sentence: `${joiner} copies the log`,
      // Closer than what makes a member one to count on: the core takes nobody who is further away.
      isDone: isVoter || (isHere && isWell(member) && lagBytes <= HANDOVER_LAG_BYTES_MAX),
      bytes: isVoter ? 0 : lagBytes,
    },
  ];
}

function jointDrafts(course: Course, view: GroupView): readonly Draft[] {
  const { outgoing } = view.membership;
  const { votersAfter, isInJoint, isReached } = course;
  const before = outgoing.length > 0 ? outgoing : course.votersNow;
  const isLive = isWellIn(view);
  const sets = [arithmeticOf(before, isLive), arithmeticOf(votersAfter, isLive)];
  return [
    {
      kind: 'joint',
      sentence: `both {${before.join(',')}} and {${votersAfter.join(',')}} decide`,
      isDone: isInJoint || isReached,
      quorums: sets,
    },
    {
      kind: 'leaveJoint',
      sentence: `{${votersAfter.join(',')}} decides`,
      isDone: isReached,
      quorums: sets.slice(1),
    },
  ];
}

function drainDrafts(nodeId: NodeId, view: GroupView): readonly Draft[] {
  const isDrained = view.drained.includes(nodeId);
  const sentence = `${nodeId} does not lead until it is undrained`;
  const drafts: Draft[] = [{ kind: 'drain', sentence, isDone: isDrained }];
  if (nodeId === view.self) {
    const to = bestHeir(view, [nodeId]) ?? 'somebody else';
    drafts.push({ kind: 'handOver', sentence: `${nodeId} hands over to ${to}`, isDone: false });
  }
  const isDone = isDrained && hasLeft(view, nodeId);
  return [...drafts, { kind: 'leave', sentence: `the clients of ${nodeId} go elsewhere`, isDone }];
}

/** Of a node that is down, or does not tell, nothing can be waited for; one that is only late is asked again. */
function hasLeft(view: GroupView, nodeId: NodeId): boolean {
  const member = memberOf(view, nodeId);
  if (member === null || member.health === null) return member?.isActive !== true;
  const { departure } = member.health;
  return departure === null || departure.state === 'left';
}

/** The leader last: one move of the leadership in all. */
function restartDrafts(view: GroupView): readonly Draft[] {
  const { voters } = view.membership;
  const order = [
    ...voters.filter((id) => id !== view.self),
    ...voters.filter((id) => id === view.self),
  ];
  const isLive = isWellIn(view);
  return order.flatMap((nodeId): readonly Draft[] => {
    const without = arithmeticOf(voters, (id) => id !== nodeId && isLive(id));
    return [
      oneDraft('drain', `mq-raft drain ${nodeId}`),
      oneDraft('leave', `wait until the clients of ${nodeId} are elsewhere: drain does`),
      { ...oneDraft('restart', `restart the process of ${nodeId}`), quorums: [without] },
      {
        ...oneDraft('gate', `wait until ${nodeId} is live and caught up, and check is green`),
        quorums: quorumNow(view),
      },
      oneDraft('undrain', `mq-raft undrain ${nodeId}`),
    ];
  });
}

/** Who leads best after us: well, not drained, with most of the log; of several, the first by name. */
export function bestHeir(view: GroupView, except: readonly NodeId[]): NodeId | null {
  const fit = view.membership.voters.flatMap((nodeId) => {
    const member = memberOf(view, nodeId);
    const isOut = except.includes(nodeId) || view.drained.includes(nodeId);
    return member === null || member.isSelf || isOut || !isWell(member) ? [] : [member];
  });
  const [best] = fit.toSorted((a, b) => a.lagBytes - b.lagBytes || (a.nodeId < b.nodeId ? -1 : 1));
  return best?.nodeId ?? null;
}
