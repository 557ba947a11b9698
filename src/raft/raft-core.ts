/**
 * One replica's part in consensus: inputs in, effects out. No clock, no socket, no disk, no promise:
 * the same start, the same draws and the same inputs give the same effects.
 *
 * Here: dispatch by input, by the term of a message and by role. The moves are in follower.ts,
 * candidate.ts, leader.ts and vote.ts; what is assumed by all of them in core-state.ts.
 *
 * Requires of the driver:
 * - Persists are performed in the order of their tokens, and each token is fed back once.
 * - `after` messages leave when their persist is durable; the other effects in their order, at once.
 * - A message from a peer may be lost, repeated, late or out of order, but not altered.
 *
 * Sources: Raft (Ongaro, Ousterhout 2014) and Ongaro's thesis, cited where they are followed.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { RandomSource } from '../base/prng.ts';
import { advance, type LogIndex, type NodeId } from '../base/units.ts';
import { onElectionTick, onHardStateDurable, onPreVoteReply, onVoteReply } from './candidate.ts';
import { CoreState } from './core-state.ts';
import type {
  CoreConfig,
  CoreStart,
  CoreStatus,
  PeerProgress,
  ProposalPlacement,
  TermLookup,
} from './core-types.ts';
import type { Effect, Input } from './effects.ts';
import type { EntryDesc } from './entry.ts';
import { onAppendRequest, onHeartbeat, reportLog } from './follower.ts';
import { assertAfterStep, rememberBefore } from './invariants.ts';
import {
  advanceCommit,
  onAppendAccepted,
  onAppendRejected,
  onHeartbeatReply,
  onLeaderTick,
  onPeerUnreachable,
  onPropose,
} from './leader.ts';
import { STRANGERS_REMEMBERED_MAX } from './limits.ts';
import type {
  AppendAccepted,
  AppendRejected,
  AppendRequest,
  Heartbeat,
  HeartbeatReply,
  Message,
} from './messages.ts';
import { becomeFollower } from './role-change.ts';
import { type SafetyRules, standardRules } from './rules.ts';
import { onPreVoteRequest, onVoteRequest } from './vote.ts';

export type {
  CoreConfig,
  CoreStart,
  CoreStatus,
  PeerProgress,
  ProgressState,
  ProposalPlacement,
  TermLookup,
} from './core-types.ts';

/** Messages of a leadership: those of an older term are void, those of a newer one end ours. */
type LeadershipMessage =
  | AppendRequest
  | AppendAccepted
  | AppendRejected
  | Heartbeat
  | HeartbeatReply;

export class RaftCore {
  readonly #state: CoreState;
  readonly #strangers = new Set<NodeId>();

  constructor(
    config: CoreConfig,
    start: CoreStart,
    random: RandomSource,
    rules: SafetyRules = standardRules,
  ) {
    assertConfig(config);
    this.#state = new CoreState(config, start, random, rules);
  }

  step(input: Input): readonly Effect[] {
    const state = this.#state;
    const before = rememberBefore(state);
    const roleBefore = this.#roleEffect();
    this.#dispatch(input);
    const effects = state.finishStep();
    const role = this.#roleEffect();
    const isRoleChange =
      role.role !== roleBefore.role ||
      role.term !== roleBefore.term ||
      role.leader !== roleBefore.leader;
    if (isRoleChange) effects.unshift(role);
    assertAfterStep(state, before, effects);
    return effects;
  }

  /**
   * Where a proposal of this payload size would be placed by the next step, null when we do not
   * lead. What the payload says about its own place can be written before it is proposed.
   */
  placementFor(payloadSizeBytes: number): ProposalPlacement | null {
    const { role, log, term } = this.#state;
    if (role.kind !== 'leader') return null;
    const { fillerSizeBytes, physicalOffset } = log.place(payloadSizeBytes);
    const index = advance(log.lastIndex, fillerSizeBytes > 0 ? 2 : 1);
    return { index, term, fillerSizeBytes, physicalOffset };
  }

  status(): CoreStatus {
    const { config, role, term, votedFor, leader, log, durability } = this.#state;
    const { commitIndex, appliedIndex } = this.#state;
    return {
      self: config.self,
      role: role.kind,
      term,
      votedFor,
      leader,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      durableIndex: durability.durableIndex,
      commitIndex,
      appliedIndex,
      endOffset: log.endOffset,
      peers: this.#peers(),
    };
  }

  entryAt(index: LogIndex): EntryDesc | null {
    return this.#state.log.entryAt(index);
  }

  termAt(index: LogIndex): TermLookup {
    return this.#state.log.termAt(index);
  }

