/** What a replica keeps in each role, and forgets with it. */
import type { LogIndex, NodeId } from '../base/units.ts';
import type { EntryId } from './entry.ts';
import type { Progress } from './progress.ts';
import type { ReadRounds } from './read-rounds.ts';

export type RoleState =
  | { readonly kind: 'follower' }
  | PreCandidateState
  | { readonly kind: 'candidate'; readonly votes: Map<NodeId, boolean> }
  | LeaderState;

export interface PreCandidateState {
  readonly kind: 'preCandidate';
  readonly votes: Map<NodeId, boolean>;
  /** The longest log among those who answered, ours included. */
  longest: EntryId;
  /** Somebody, perhaps we, lost bytes of unknown fate in the last power cut. */
  hasSeenTornTail: boolean;
}

export interface LeaderState {
  readonly kind: 'leader';
  /** Every other member. */
  readonly peers: Map<NodeId, Progress>;
  readonly reads: ReadRounds;
  heartbeatElapsedTicks: number;
  /**
   * Size of the entries above `applyingIndex`. Counted from there and not from the commit index, so
   * that the window also bounds what a slow disk of our own leaves behind a fast majority.
   */
  openSizeBytes: number;
  /** Our own durable index at the last tick, and when it last moved or had nowhere to go. */
  durableSeen: LogIndex;
  durableMovedAtTicks: number;
  handover: Handover | null;
  /** Since when nothing has been wrong in the group. */
  wellSinceTicks: number;
}

/** Leadership on its way to another node: proposals are refused until it is there or given up. */
export interface Handover {
  readonly to: NodeId;
  /** null: our own idea, nobody waits for the outcome. */
  readonly tag: number | null;
  readonly startedAtTicks: number;
  /** The target has everything and was told to campaign. */
  isAsked: boolean;
}
