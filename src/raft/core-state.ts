/**
 * The state of one replica of the group and the few moves that every role shares. The files of the
 * roles decide; nothing here knows a message.
 *
 * Invariants (checked in invariants.ts after every step):
 *   appliedIndex <= applyingIndex <= min(commitIndex, durableIndex) <= lastIndex
 *
 * Time is counted in ticks since the start, which say nothing about any clock.
 */

import { assert } from '../base/assert.ts';
import { intBelow, type RandomSource } from '../base/prng.ts';
import { advance, LogIndex, type NodeId, type Term } from '../base/units.ts';
import type { CoreConfig, CoreStart } from './core-types.ts';
import { Durability } from './durability.ts';
import type { Effect, HardState } from './effects.ts';
import type { EntryDesc, EntryId, SnapshotDesc } from './entry.ts';
import { FIRST_TIMEOUT_DIVISOR } from './limits.ts';
import { LogView } from './log-view.ts';
import { isVoter, type LoggedMembership } from './membership.ts';
import { describesSame } from './membership-change.ts';
import { MembershipLog } from './membership-log.ts';
import type { Envelope } from './messages.ts';
import { hasWrite, Outbox, type StepOutput } from './outbox.ts';
import { ProposalTags } from './proposal-tags.ts';
import type { RoleState } from './role-state.ts';
import type { SafetyRules } from './rules.ts';

/** A snapshot on its way to the disk, in place of the log. */
interface Install {
  readonly index: LogIndex;
  readonly token: number;
}

export class CoreState {
  readonly config: CoreConfig;
  readonly rules: SafetyRules;
  readonly log: LogView;
  readonly memberships: MembershipLog;
  readonly durability: Durability;
  readonly outbox = new Outbox();
  readonly tags = new ProposalTags();
  readonly hasTornTail: boolean;
  readonly #random: RandomSource;

  role: RoleState = { kind: 'follower' };
  /** Who leads `term`, as far as we know. */
  leader: NodeId | null = null;
  #hardState: HardState;
  #commitIndex: LogIndex;
  #applyingIndex: LogIndex;
  #appliedIndex: LogIndex;
  #install: Install | null = null;

  nowTicks = 0;
  electionElapsedTicks = 0;
  electionTimeoutTicks = 0;
  /** When the leader of `term` was last heard; meaningless without a leader. */
  leaderHeardAtTicks = 0;
  /** In this life, some leader was heard, or was ourselves. */
  hasKnownLeader = false;
  isDiskStalled = false;

