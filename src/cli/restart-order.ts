/** Which node a rolling restart turns to next. */
import type { NodeId } from '../base/units.ts';
import type { MembersReport } from '../protocol/admin-report.ts';

/** @param startedAtMs when its process started, by the clock of whoever asks; null: it does not answer */
export type StartedAt = (nodeId: NodeId) => number | null;

/**
 * One that is half done comes first, the leader last: one move of the leadership in all. Learners are not
 * among them: nothing depends on them.
 *
 * @param sinceMs processes that started later are done
 * @returns null: nothing is left to do
 */
export function nextToRestart(
  { voters, members, leader }: Pick<MembersReport, 'voters' | 'members' | 'leader'>,
  startedAt: StartedAt,
  sinceMs: number,
): NodeId | null {
  const isDrained = (nodeId: NodeId): boolean =>
    members.some((member) => member.nodeId === nodeId && member.isDrained);
  const isDone = (nodeId: NodeId): boolean => hasStarted(startedAt(nodeId), sinceMs);
  const halfDone = voters.filter(isDrained);
  const others = voters.filter((nodeId) => !isDone(nodeId));
  const followers = others.filter((nodeId) => nodeId !== leader);
  return halfDone[0] ?? followers[0] ?? others[0] ?? null;
}

export function hasStarted(startedAtMs: number | null, sinceMs: number): boolean {
  return startedAtMs !== null && startedAtMs >= sinceMs;
}

/** @returns what keeps the group from deciding while this voter is away, in words; null: nothing */
export function missingWithout(
  { voters, members }: Pick<MembersReport, 'voters' | 'members'>,
  away: NodeId,
): string | null {
  const needed = Math.floor(voters.length / 2) + 1;
  const live = voters.filter(
    (nodeId) =>
      nodeId !== away &&
      members.some((member) => member.nodeId === nodeId && member.isLive === true),
  );
  if (live.length >= needed) return null;
  const who = live.length === 0 ? 'none is' : `only ${live.join(', ')} live`;
  return `without ${away}, ${needed} of {${voters.join(',')}} must be live, and ${who}`;
}