  #dispatch(input: Input): void {
    const state = this.#state;
    switch (input.kind) {
      case 'tick':
        this.#onTick();
        return;
      case 'receive':
        this.#onReceive(input.from, input.message);
        return;
      case 'propose':
        onPropose(state, input.proposals);
        return;
      case 'persisted':
        this.#onPersisted(input.token);
        return;
      case 'applied':
        state.onApplied(input.index);
        return;
      case 'peerUnreachable':
        if (state.role.kind === 'leader') onPeerUnreachable(state.role, input.peer);
        return;
      default:
        unreachable(input);
    }
  }

  #onTick(): void {
    const state = this.#state;
    state.nowTicks += 1;
    if (state.role.kind === 'leader') onLeaderTick(state, state.role);
    else onElectionTick(state);
  }

  #onPersisted(token: number): void {
    const state = this.#state;
    state.durability.complete(token);
    onHardStateDurable(state);
    if (state.role.kind === 'leader') advanceCommit(state, state.role);
  }

  #onReceive(from: NodeId, message: Message): void {
    const state = this.#state;
    if (!state.others.includes(from)) {
      this.#onStranger(from, message);
      return;
    }
    switch (message.kind) {
      case 'preVoteRequest':
        onPreVoteRequest(state, from, message);
        return;
      case 'preVoteReply':
        onPreVoteReply(state, from, message);
        return;
      case 'voteRequest':
        onVoteRequest(state, from, message);
        return;
      case 'voteReply':
        onVoteReply(state, from, message);
        return;
      case 'appendRequest':
      case 'appendAccepted':
      case 'appendRejected':
      case 'heartbeat':
      case 'heartbeatReply':
        this.#onLeadershipMessage(from, message);
        return;
      default:
        unreachable(message);
    }
  }

  #onLeadershipMessage(from: NodeId, message: LeadershipMessage): void {
    const state = this.#state;
    const isFromLeader = message.kind === 'appendRequest' || message.kind === 'heartbeat';
    if (message.term < state.term) {
      // Pre-vote keeps us from campaigning against a leader that hears only others: without this
      // answer we would stay outside of its group, and it would never learn why (etcd raft Step).
      if (isFromLeader) reportLog(state, from);
      return;
    }
    if (message.term > state.term) becomeFollower(state, message.term, isFromLeader ? from : null);
    const { role } = state;
    switch (message.kind) {
      case 'appendRequest':
        onAppendRequest(state, from, message);
        return;
      case 'heartbeat':
        onHeartbeat(state, from, message);
        return;
      case 'appendAccepted':
        if (role.kind === 'leader') onAppendAccepted(state, role, from, message);
        return;
      case 'appendRejected':
        if (role.kind === 'leader') onAppendRejected(state, role, from, message);
        return;
      case 'heartbeatReply':
        if (role.kind === 'leader') onHeartbeatReply(state, role, from, message);
        return;
      default:
        unreachable(message);
    }
  }

  /** One alarm per stranger; the message has no effect. */
  #onStranger(from: NodeId, message: Message): void {
    assert(from !== this.#state.config.self, 'nobody writes letters to himself', () => message);
    if (this.#strangers.has(from) || this.#strangers.size >= STRANGERS_REMEMBERED_MAX) return;
    this.#strangers.add(from);
    const details = { from, message: message.kind };
    this.#state.outbox.notify({ kind: 'alarm', id: 'strangerMessage', details });
  }

  #roleEffect(): Extract<Effect, { kind: 'role' }> {
    const { role, term, leader } = this.#state;
    return { kind: 'role', role: role.kind, term, leader };
  }

  #peers(): readonly PeerProgress[] {
    const { role, log } = this.#state;
    if (role.kind !== 'leader') return [];
    return [...role.peers].map(([nodeId, progress]) => ({
      nodeId,
      matchIndex: progress.matchIndex,
      nextIndex: progress.nextIndex,
      state: progress.state,
      lagBytes: log.endOffset - log.endOffsetOf(progress.matchIndex),
    }));
  }
}

function assertConfig(config: CoreConfig): void {
  const { electionTimeoutTicksMin: min, electionTimeoutTicksMax: max } = config;
  assert(config.voters.includes(config.self), 'a replica is in its group', () => config);
  assert(new Set(config.voters).size === config.voters.length, 'voters differ', () => config);
  assert(config.heartbeatTicks >= 1, 'a heartbeat takes a tick', () => config);
  assert(min > config.heartbeatTicks, 'a heartbeat is faster than an election', () => config);
  assert(max > min, 'election timeouts differ', () => config);
  assert(config.inflightCountMax >= 1, 'a peer may be sent something', () => config);
}