  constructor(config: CoreConfig, start: CoreStart, random: RandomSource, rules: SafetyRules) {
    this.config = config;
    this.rules = rules;
    this.hasTornTail = start.hasTornTail;
    this.#random = random;
    this.log = new LogView(config.segmentSizeBytes, start.base, start.entries);
    this.memberships = new MembershipLog(start.base.membership, start.memberships);
    this.durability = new Durability(this.log.lastIndex, start.hardState, rules.durableAfter);
    this.#hardState = start.hardState;
    this.#appliedIndex = start.appliedIndex;
    this.#applyingIndex = start.appliedIndex;
    // Only what is committed is ever applied, so derived state is a proof as well.
    this.#commitIndex = LogIndex(Math.max(start.commitIndex, start.appliedIndex));
    const { baseIndex, lastIndex, lastTerm } = this.log;
    assert(start.appliedIndex >= baseIndex, 'what is not in the log any more was applied', () => ({
      appliedIndex: start.appliedIndex,
      baseIndex,
    }));
    assert(this.#commitIndex <= lastIndex, 'the log holds what was committed', () => ({
      commitIndex: this.#commitIndex,
      lastIndex,
    }));
    assert(lastTerm <= this.term, 'no entry is newer than our term', () => ({ lastTerm }));
    this.drawElectionTimeout();
    // A group that starts, or restarts as a whole, has nobody to disturb and clients waiting. A
    // member that comes back to a living leader is refused by PreVote if it asks too soon.
    this.electionTimeoutTicks = Math.ceil(this.electionTimeoutTicks / FIRST_TIMEOUT_DIVISOR);
  }

  get self(): NodeId {
    return this.config.self;
  }

  get term(): Term {
    return this.#hardState.term;
  }

  get votedFor(): NodeId | null {
    return this.#hardState.votedFor;
  }

  get commitIndex(): LogIndex {
    return this.#commitIndex;
  }

  get applyingIndex(): LogIndex {
    return this.#applyingIndex;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** In force, whether committed or not (G1). */
  get membership(): LoggedMembership {
    return this.memberships.current;
  }

  /** Each of them decides by its own majority. */
  get decidingSets(): readonly (readonly NodeId[])[] {
    return this.rules.decidingSets(this.membership.membership);
  }

  /** Everybody else who votes. */
  get otherVoters(): readonly NodeId[] {
    const { voters, outgoing } = this.membership.membership;
    return [...new Set([...voters, ...outgoing])].filter((id) => id !== this.self);
  }

  get isVoter(): boolean {
    return isVoter(this.membership.membership, this.self);
  }

  /**
   * May campaign. So may who is removed by a change that is not known to be committed: it may be the
   * only one that holds the change, and then nobody else can win, for its log is the longest
   * (thesis 4.2.2, figure 4.6). It does not count itself. After a restart the commit index may lie
   * several changes back, so any membership from there on will do.
   */
  get mayLead(): boolean {
    const { current } = this.memberships;
    if (isVoter(current.membership, this.self)) return true;
    if (current.index <= this.#commitIndex) return false;
    const since = this.memberships.between(advance(this.#commitIndex, 1), current.index);
    const possible = [this.memberships.at(this.#commitIndex), ...since];
    return possible.some(({ membership }) => isVoter(membership, this.self));
  }

  /** A restart now would find our present term and vote. */
  get isHardStateDurable(): boolean {
    const { term, votedFor } = this.durability.hardState;
    return term === this.term && votedFor === this.votedFor;
  }

  /** What of our own log may be acknowledged or counted (L3). */
  get countableIndex(): LogIndex {
    return this.rules.countableIndex(this.log.lastIndex, this.durability.durableIndex);
  }

  /** Leader stickiness (Raft thesis 4.2.3): whoever hears a leader disturbs nobody. */
  get hasHeardLeader(): boolean {
    if (this.leader === null) return false;
    if (this.leader === this.self) return true;
    return this.nowTicks - this.leaderHeardAtTicks < this.config.electionTimeoutTicksMin;
  }

  /** The newest committed entry is of our term: then everything before is known to be (5.4.2). */
  get hasCommittedInOwnTerm(): boolean {
    return this.log.termAt(this.#commitIndex) === this.term;
  }

  enterTerm(term: Term, votedFor: NodeId | null): void {
    assert(term > this.term, 'terms grow', () => ({ term, current: this.term }));
    this.#hardState = { term, votedFor };
    this.leader = null;
    this.outbox.writeHardState(this.#hardState);
  }

  vote(candidate: NodeId): void {
    assert(this.votedFor === null || this.votedFor === candidate, 'one vote per term');
    if (this.votedFor === candidate) return;
    this.#hardState = { term: this.term, votedFor: candidate };
    if (this.rules.voteWaitsForDisk()) this.outbox.writeHardState(this.#hardState);
  }

  drawElectionTimeout(): void {
    const { electionTimeoutTicksMin, electionTimeoutTicksMax } = this.config;
    const spread = electionTimeoutTicksMax - electionTimeoutTicksMin;
    const drawn = electionTimeoutTicksMin + intBelow(this.#random, spread);
    // Alone there is nobody to collide with and nobody to wait for.
    this.electionTimeoutTicks = this.otherVoters.length === 0 ? 1 : drawn;
    this.electionElapsedTicks = 0;
  }

  /** @param membership what the entry says when it is of type `config`, else null */
  append(entry: EntryDesc, membership: LoggedMembership | null): void {
    assert(entry.term <= this.term, 'no entry is newer than our term', () => entry);
    const isConfig = entry.type === 'config';
    assert(isConfig === (membership !== null), 'config entries say something', () => entry);
    this.log.append(entry);
    this.outbox.writeEntry(entry, membership);
    if (membership === null) return;
    assert(membership.index === entry.index, 'a membership belongs to its entry', () => membership);
    this.memberships.append(membership);
    this.#tellMembership();
  }

  /** Requires a conflict proven by the message at hand (H13). */
  cutFrom(index: LogIndex): void {
    assert(index > this.#commitIndex, 'a committed entry is never cut', () => ({
      index,
      commitIndex: this.#commitIndex,
    }));
    assert(this.role.kind === 'follower', 'only a follower cuts its log (Raft 5.3)');
    this.log.truncateFrom(index);
    this.outbox.writeCut(index);
    if (!this.rules.rollsBackMembership() || !this.memberships.truncateFrom(index)) return;
    this.#alarmRollback();
    this.#tellMembership();
  }

  /** Replaces the log by a snapshot that is ahead of our commit index (H18). */
  install(snapshot: SnapshotDesc): void {
    const { index } = snapshot.last;
    assert(this.role.kind === 'follower', 'only a follower installs a snapshot');
    assert(snapshot.last.term <= this.term, 'no snapshot is newer than our term', () => snapshot);
    this.outbox.writeSnapshot(snapshot, this.#commitIndex);
    this.log.resetTo(snapshot);
    const before = this.membership;
    this.memberships.resetTo(snapshot.membership);
    const { index: logged, membership } = this.membership;
    const isSame = logged === before.index && describesSame(membership, before.membership);
    if (!isSame) this.#tellMembership();
    // Ours was never committed, or the snapshot would name it; a later one may just have followed it.
    const isLost = before.index > this.#commitIndex && before.index >= logged && !isSame;
    if (isLost) this.#alarmRollback();
    this.tags.forgetThrough(index);
    this.#commitIndex = index;
  }

  /** The entries up to here are in a durable snapshot of our own. */
  compactTo(index: LogIndex): void {
    assert(index <= this.#appliedIndex, 'only what is applied is forgotten (N2)', () => ({
      index,
      appliedIndex: this.#appliedIndex,
    }));
    this.log.compactTo(index);
    this.memberships.compactTo(index);
  }

  commitTo(index: LogIndex): void {
    if (index <= this.#commitIndex) return;
    assert(index <= this.log.lastIndex, 'what is committed is in the log', () => ({ index }));
    this.#commitIndex = index;
    const overwritten = this.tags.onCommit(index, (at) => this.log.idAt(at).term);
    for (const tag of overwritten) {
      this.outbox.notify({ kind: 'proposeResult', tag, result: 'overwritten' });
    }
  }

  onApplied(index: LogIndex): void {
    if (index < this.#appliedIndex) {
      // A snapshot went past what was being applied when it came.
      assert(index <= this.log.baseIndex, 'applying goes forward', () => ({ index }));
      return;
    }
    assert(index <= this.#applyingIndex, 'only what was handed out is applied', () => ({ index }));
    this.#appliedIndex = index;
  }

  onPersisted(token: number): void {
    this.durability.complete(token);
    if (this.#install?.token !== token) return;
    const { index } = this.#install;
    this.#install = null;
    this.#applyingIndex = index;
    this.#appliedIndex = index;
  }

  isUpToDate(other: EntryId): boolean {
    return !isBehind(other, this.log.last); // Raft 5.4.1
  }

  /** Turns what the step collected into effects, in the order in which the driver acts on them. */
  finishStep(): Effect[] {
    const output = this.outbox.drain();
    const sends: Effect[] = output.sends.map((send) => ({ kind: 'send', ...send }));
    let token = hasWrite(output) ? this.#enqueue(output) : null;
    const after: Envelope[] = [];
    for (const { to, message, durableThrough } of output.promises) {
      const isKept = this.isHardStateDurable && durableThrough <= this.countableIndex;
      if (isKept) sends.push({ kind: 'send', to, message });
      else after.push({ to, message });
    }
    // A write without content completes after all before it: it carries replies only.
    if (after.length > 0) token ??= this.#enqueue(output);
    const effects: Effect[] = output.notices;
    if (token !== null) {
      const { hardState, snapshot, entries, memberships } = output;
      const truncateFrom = snapshot === null ? output.truncateFrom : null;
      const write = { hardState, snapshot, truncateFrom, entries, memberships };
      effects.push({ kind: 'persist', token, ...write, after });
    }
    effects.push(...sends, ...this.#applyCommitted());
    return effects;
  }

  #enqueue({ hardState, truncateFrom, snapshot }: StepOutput): number {
    const index = snapshot?.last.index ?? null;
    const { lastIndex } = this.log;
    const token = this.durability.enqueue({ hardState, truncateFrom, snapshot: index, lastIndex });
    if (index !== null) this.#install = { index, token };
    return token;
  }

  /** Each range once, contiguous, without waiting for the one before. */
  #applyCommitted(): Effect[] {
    // What is between the old log and the snapshot is applied by the install itself.
    if (this.#install !== null) return [];
    const to = LogIndex(Math.min(this.#commitIndex, this.durability.durableIndex));
    if (to <= this.#applyingIndex) return [];
    const from = advance(this.#applyingIndex, 1);
    if (this.role.kind === 'leader') {
      for (let index = from; index <= to; index = advance(index, 1)) {
        this.role.openSizeBytes -= this.log.proposedSizeBytesOf(index);
      }
    }
    this.#applyingIndex = to;
    return [{ kind: 'apply', from, to }];
  }

  #alarmRollback(): void {
    const details = { inForce: this.membership.index };
    this.outbox.notify({ kind: 'alarm', id: 'membershipRolledBack', details });
  }

  #tellMembership(): void {
    this.outbox.notify({ kind: 'membership', current: this.membership });
  }
}

/** Raft 5.4.1. */
export function isBehind(one: EntryId, other: EntryId): boolean {
  return one.term < other.term || (one.term === other.term && one.index < other.index);
}
