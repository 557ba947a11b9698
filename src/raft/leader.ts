/**
 * Leading: placing proposals in the log, bringing the peers' logs to ours, deciding what is committed.
 *
 * - The first entry of a leadership is a no-op of its own term: without it nothing older could be
 *   committed (Raft 5.4.2, 8).
 * - An entry is committed when it is of our term and durable on a majority, ourselves counted by our
 *   own disk like everybody else (L2, L3).
 * - A leader that has not heard a majority for an election timeout stops leading (CheckQuorum).
 */
import { assert } from '../base/assert.ts';
import { advance, type LogIndex, type NodeId } from '../base/units.ts';
import type { CoreState, LeaderState } from './core-state.ts';
import type { Proposal } from './effects.ts';
import { ENTRY_HEADER_SIZE_BYTES, entrySizeBytes } from './entry.ts';
import type { AppendAccepted, AppendRejected, HeartbeatReply } from './messages.ts';
import { Progress } from './progress.ts';
import { majorityIndex, majorityOf } from './quorum.ts';
import { sendAppends, sendHeartbeat } from './replication.ts';
import { becomeFollower } from './role-change.ts';

export function becomeLeader(state: CoreState): void {
  const { self } = state.config;
  assert(state.role.kind === 'candidate', 'only a candidate becomes leader (Raft 5.2)');
  assert(state.votedFor === self && state.isHardStateDurable, 'our own vote is durable');

  const { log, nowTicks } = state;
  const leader: LeaderState = {
    kind: 'leader',
    peers: new Map(state.others.map((peer) => [peer, progressOf(state, nowTicks)])),
    heartbeatElapsedTicks: 0,
    openSizeBytes: 0,
  };
  for (
    let index = advance(state.applyingIndex, 1);
    index <= log.lastIndex;
    index = advance(index, 1)
  ) {
    leader.openSizeBytes += log.proposedSizeBytesOf(index);
  }
  state.role = leader;
  state.leader = self;
  state.drawElectionTimeout();
  state.tags.begin(state.term, state.commitIndex);
  appendEntry(state, leader, { type: 'noop', payloadSizeBytes: 0, payloadCrc: 0 });
  sendToAll(state, leader);
}

export function onLeaderTick(state: CoreState, leader: LeaderState): void {
  if (!hearsMajority(state, leader)) {
    becomeFollower(state, state.term, null);
    return;
  }
  leader.heartbeatElapsedTicks += 1;
  if (leader.heartbeatElapsedTicks < state.config.heartbeatTicks) return;
  leader.heartbeatElapsedTicks = 0;
  for (const [peer, progress] of leader.peers) sendHeartbeat(state, peer, progress);
}

