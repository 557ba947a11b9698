/**
 * Leading: placing proposals in the log, bringing the peers' logs to ours, deciding what is committed.
 *
 * - The first entry of a leadership is a no-op of its own term: without it nothing older could be
 *   committed (Raft 5.4.2, 8).
 * - An entry is committed when it is of our term and durable on a majority, ourselves counted by our
 *   own disk like everybody else (L2, L3).
 * - A leader that has not heard a majority for an election timeout stops leading (CheckQuorum), and
 *   so does one that is heard but whose entries no majority takes over (L8).
 */
import { assert } from '../base/assert.ts';
import { advance, LogIndex, type NodeId } from '../base/units.ts';
import type { CoreState } from './core-state.ts';
import type { Proposal } from './effects.ts';
import { continueHandover, tickHandover } from './handover.ts';
import { appendEntry, hasRoomFor } from './leader-log.ts';
import { confirmReads, startRead } from './leader-reads.ts';
import type { AppendAccepted, AppendRejected, HeartbeatReply } from './messages.ts';
import { peersOf } from './peers.ts';
import type { Progress } from './progress.ts';
import { agreedIndex, holdsMajority } from './quorum.ts';
import { ReadRounds } from './read-rounds.ts';
import { settleMembership } from './reconfigure.ts';
import { sendAppends, sendHeartbeats, sendToAll } from './replication.ts';
import { becomeFollower } from './role-change.ts';
import type { LeaderState } from './role-state.ts';

export function becomeLeader(state: CoreState): void {
  assert(state.role.kind === 'candidate', 'only a candidate becomes leader (Raft 5.2)');
  assert(state.votedFor === state.self && state.isHardStateDurable, 'our own vote is durable');

  const { log, nowTicks } = state;
  const leader: LeaderState = {
    kind: 'leader',
    peers: peersOf(state),
    reads: new ReadRounds(state.rules),
    heartbeatElapsedTicks: 0,
    openSizeBytes: 0,
    durableSeen: state.durability.durableIndex,
    durableMovedAtTicks: nowTicks,
    handover: null,
    wellSinceTicks: nowTicks,
  };
  const firstOpen = advance(state.applyingIndex, 1);
  for (let index = firstOpen; index <= log.lastIndex; index = advance(index, 1)) {
    leader.openSizeBytes += log.proposedSizeBytesOf(index);
  }
  state.role = leader;
  state.leader = state.self;
  state.hasKnownLeader = true;
  state.drawElectionTimeout();
  state.tags.begin(state.term, state.commitIndex);
  appendEntry(state, leader, { type: 'noop', payloadSizeBytes: 0, payloadCrc: 0 });
  sendToAll(state, leader);
}

export function onLeaderTick(state: CoreState, leader: LeaderState): void {
  if (!hearsMajority(state, leader) || isStuck(state, leader)) {
    becomeFollower(state, state.term, null);
    return;
  }
  tickHandover(state, leader);
  confirmReads(state, leader);
  leader.heartbeatElapsedTicks += 1;
  if (leader.heartbeatElapsedTicks >= state.config.heartbeatTicks) sendHeartbeats(state, leader);
}

export function onPropose(state: CoreState, proposals: readonly Proposal[]): void {
  const { role, outbox } = state;
  for (const proposal of proposals) {
    const { tag } = proposal;
    const why = refusalOf(state, proposal);
    if (why !== null) {
      outbox.notify({ kind: 'proposeResult', tag, result: 'rejected', why });
      continue;
    }
    assert(role.kind === 'leader', 'only a leader accepts');
    const index = appendEntry(state, role, proposal);
    state.tags.add(index, tag);
    outbox.notify({ kind: 'proposeResult', tag, result: 'accepted', index, term: state.term });
  }
  if (role.kind === 'leader') sendToAll(state, role);
}

export function onAppendAccepted(
  state: CoreState,
  leader: LeaderState,
  from: NodeId,
  reply: AppendAccepted,
): void {
  const { matchIndex } = reply;
  assert(matchIndex <= state.log.lastIndex, 'a peer accepts what we sent', () => ({ matchIndex }));
  const progress = heardFrom(state, leader, from);
  const firstIndex = advance(state.log.baseIndex, 1);
  if (!progress?.onAccepted(matchIndex, state.nowTicks, firstIndex)) return;
  advanceCommit(state, leader);
  // Committing our own removal ends our leadership.
  if (state.role !== leader) return;
  sendAppends(state, from, progress);
  continueHandover(state, leader);
}

