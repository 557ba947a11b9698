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
import type { EntryDesc, EntryId } from './entry.ts';
import { FIRST_TIMEOUT_DIVISOR } from './limits.ts';
import { LogView } from './log-view.ts';
import type { Envelope } from './messages.ts';
import { hasWrite, Outbox } from './outbox.ts';
import type { Progress } from './progress.ts';
import { ProposalTags } from './proposal-tags.ts';
import type { SafetyRules } from './rules.ts';

export type RoleState =
  | { readonly kind: 'follower' }
  | { readonly kind: 'preCandidate'; readonly votes: Map<NodeId, boolean> }
  | { readonly kind: 'candidate'; readonly votes: Map<NodeId, boolean> }
  | LeaderState;

export interface LeaderState {
  readonly kind: 'leader';
  /** Every other voter. */
  readonly peers: ReadonlyMap<NodeId, Progress>;
  heartbeatElapsedTicks: number;
  /**
   * Size of the entries above `applyingIndex`. Counted from there and not from the commit index, so
   * that the window also bounds what a slow disk of our own leaves behind a fast majority.
   */
  openSizeBytes: number;
}

export class CoreState {
  readonly config: CoreConfig;
  readonly rules: SafetyRules;
  readonly others: readonly NodeId[];
  readonly log: LogView;
  readonly durability: Durability;
  readonly outbox = new Outbox();
  readonly tags = new ProposalTags();
  readonly #random: RandomSource;

  role: RoleState = { kind: 'follower' };
  /** Who leads `term`, as far as we know. */
  leader: NodeId | null = null;
  #hardState: HardState;
  #commitIndex: LogIndex;
  #applyingIndex: LogIndex;
  #appliedIndex: LogIndex;

  nowTicks = 0;
  electionElapsedTicks = 0;
  electionTimeoutTicks = 0;
  /** When the leader of `term` was last heard; meaningless without a leader. */
  leaderHeardAtTicks = 0;

  constructor(config: CoreConfig, start: CoreStart, random: RandomSource, rules: SafetyRules) {
    this.config = config;
    this.rules = rules;
    this.#random = random;
    this.others = config.voters.filter((voter) => voter !== config.self);
    this.log = new LogView(config.segmentSizeBytes, start.entries);
    this.durability = new Durability(this.log.lastIndex, start.hardState);
    this.#hardState = start.hardState;
    this.#appliedIndex = start.appliedIndex;
    this.#applyingIndex = start.appliedIndex;
    // Only what is committed is ever applied, so derived state is a proof as well.
    this.#commitIndex = LogIndex(Math.max(start.commitIndex, start.appliedIndex));
    const { lastIndex, lastTerm } = this.log;
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
    if (this.leader === this.config.self) return true;
    return this.nowTicks - this.leaderHeardAtTicks < this.config.electionTimeoutTicksMin;
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
    this.electionTimeoutTicks = this.others.length === 0 ? 1 : drawn;
    this.electionElapsedTicks = 0;
  }

  append(entry: EntryDesc): void {
    assert(entry.term <= this.term, 'no entry is newer than our term', () => entry);
    this.log.append(entry);
    this.outbox.writeEntry(entry);
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
    assert(index >= this.#appliedIndex, 'applying goes forward', () => ({ index }));
    assert(index <= this.#applyingIndex, 'only what was handed out is applied', () => ({ index }));
    this.#appliedIndex = index;
  }

  isUpToDate(other: EntryId): boolean {
    const { term, index } = this.log.last;
    return other.term > term || (other.term === term && other.index >= index); // Raft 5.4.1
  }

  /** Turns what the step collected into effects, in the order in which the driver acts on them. */
  finishStep(): Effect[] {
    const output = this.outbox.drain();
    const { hardState, truncateFrom, entries } = output;
    const { lastIndex } = this.log;
    let token: number | null = null;
    if (hasWrite(output)) {
      token = this.durability.enqueue({ hardState, truncateFrom, lastIndex });
    }
    const sends: Effect[] = output.sends.map((send) => ({ kind: 'send', ...send }));
    const after: Envelope[] = [];
    for (const { to, message, durableThrough } of output.promises) {
      const isKept = this.isHardStateDurable && durableThrough <= this.countableIndex;
      if (isKept) sends.push({ kind: 'send', to, message });
      else after.push({ to, message });
    }
    // A write without content completes after all before it: it carries replies only.
    if (after.length > 0) {
      token ??= this.durability.enqueue({ hardState: null, truncateFrom: null, lastIndex });
    }
    const effects: Effect[] = output.notices;
    if (token !== null) {
      effects.push({ kind: 'persist', token, hardState, truncateFrom, entries, after });
    }
    effects.push(...sends, ...this.#applyCommitted());
    return effects;
  }

  /** Each range once, contiguous, without waiting for the one before. */
  #applyCommitted(): Effect[] {
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
}