export function onPropose(state: CoreState, proposals: readonly Proposal[]): void {
  const { role, outbox } = state;
  for (const proposal of proposals) {
    const { tag } = proposal;
    if (role.kind !== 'leader') {
      outbox.notify({ kind: 'proposeResult', tag, result: 'rejected', why: 'notLeader' });
    } else if (!hasRoomFor(state, role, proposal)) {
      const why = 'uncommittedBytesFull';
      outbox.notify({ kind: 'proposeResult', tag, result: 'rejected', why });
    } else {
      const isProposable = proposal.type === 'data' || proposal.type === 'config';
      assert(isProposable, 'no-ops and fillers are the business of the core', () => proposal);
      const index = appendEntry(state, role, proposal);
      state.tags.add(index, tag);
      outbox.notify({ kind: 'proposeResult', tag, result: 'accepted', index, term: state.term });
    }
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
  if (!progress.onAccepted(matchIndex, state.nowTicks)) return;
  advanceCommit(state, leader);
  sendAppends(state, from, progress);
}

export function onAppendRejected(
  state: CoreState,
  leader: LeaderState,
  from: NodeId,
  reply: AppendRejected,
): void {
  const progress = heardFrom(state, leader, from);
  const { index: mayMatchAt } = state.log.hintFor(reply.hint);
  if (progress.onRejected(reply.rejected.index, mayMatchAt)) sendAppends(state, from, progress);
}

export function onHeartbeatReply(
  state: CoreState,
  leader: LeaderState,
  from: NodeId,
  reply: HeartbeatReply,
): void {
  const progress = heardFrom(state, leader, from);
  const { matchIndex } = progress;
  const verdict = progress.onReport(reply, state.nowTicks);
  if (verdict === 'lostLog') {
    const { lastIndex, durableIndex } = reply;
    const details = { peer: from, matchIndex, lastIndex, durableIndex };
    state.outbox.notify({ kind: 'alarm', id: 'followerLostLog', details });
  }
  sendAppends(state, from, progress);
}

export function onPeerUnreachable(leader: LeaderState, peer: NodeId): void {
  leader.peers.get(peer)?.onUnreachable();
}

/** Called whenever a copy became durable, here or at a peer. */
export function advanceCommit(state: CoreState, leader: LeaderState): void {
  const reached = [state.countableIndex];
  for (const progress of leader.peers.values()) reached.push(progress.matchIndex);
  const index = majorityIndex(reached);
  if (index <= state.commitIndex) return;
  // An entry of an older term may be on a majority and still be overwritten (Raft figure 8).
  const { term } = state.log.idAt(index);
  if (state.rules.mayCommitByCounting(term, state.term)) state.commitTo(index);
}

/** Places an entry at the end of the log, after a filler when the segment has no room for it. */
function appendEntry(
  state: CoreState,
  leader: LeaderState,
  content: Pick<Proposal, 'type' | 'payloadSizeBytes' | 'payloadCrc'>,
): LogIndex {
  const { log, term } = state;
  const { fillerSizeBytes, physicalOffset, sizeBytes } = log.place(content.payloadSizeBytes);
  if (fillerSizeBytes > 0) {
    assert(fillerSizeBytes >= ENTRY_HEADER_SIZE_BYTES, 'a filler has a header');
    state.append({
      index: advance(log.lastIndex, 1),
      term,
      type: 'filler',
      physicalOffset: log.nextOffset,
      sizeBytes: fillerSizeBytes,
      payloadSizeBytes: 0,
      payloadCrc: 0,
    });
  }
  const index = advance(log.lastIndex, 1);
  const { type, payloadSizeBytes, payloadCrc } = content;
  state.append({ index, term, type, physicalOffset, sizeBytes, payloadSizeBytes, payloadCrc });
  leader.openSizeBytes += sizeBytes;
  return index;
}

/** Before the append, never after: what is in the log can only be waited for. */
function hasRoomFor(state: CoreState, leader: LeaderState, proposal: Proposal): boolean {
  const sizeBytes = entrySizeBytes(proposal.payloadSizeBytes);
  return leader.openSizeBytes + sizeBytes <= state.config.uncommittedSizeBytesMax;
}

function sendToAll(state: CoreState, leader: LeaderState): void {
  for (const [peer, progress] of leader.peers) sendAppends(state, peer, progress);
}

/** Ourselves included. */
function hearsMajority(state: CoreState, leader: LeaderState): boolean {
  let activeCount = 1;
  for (const { heardAtTicks } of leader.peers.values()) {
    if (state.nowTicks - heardAtTicks <= state.config.electionTimeoutTicksMin) activeCount += 1;
  }
  return activeCount >= majorityOf(state.config.voters.length);
}

function heardFrom(state: CoreState, leader: LeaderState, peer: NodeId): Progress {
  const progress = leader.peers.get(peer);
  assert(progress !== undefined, 'a leader tracks every peer', () => ({ peer }));
  progress.onHeard(state.nowTicks);
  return progress;
}

function progressOf(state: CoreState, nowTicks: number): Progress {
  const { config, log } = state;
  const limits = {
    inflightCountMax: config.inflightCountMax,
    inflightSizeBytesMax: config.inflightSizeBytesMax,
    patienceTicks: config.heartbeatTicks,
    lostLogTicks: config.electionTimeoutTicksMax,
  };
  return new Progress(limits, advance(log.lastIndex, 1), nowTicks);
}
