/**
 * Classic mistakes, planted in the driver, in the disk or in the core's rules, to prove that the
 * simulator would find them. Test code only: production has no switch for any of this.
 */
import { LogIndex, Term } from '../../src/base/units.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { SafetyRules } from '../../src/raft/rules.ts';
import type { SimNode } from './node.ts';

export type DriverBug =
  /** Sends what a persist holds back without waiting for it. */
  | 'repliesBeforeDurable'
  /** Tells clients of success when the entry is appended. */
  | 'acknowledgesUnapplied'
  /** Makes every append look as if it followed an entry that matches (Raft 5.3 left out). */
  | 'skipsPrevCheck'
  /** Heartbeats carry the leader's commit, not what the receiver is known to hold (hazard H12). */
  | 'heartbeatsCommitPastMatch'
  /** Says yes to every candidate of the current term. */
  | 'grantsEveryVote';

export type DiskBug =
  /** After a restart the vote is gone. */
  | 'votesForgotten'
  /** After a restart the term is that of the last entry. */
  | 'termsForgotten';

export interface PlantedBugs {
  readonly rules: SafetyRules | null;
  readonly driver: DriverBug | null;
  readonly disk: DiskBug | null;
}

export const NO_BUGS: PlantedBugs = { rules: null, driver: null, disk: null };

export function falsifySent(bug: DriverBug | null, node: SimNode, message: Message): Message {
  if (bug !== 'heartbeatsCommitPastMatch' || message.kind !== 'heartbeat') return message;
  return { ...message, commitIndex: node.status.commitIndex };
}

export function falsifyReceived(bug: DriverBug | null, node: SimNode, message: Message): Message {
  if (bug === 'skipsPrevCheck' && message.kind === 'appendRequest') {
    const own = node.log[message.prev.index - 1];
    return own === undefined ? message : { ...message, prev: { term: own.term, index: own.index } };
  }
  if (bug === 'heartbeatsCommitPastMatch' && message.kind === 'heartbeat') {
    const lastIndex = node.log.at(-1)?.index ?? message.commitIndex;
    const commitIndex = LogIndex(Math.min(message.commitIndex, lastIndex));
    return { ...message, commitIndex };
  }
  return message;
}

/** @returns a vote that the core never gave. */
export function forgeVote(bug: DriverBug | null, node: SimNode, message: Message): Message | null {
  if (bug !== 'grantsEveryVote' || message.kind !== 'voteRequest') return null;
  const isBehind = message.last.index < (node.log.at(-1)?.index ?? 0);
  if (isBehind || message.term < node.status.term) return null;
  return { kind: 'voteReply', term: Term(message.term), granted: true };
}
