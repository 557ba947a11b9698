/**
 * A running replica: executes the core's effects on log and peers, packs proposals into entries, and
 * applies what is committed.
 *
 * Invariants:
 * - One turn at a time: input, step, effects. What happens during a turn waits for its end.
 * - Persist effects reach the log in order; what waits for a persist is sent when it is durable.
 * - Nothing is proposed before a no-op of the own term is applied here: only then are the counters
 *   of derived state exact, from which the broker assigns queue offsets (design section 4).
 *
 * Sources: Raft thesis 10.2.1 (the leader writes and sends in parallel); hazards H11, H14, H26, H29.
 */
import { unreachable } from '../base/assert.ts';
import { CorruptionError, FatalError } from '../base/errors.ts';
import type { NodeId, Term } from '../base/units.ts';
import type { Timer } from '../io/clock.ts';
import { chainCrcOf } from '../protocol/entry-codec.ts';
import type { ReceivedEntry } from '../protocol/peer-codec.ts';
import type { Effect, Input, PersistEffect } from '../raft/effects.ts';
import { payloadSizeBytesMax } from '../raft/entry.ts';
import type { Envelope, Message } from '../raft/messages.ts';
import type { RaftCore } from '../raft/raft-core.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { CommittedEntry, DerivedState, RecordResult } from '../store/derived/derived-state.ts';
import { ApplyLoop } from './apply-loop.ts';
import { DiskWatchdog } from './disk-watchdog.ts';
import { EntrySender } from './entry-sender.ts';
import { LeadershipGate } from './leadership-gate.ts';
import { LOG_WRITES_PENDING_MAX, OUTCOME_WAIT_MS, TICK_MS } from './limits.ts';
import { Packer } from './packer.ts';
import { NO_TURN_BYTES, PersistRunner, type TurnBytes } from './persist-runner.ts';
import { Proposals } from './proposals.ts';
import type {
  Leadership,
  NodeAddresses,
  ProposeOutcome,
  RecordsProposal,
  ReplicaStatus,
} from './replica.ts';
import type { ReplicaMetrics, ReplicaOptions, RunningReplica } from './replica-options.ts';
import { replicaStatus } from './replica-status.ts';
import { Ticker } from './ticker.ts';

/** Something that happened, waiting for its step. */
interface TurnInput {
  readonly input: Input;
  /** Entries that came with a message. */
  readonly received: readonly ReceivedEntry[];
  /** Messages that waited for this moment; they leave before the step. */
  readonly due: readonly Envelope[];
}

const NONE: readonly never[] = [];

