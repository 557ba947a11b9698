/** What a search must have seen happen at some node before its silence means anything. */
import { isJoint } from '../../../src/raft/membership.ts';
import { type LocalAction, type LocalEvent, type LocalFacts, termAt } from './local-action.ts';

export type Mark =
  | 'elected'
  | 'committed'
  | 'acknowledged'
  | 'cut'
  | 'restarted'
  | 'jointLeft'
  | 'membershipRolledBack'
  | 'snapshotInstalled'
  | 'readConfirmed'
  | 'readRefused'
  | 'stoodForTransfer';

export interface LocalStep {
  readonly action: LocalAction;
  readonly before: LocalFacts;
  readonly after: LocalFacts;
  readonly events: readonly LocalEvent[];
}

export function marksOf({ action, before, after, events }: LocalStep): readonly Mark[] {
  if (action.kind === 'crash') return ['restarted'];
  const marks: Mark[] = [];
  if (before.role !== 'leader' && after.role === 'leader') marks.push('elected');
  if (after.commitIndex > before.commitIndex) marks.push('committed');
  if (isCut(before, after)) marks.push('cut');
  const isReceived = action.kind === 'receive';
  if (isReceived && after.log.base.index > before.log.base.index) marks.push('snapshotInstalled');
  const isAsked = isReceived && action.message.kind === 'campaignNow';
  if (isAsked && after.role === 'candidate') marks.push('stoodForTransfer');
  const [was, is] = [before.memberships.at(-1), after.memberships.at(-1)];
  if (was !== undefined && is !== undefined) {
    if (is.index < was.index) marks.push('membershipRolledBack');
    const leaves = isJoint(was.membership) && !isJoint(is.membership);
    if (leaves && is.index > was.index) marks.push('jointLeft');
  }
  for (const { kind } of events) {
    if (kind === 'acknowledged' || kind === 'readConfirmed') marks.push(kind);
    if (kind === 'readOver') marks.push('readRefused');
  }
  return marks;
}

function isCut({ log: before }: LocalFacts, { log: after }: LocalFacts): boolean {
  if (before.base.index !== after.base.index) return false;
  return before.terms.some((term, i) => termAt(after, before.base.index + i + 1) !== term);
}
