/**
 * From where on the log is needed: a pure answer to "which entries may the group give up now?" (H17).
 * Asked by the leader. Nothing goes that is not applied here; nothing that a living member still has to
 * get, where living means that it was heard within a grace. Only when the disk is nearly full do members
 * not count: they will be sent a snapshot, which is slow, while a full disk stops everybody.
 *
 * That derived state can be made again is not asked here: each replica removes files only behind a durable
 * snapshot of its own (log-compactor.ts).
 */
import { advance, LogIndex, type NodeId } from '../../base/units.ts';

export interface MemberNeed {
  readonly nodeId: NodeId;
  /** Known to be durable there. */
  readonly matchIndex: LogIndex;
  /** Since we have heard of it last, or began to lead. */
  readonly silentMs: number;
}

export interface LogNeeds {
  /** Entries before this one are needed by nobody who counts. */
  readonly removableBefore: LogIndex;
  /** Who needs more than that, and does not count. */
  readonly overridden: readonly NodeId[];
}

export interface NeedsOptions {
  readonly appliedIndex: LogIndex;
  readonly members: readonly MemberNeed[];
  readonly graceMs: number;
  readonly isDiskNearlyFull: boolean;
}

export function logNeeds({
  appliedIndex,
  members,
  graceMs,
  isDiskNearlyFull,
}: NeedsOptions): LogNeeds {
  const own = advance(appliedIndex, 1);
  const living = members.filter(({ silentMs }) => silentMs <= graceMs);
  const needs = Math.min(own, ...living.map(({ matchIndex }) => matchIndex + 1));
  if (!isDiskNearlyFull) return { removableBefore: LogIndex(needs), overridden: [] };
  const behind = living.filter(({ matchIndex }) => matchIndex < appliedIndex);
  return { removableBefore: own, overridden: behind.map(({ nodeId }) => nodeId) };
}