export class ReplicaDriver implements RunningReplica {
  readonly log: CommitLog;
  readonly state: DerivedState;
  readonly #options: ReplicaOptions;
  readonly #core: RaftCore;
  readonly #gate = new LeadershipGate();
  readonly #proposals: Proposals;
  readonly #packer: Packer;
  readonly #persistRunner: PersistRunner;
  readonly #sender: EntrySender;
  readonly #applyLoop: ApplyLoop;
  readonly #ticker: Ticker;
  readonly #watchdog: DiskWatchdog;
  readonly #appliedListeners: ((
    entry: CommittedEntry,
    results: readonly RecordResult[],
  ) => void)[] = [];
  readonly #roleListeners: ((status: ReplicaStatus) => void)[] = [];
  readonly #timers = new Set<Timer>();
  #inbox: TurnInput[] = [];
  #inTurn = false;
  /** The next turn may pack: proposals waited for something that has happened. */
  #packDue = false;
  #packScheduled = false;
  #halted = false;
  #closing: Promise<void> | null = null;
  #refusedCount = 0;

  constructor(options: ReplicaOptions, core: RaftCore, electionTimeoutTicksMin: number) {
    const { log, state, transport, clock, tickMs = TICK_MS } = options;
    this.log = log;
    this.state = state;
    this.#options = options;
    this.#core = core;
    this.#proposals = new Proposals(payloadSizeBytesMax(log.identity.segmentSizeBytes));
    this.#persistRunner = new PersistRunner(log, (effect) => this.#onDurable(effect));
    this.#packer = new Packer({
      core,
      proposals: this.#proposals,
      mayServe: () => this.#gate.leadership !== null,
      logIsFree: () => this.#persistRunner.pendingCount < LOG_WRITES_PENDING_MAX,
      propose: (proposal, proposed) =>
        this.#step({ kind: 'propose', proposals: [proposal] }, { received: NONE, proposed }),
    });
    const onFatal = (error: unknown) => this.#fail(error);
    this.#sender = new EntrySender({
      log,
      transport,
      currentTerm: () => core.status().term,
      onUnreachable: (peer) => this.#enqueue({ kind: 'peerUnreachable', peer }),
      onFatal,
    });
    this.#applyLoop = new ApplyLoop({
      log,
      state,
      clock,
      onEntry: (entry, results) => this.#onEntryApplied(entry, results),
      onReady: () => this.#turn(),
      onFatal,
    });
    this.#watchdog = new DiskWatchdog(log.diskStats, options.onEvent);
    this.#ticker = new Ticker({
      clock,
      tickMs,
      gapMsMax: (electionTimeoutTicksMin * tickMs) / 2,
      onTick: () => this.#onTick(),
    });
  }

  /** Joins the group. */
  start(): void {
    this.#options.transport.start({
      onMessage: (from, message, received) =>
        this.#enqueue({ kind: 'receive', from, message }, { received }),
      onUnreachable: (peer) => this.#enqueue({ kind: 'peerUnreachable', peer }),
    });
    this.#ticker.start();
  }

  status(): ReplicaStatus {
    const { identity, transport } = this.#options;
    return replicaStatus(this.#core.status(), this.log.identity, {
      peers: this.#options.members
        .map((member) => member.nodeId)
        .filter((nodeId) => nodeId !== identity.nodeId),
      linkOf: (peer) => transport.linkOf(peer),
    });
  }

  metrics(): ReplicaMetrics {
    return {
      entriesProposed: this.#packer.entryCount,
      recordsProposed: this.#packer.recordCount,
      bytesProposed: this.#packer.payloadSizeBytes,
      proposalsRefused: this.#refusedCount,
      proposalsQueued: this.#proposals.queuedCount,
      entriesOpen: this.#proposals.openCount,
      leadershipsGained: this.#gate.gainedCount,
      pausesSeen: this.#ticker.pauseCount,
      tickDelayMsMax: this.#ticker.delayMsMax,
      diskStalled: this.#watchdog.stalled,
      peers: this.#options.transport.counters,
    };
  }

  leadership(): Leadership | null {
    return this.#halted ? null : this.#gate.leadership;
  }

  leader(): NodeId | null {
    return this.#core.status().leader;
  }

  addressesOf(nodeId: NodeId): NodeAddresses | null {
    if (nodeId === this.#options.identity.nodeId) return this.#options.addresses;
    return this.#options.transport.linkOf(nodeId).addresses;
  }

  propose(proposal: RecordsProposal, onQueued?: () => void): Promise<ProposeOutcome> {
    if (this.leadership() === null) {
      this.#refusedCount++;
      return Promise.resolve({ kind: 'rejected', why: 'notLeader' });
    }
    return new Promise((resolve) => {
      const refused = this.#proposals.enqueue(proposal, resolve);
      if (refused === null) {
        // Not now: what else arrives in this poll of the sockets goes into the same entry.
        this.#schedulePack();
        onQueued?.();
        return;
      }
      this.#refusedCount++;
      resolve({ kind: 'rejected', why: refused });
    });
  }

  onLeadership(listener: (leadership: Leadership | null) => void): void {
    this.#gate.onChange(listener);
  }

  onRoleChange(listener: (status: ReplicaStatus) => void): void {
    this.#roleListeners.push(listener);
  }

  onApplied(listener: (entry: CommittedEntry, results: readonly RecordResult[]) => void): void {
    this.#appliedListeners.push(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#halt();
    this.#gate.lose();
    this.#proposals.rejectQueued();
    this.#proposals.giveUp(this.#proposals.openTags());
    await this.#options.transport.close();
    await this.#sender.close();
    await this.#applyLoop.close();
    await this.state.close();
    await this.log.close();
  }

  #halt(): void {
    this.#halted = true;
    this.#inbox = [];
    this.#ticker.stop();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #fail(error: unknown): void {
    if (this.#halted) return;
    this.#halt();
    if (error instanceof CorruptionError) {
      const sentence = `Cannot go on with a damaged log: ${error.message}`;
      this.#options.onFatal(new FatalError('logDamaged', sentence, { cause: error }));
      return;
    }
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
  }

  #enqueue(input: Input, more: Partial<TurnInput> = {}): void {
    if (this.#halted) return;
    this.#inbox.push({ input, received: NONE, due: NONE, ...more });
    this.#turn();
  }

  /** Works until nothing is left to do at once. Sends and writes come before applying. */
  #turn(): void {
    if (this.#inTurn || this.#halted) return;
    this.#inTurn = true;
    try {
      this.#drain();
      // A slice that is large enough says that there is no more work in this turn.
      while (this.#applyLoop.hasWork && this.#applyLoop.runSlice()) {
        const index = this.state.appliedIndex;
        this.#inbox.push({ input: { kind: 'applied', index }, received: NONE, due: NONE });
        this.#packDue = true;
        this.#drain();
      }
    } catch (error) {
      // Bug, damaged log or dead disk: the owner of the process decides, we stand still.
      this.#fail(error);
    } finally {
      this.#inTurn = false;
    }
  }

  #drain(): void {
    while (!this.#halted) {
      const next = this.#inbox.shift();
      if (next !== undefined) {
        this.#take(next);
      } else if (this.#packDue) {
        this.#packDue = false;
        this.#packer.pack();
      } else {
        return;
      }
    }
  }

  #take({ input, received, due }: TurnInput): void {
    for (const { to, message } of due) this.#send(to, message);
    if (input.kind === 'receive' && !this.#continuesOurLog(input.from, input.message, received)) {
      return;
    }
    this.#step(input, { ...NO_TURN_BYTES, received });
  }

  #step(input: Input, bytes: TurnBytes): void {
    const effects = this.#core.step(input);
    // Writes first: then the bytes of what is sent in the same turn are in the cache.
    for (const effect of effects) {
      if (effect.kind !== 'persist') continue;
      this.#persistRunner.write(effect, bytes, this.#core.status().commitIndex);
    }
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        return;
      case 'send':
        this.#send(effect.to, effect.message);
        return;
      case 'apply':
        this.#applyLoop.extendTo(effect.to);
        this.log.noteCommitIndex(effect.to);
        return;
      case 'proposeResult':
        this.#packer.onResult(effect);
        return;
      case 'role':
        this.#onRole(effect.role === 'leader', effect.term);
        return;
      case 'alarm': {
        const { id, details } = effect;
        this.#options.onEvent({ kind: 'alarm', id, details });
        return;
      }
      default:
        unreachable(effect);
    }
  }

  #send(to: NodeId, message: Message): void {
    const leading = message.kind === 'heartbeat' || message.kind === 'appendRequest';
    if (leading && this.#watchdog.stalled) return;
    this.#sender.send(to, message);
  }

  #onDurable(effect: PersistEffect): void {
    this.#packDue = true;
    this.#enqueue({ kind: 'persisted', token: effect.token }, { due: effect.after });
  }

  #onTick(): void {
    try {
      this.#watchdog.check();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#enqueue({ kind: 'tick' });
  }

  /** Equal (index, term) with another chain: one of the two copies is not what it seems (H5). */
  #continuesOurLog(from: NodeId, message: Message, entries: readonly ReceivedEntry[]): boolean {
    const first = entries[0];
    if (message.kind !== 'appendRequest' || first === undefined) return true;
    const { prev } = message;
    if (prev.index > 0 && this.#core.entryAt(prev.index)?.term !== prev.term) return true;
    const headerCrc = this.log.headerCrcAt(prev.index);
    if (headerCrc === null || chainCrcOf(first.bytes, headerCrc) === first.chainCrc) return true;
    this.#options.onEvent({ kind: 'chainBroken', from, index: first.desc.index });
    return false;
  }

  #onRole(isLeader: boolean, term: Term): void {
    if (this.#gate.leadership !== null && !(isLeader && term === this.#gate.leadership.term)) {
      this.#gate.lose();
      this.#proposals.rejectQueued();
      this.#giveUpLater();
    }
    this.#gate.onRole(isLeader, term);
    const status = this.status();
    for (const listener of this.#roleListeners) listener(status);
  }

  /** Open outcomes may still become known here, as a follower; but nobody waits for ever. */
  #giveUpLater(): void {
    const tags = this.#proposals.openTags();
    if (tags.length === 0) return;
    this.#setTimer(OUTCOME_WAIT_MS, () => this.#proposals.giveUp(tags));
  }

  #onEntryApplied(entry: CommittedEntry, results: readonly RecordResult[]): void {
    for (const listener of this.#appliedListeners) listener(entry, results);
    this.#proposals.onApplied(entry, results);
    if (entry.type === 'noop') this.#gate.onNoopApplied(entry.term);
  }

  #schedulePack(): void {
    if (this.#packScheduled) return;
    this.#packScheduled = true;
    this.#setTimer(0, () => {
      this.#packScheduled = false;
      this.#packDue = true;
      this.#turn();
    });
  }

  #setTimer(delayMs: number, onFire: () => void): void {
    const timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      onFire();
    });
    this.#timers.add(timer);
  }
}