export function onAppendRejected(
  state: CoreState,
  leader: LeaderState,
  from: NodeId,
  { rejected, hint }: AppendRejected,
): void {
  const { log } = state;
  // Below our base there is nothing to compare: only a snapshot can help, and the hint says so.
  const mayMatchAt = hint.index < log.baseIndex ? hint.index : log.hintFor(hint).index;
  const progress = heardFrom(state, leader, from);
  if (progress?.onRejected(rejected.index, mayMatchAt)) sendAppends(state, from, progress);
}

export function onHeartbeatReply(
  state: CoreState,
  leader: LeaderState,
  from: NodeId,
  reply: HeartbeatReply,
): void {
  const progress = heardFrom(state, leader, from);
  if (progress === null) return;
  const { matchIndex } = progress;
  const verdict = progress.onReport(reply, state.nowTicks);
  if (verdict === 'lostLog') {
    const { lastIndex, durableIndex } = reply;
    const details = { peer: from, matchIndex, lastIndex, durableIndex };
    state.outbox.notify({ kind: 'alarm', id: 'followerLostLog', details });
  }
  progress.onRound(reply.round);
  confirmReads(state, leader);
  sendAppends(state, from, progress);
  continueHandover(state, leader);
}

/** Called whenever a copy became durable, here or at a peer. */
export function advanceCommit(state: CoreState, leader: LeaderState): void {
  const index = agreedIndex(state.decidingSets, (voter) => reachedBy(state, leader, voter));
  if (index <= state.commitIndex) return;
  // An entry of an older term may be on a majority and still be overwritten (Raft figure 8).
  const { term } = state.log.idAt(index);
  if (!state.rules.mayCommitByCounting(term, state.term)) return;
  state.commitTo(index);
  for (const tag of leader.reads.takeEarly()) startRead(state, leader, tag);
  settleMembership(state, leader);
}

function refusalOf(
  state: CoreState,
  proposal: Proposal,
): 'notLeader' | 'uncommittedBytesFull' | 'transferring' | null {
  const { role } = state;
  if (role.kind !== 'leader') return 'notLeader';
  if (role.handover !== null) return 'transferring';
  return hasRoomFor(state, role, proposal.payloadSizeBytes) ? null : 'uncommittedBytesFull';
}

function reachedBy(state: CoreState, leader: LeaderState, voter: NodeId): LogIndex {
  if (voter === state.self) return state.countableIndex;
  return leader.peers.get(voter)?.matchIndex ?? LogIndex(0);
}

function hearsMajority(state: CoreState, leader: LeaderState): boolean {
  return holdsMajority(state.decidingSets, (voter) => {
    return voter === state.self || leader.peers.get(voter)?.isSilent(state.nowTicks) === false;
  });
}

/**
 * Heartbeats are answered, and for long no majority has taken over what we appended: the way for large
 * messages is cut, or disks hang, ours counted like the others (L8, H27).
 */
function isStuck(state: CoreState, leader: LeaderState): boolean {
  const { nowTicks, log, durability } = state;
  const { progressTimeoutTicks } = state.config;
  if (durability.durableIndex === log.lastIndex || durability.durableIndex !== leader.durableSeen) {
    leader.durableSeen = durability.durableIndex;
    leader.durableMovedAtTicks = nowTicks;
  }
  for (const progress of leader.peers.values()) progress.onTick(log.lastIndex, nowTicks);
  return !holdsMajority(state.decidingSets, (voter) => {
    if (voter === state.self) return nowTicks - leader.durableMovedAtTicks < progressTimeoutTicks;
    return leader.peers.get(voter)?.isMoving(nowTicks, progressTimeoutTicks) === true;
  });
}

/** @returns null for a node that is not a member: what it says counts for nothing. */
function heardFrom(state: CoreState, leader: LeaderState, peer: NodeId): Progress | null {
  const progress = leader.peers.get(peer) ?? null;
  progress?.onHeard(state.nowTicks);
  return progress;
}
