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
import { advance, type LogIndex, type NodeId, type Term } from '../base/units.ts';
import {
  onCampaignNow,
  onElectionTick,
  onHardStateDurable,
  onPreVoteReply,
  onVoteReply,
} from './candidate.ts';
import { CoreState } from './core-state.ts';
import type {
  CoreConfig,
  CoreStart,
  CoreStatus,
  ProposalPlacement,
  TermLookup,
} from './core-types.ts';
import type { Effect, Input } from './effects.ts';
import type { EntryDesc } from './entry.ts';
import { onAppendRequest, onHeartbeat, onInstallSnapshot, reportLog } from './follower.ts';
import { onTransfer } from './handover.ts';
import { assertAfterStep, rememberBefore } from './invariants.ts';
import {
  advanceCommit,
  onAppendAccepted,
  onAppendRejected,
  onHeartbeatReply,
  onLeaderTick,
  onPropose,
} from './leader.ts';
import { onRead } from './leader-reads.ts';
import { STRANGERS_REMEMBERED_MAX } from './limits.ts';
import { isMember, type LoggedMembership } from './membership.ts';
import type { Message } from './messages.ts';
import { peerStatuses } from './peers.ts';
import { onChangeMembership } from './reconfigure.ts';
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
type LeadershipMessage = Exclude<
  Message,
  { kind: 'preVoteRequest' | 'preVoteReply' | 'voteRequest' | 'voteReply' }
>;

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

  // Parts of the status that are asked for in every turn: the whole of it is made anew for each call.

  get term(): Term {
    return this.#state.term;
  }

  get commitIndex(): LogIndex {
    return this.#state.commitIndex;
  }

  get leader(): NodeId | null {
    return this.#state.leader;
  }

  get transferTo(): NodeId | null {
    const { role } = this.#state;
    return role.kind === 'leader' ? (role.handover?.to ?? null) : null;
  }

  status(): CoreStatus {
    const state = this.#state;
    const { role, log } = state;
    return {
      self: state.self,
      role: role.kind,
      term: state.term,
      votedFor: state.votedFor,
      leader: state.leader,
      baseIndex: log.baseIndex,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      durableIndex: state.durability.durableIndex,
      commitIndex: state.commitIndex,
      appliedIndex: state.appliedIndex,
      endOffset: log.endOffset,
      membership: state.membership,
      transferTo: this.transferTo,
      isDiskStalled: state.isDiskStalled,
      peers: peerStatuses(state),
    };
  }

  entryAt(index: LogIndex): EntryDesc | null {
    return this.#state.log.entryAt(index);
  }

  termAt(index: LogIndex): TermLookup {
    return this.#state.log.termAt(index);
  }

  /** In force when the log ended at `index`; requires an index of the log, or the base. */
  membershipAt(index: LogIndex): LoggedMembership {
    return this.#state.memberships.at(index);
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
      case 'snapshotSent':
      case 'snapshotFailed':
        this.#onDelivery(input);
        return;
      case 'resumed':
        state.electionElapsedTicks = 0;
        return;
      case 'diskHealth':
        this.#onDiskHealth(input.isStalled);
        return;
      case 'read':
        onRead(state, input.tag);
        return;
      case 'transfer':
        onTransfer(state, input.tag, input.to);
        return;
      case 'changeMembership':
        onChangeMembership(state, input);
        return;
      case 'compacted':
        state.compactTo(input.through);
        return;
      default:
        unreachable(input);
    }
  }

  /** What became of something that was on its way to a peer. */
  #onDelivery(
    input: Extract<Input, { kind: 'peerUnreachable' | 'snapshotSent' | 'snapshotFailed' }>,
  ): void {
    const { role, nowTicks } = this.#state;
    const progress = role.kind === 'leader' ? role.peers.get(input.peer) : undefined;
    if (input.kind === 'peerUnreachable') progress?.onUnreachable();
    else if (input.kind === 'snapshotFailed') progress?.onSnapshotFailed();
    else progress?.onSnapshotSent(input.index, nowTicks);
  }

  /** Whoever cannot write must not lead: its heartbeats alone would keep others away (H11). */
  #onDiskHealth(isStalled: boolean): void {
    const state = this.#state;
    state.isDiskStalled = isStalled;
    // A candidate as well: it must not win on the strength of the very write that was stuck.
    const isAmbitious = isStalled && state.role.kind !== 'follower';
    if (isAmbitious && state.rules.stalledLeaderStepsDown()) {
      becomeFollower(state, state.term, null);
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
    state.onPersisted(token);
    onHardStateDurable(state);
    if (state.role.kind === 'leader') advanceCommit(state, state.role);
  }

  #onReceive(from: NodeId, message: Message): void {
    const state = this.#state;
    const { membership } = state.membership;
    // The last words of whoever was removed are expected.
    const isKnown = isMember(membership, from) || membership.removed.includes(from);
    if (!isKnown) this.#onStranger(from, message);
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
      case 'installSnapshot':
      case 'heartbeat':
      case 'heartbeatReply':
      case 'campaignNow':
        this.#onLeadershipMessage(from, message);
        return;
      default:
        unreachable(message);
    }
  }

  #onLeadershipMessage(from: NodeId, message: LeadershipMessage): void {
    const state = this.#state;
    const isFromLeader = isLeaderSpeaking(message);
    if (message.term < state.term) {
      // Pre-vote keeps us from campaigning against a leader that hears only others: without this
      // answer we would stay outside of its group, and it would never learn why (etcd raft Step).
      if (isFromLeader) reportLog(state, from, 0);
      return;
    }
    if (message.term > state.term) becomeFollower(state, message.term, isFromLeader ? from : null);
    const { role } = state;
    switch (message.kind) {
      case 'appendRequest':
        onAppendRequest(state, from, message);
        return;
      case 'installSnapshot':
        onInstallSnapshot(state, from, message);
        return;
      case 'heartbeat':
        onHeartbeat(state, from, message);
        return;
      case 'campaignNow':
        onCampaignNow(state);
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

  /** One alarm per stranger. It is answered: it may be ahead of us in the memberships (Raft 6). */
  #onStranger(from: NodeId, message: Message): void {
    assert(from !== this.#state.self, 'nobody writes letters to himself', () => message);
    if (this.#strangers.has(from) || this.#strangers.size >= STRANGERS_REMEMBERED_MAX) return;
    this.#strangers.add(from);
    const details = { from, message: message.kind };
    this.#state.outbox.notify({ kind: 'alarm', id: 'strangerMessage', details });
  }

  #roleEffect(): Extract<Effect, { kind: 'role' }> {
    const { role, term, leader } = this.#state;
    return { kind: 'role', role: role.kind, term, leader };
  }
}

function isLeaderSpeaking({ kind }: Message): boolean {
  return (
    kind === 'appendRequest' ||
    kind === 'installSnapshot' ||
    kind === 'heartbeat' ||
    kind === 'campaignNow'
  );
}

function assertConfig(config: CoreConfig): void {
  const { electionTimeoutTicksMin: min, electionTimeoutTicksMax: max } = config;
  assert(config.heartbeatTicks >= 1, 'a heartbeat takes a tick', () => config);
  assert(min > config.heartbeatTicks, 'a heartbeat is faster than an election', () => config);
  assert(max > min, 'election timeouts differ', () => config);
  assert(config.progressTimeoutTicks > min, 'a leader is given time to commit', () => config);
  assert(config.inflightCountMax >= 1, 'a peer may be sent something', () => config);
}
