/** Reads on a leader: when they start, who confirms them (Raft thesis 6.4, read-rounds.ts). */
import type { CoreState } from './core-state.ts';
import { agreedNumber } from './quorum.ts';
import { sendHeartbeats } from './replication.ts';
import { refuseRead } from './role-change.ts';
import type { LeaderState } from './role-state.ts';

export function onRead(state: CoreState, tag: number): void {
  const { role, rules } = state;
  if (role.kind !== 'leader') {
    refuseRead(state, tag, 'notLeader');
  } else if (role.reads.isFull) {
    refuseRead(state, tag, 'tooMany');
  } else if (rules.readWaitsForOwnTermCommit() && !state.hasCommittedInOwnTerm) {
    role.reads.addEarly(tag);
  } else if (!rules.readWaitsForRound()) {
    const index = state.commitIndex;
    state.outbox.notify({ kind: 'readResult', tag, result: 'confirmed', index });
  } else {
    startRead(state, role, tag);
  }
}

export function startRead(state: CoreState, leader: LeaderState, tag: number): void {
  if (!leader.reads.add(tag, state.commitIndex)) return;
  sendHeartbeats(state, leader);
  confirmReads(state, leader);
}

/**
 * After an answer, and at every tick: a membership that comes into force can complete a round without
 * any answer, when whoever is left to decide has answered already.
 */
export function confirmReads(state: CoreState, leader: LeaderState): void {
  if (leader.reads.waitingCount === 0) return;
  for (;;) {
    // Ends: each turn confirms the reads of a round, and none arrive meanwhile.
    const own = leader.reads.round;
    const answered = agreedNumber(state.decidingSets, (voter) =>
      voter === state.self ? own : (leader.peers.get(voter)?.confirmedRound ?? 0),
    );
    const { reads, begins } = leader.reads.confirm(answered);
    for (const read of reads) {
      state.outbox.notify({ kind: 'readResult', result: 'confirmed', ...read });
    }
    if (!begins) return;
    sendHeartbeats(state, leader);
  }
}
