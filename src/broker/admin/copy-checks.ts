/**
 * How often what is committed exists. A copy counts when its node is heard, nothing of its log is under
 * repair, and the entry is among those that this leader knows to be durable there: its own by its own
 * fsync, those of others by what they have acknowledged since it leads.
 *
 * Which entries of a damaged log are whole the leader does not know: none of them counts. Nor does a
 * node that is silent, for its disk may be what has failed. What retention has removed is no loss.
 */
import type { Check } from '../../protocol/admin-plan.ts';
import { check, checkOf } from './check-builder.ts';
import { type GroupView, isUnderRepair, type MemberView } from './group-view.ts';
import type { Course } from './wish.ts';

/** Of what is committed, from the start of the log: the end of what the node surely has. */
export function provenIndexOf(member: MemberView, { commitIndex }: GroupView): number {
  const counts = member.isActive && !isUnderRepair(member);
  return counts ? Math.min(member.durableIndex, commitIndex) : 0;
}

/** Somebody who stays has everything: what leaves is not the only copy of anything. */
export function soleCopyCheck({ leavers, votersAfter }: Course, view: GroupView): Check {
  const staying = view.members.filter(({ nodeId }) => votersAfter.includes(nodeId));
  const best = bestOf(staying, view);
  const provenIndex = best === null ? 0 : provenIndexOf(best, view);
  const missing = rangeText(provenIndex, view);
  const isSafe = missing === null;
  return check('soleCopy', isSafe, {
    subject: isSafe ? null : (leavers[0] ?? null),
    observed: isSafe
      ? `${best?.nodeId ?? 'nobody'} stays and has everything up to ${view.commitIndex}`
      : `${missing} are proven on nobody who stays (${provenTexts(staying, view)}); ` +
        `${leavers.join(', ')} may have the only copy`,
    limit: `a voter that stays, is heard and whole, and has everything up to ${view.commitIndex}`,
    remedy:
      'let one who stays catch up or repair its log first: `mq-raft status`, `mq-raft repair --status`',
  });
}

/** Of `check`: the loss of any one disk loses nothing. A group of one has chosen otherwise, and is told. */
export function twoCopiesCheck(view: GroupView): Check {
  const { members, membership } = view;
  const proven = members.map((member) => provenIndexOf(member, view)).toSorted((a, b) => b - a);
  const onceFrom = rangeText(proven[1] ?? 0, view);
  const isAlone = membership.voters.length === 1 && proven[0] === view.commitIndex;
  const holder = bestOf(members, view)?.nodeId ?? null;
  const verdict = onceFrom === null ? 'ok' : isAlone ? 'warning' : 'failed';
  return checkOf('twoCopies', verdict, {
    subject: verdict === 'ok' ? null : holder,
    observed:
      onceFrom === null
        ? `everything up to ${view.commitIndex} is on two nodes`
        : `${onceFrom} are proven on fewer than two nodes: ${provenTexts(members, view)}`,
    limit: 'two copies of everything that is committed, on nodes that are heard and whole',
    remedy: isAlone
      ? 'add members: what one disk holds is lost with it'
      : `do not stop ${holder ?? 'anybody'}; wait until another one has caught up or is repaired`,
  });
}

function bestOf(members: readonly MemberView[], view: GroupView): MemberView | null {
  const [best] = members.toSorted((a, b) => provenIndexOf(b, view) - provenIndexOf(a, view));
  return best ?? null;
}

/** `entries 501 to 1000`; null: none is beyond. */
function rangeText(provenIndex: number, { commitIndex }: GroupView): string | null {
  return provenIndex >= commitIndex ? null : `entries ${provenIndex + 1} to ${commitIndex}`;
}

/** `n1 up to 1000, n2 under repair, n3 silent`. */
function provenTexts(members: readonly MemberView[], view: GroupView): string {
  const texts = members.map((member) => {
    const { nodeId, isActive } = member;
    if (!isActive) return `${nodeId} silent`;
    if (isUnderRepair(member)) return `${nodeId} under repair`;
    return `${nodeId} up to ${provenIndexOf(member, view)}`;
  });
  return texts.join(', ') || 'nobody stays';
}
