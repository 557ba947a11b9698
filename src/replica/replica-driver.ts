/**
 * A running replica, as the broker and operators see it: proposals, reads, handing over, changes of
 * membership, and what it says about itself. The work is done in turns (turn-loop.ts).
 *
 * Invariants:
 * - Nothing is proposed before a no-op of the own term is applied here: only then are the counters
 *   of derived state exact, from which the broker assigns queue offsets (design section 4).
 * - Every request is answered once, at the latest when the replica closes.
 *
 * Sources: hazards H11, H26, H29.
 */
import { CorruptionError, FatalError } from '../base/errors.ts';
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { Timer } from '../io/clock.ts';
import { payloadSizeBytesMax } from '../raft/entry.ts';
import type { LoggedMembership, MembershipStep } from '../raft/membership.ts';
import type { RaftCore } from '../raft/raft-core.ts';
import type { CommitLog } from '../store/commit-log.ts';
import type { CommittedEntry, DerivedState, RecordResult } from '../store/derived/derived-state.ts';
import { BackupDesk } from './backup/backup-desk.ts';
import { DiskWatchdog } from './disk-watchdog.ts';
import { GroupStanding, refusalsBy } from './group-standing.ts';
import { LeadershipGate } from './leadership-gate.ts';
import { OUTCOME_WAIT_MS, TICK_MS } from './limits.ts';
import { Operations } from './operations.ts';
import { Proposals } from './proposals.ts';
import { ReadBarriers } from './read-barriers.ts';
import { Removal } from './removal.ts';
import type {
  ChangeOutcome,
  Leadership,
  LogExtent,
  NodeAddresses,
  ProposeOutcome,
  ReadOutcome,
  RecordsProposal,
  ReplicaStatus,
  TransferOutcome,
} from './replica.ts';
import type { ReplicaMetrics, ReplicaParts, RunningReplica } from './replica-options.ts';
import { logExtentOf, replicaStatus } from './replica-status.ts';
import type { SnapshotKeeper } from './snapshot/snapshot-keeper.ts';
import type { SnapshotAnswers } from './snapshot/snapshot-port.ts';
import { StorePins } from './store-pins.ts';
import { Ticker } from './ticker.ts';
import { TurnLoop } from './turn-loop.ts';

export class ReplicaDriver implements RunningReplica {
  readonly log: CommitLog;
  readonly state: DerivedState;
  readonly #options: ReplicaParts;
  readonly #core: RaftCore;
  readonly #gate = new LeadershipGate();
  readonly #proposals: Proposals;
  readonly #reads: ReadBarriers;
  readonly #operations: Operations;
  readonly #turns: TurnLoop;
  readonly #ticker: Ticker;
  readonly #watchdog: DiskWatchdog;
  readonly #standing: GroupStanding;
  readonly #removal: Removal;
  readonly #pins: StorePins;
  readonly #appliedListeners: ((
    entry: CommittedEntry,
    results: readonly RecordResult[],
  ) => void)[] = [];
  readonly #roleListeners: ((status: ReplicaStatus) => void)[] = [];
  readonly #timers = new Set<Timer>();
  readonly #backups: BackupDesk | null;
  #packScheduled = false;
  #halted = false;
  #closing: Promise<void> | null = null;
  #refusedCount = 0;
  /** Whom the membership of this entry names as removed has been dismissed. */
  #dismissedIndex: LogIndex | null = null;

  constructor(options: ReplicaParts, core: RaftCore, electionTimeoutTicksMin: number) {
    const { log, state, clock, tickMs = TICK_MS } = options;
    this.log = log;
    this.state = state;
    this.#options = options;
    this.#core = core;
    this.#proposals = new Proposals(payloadSizeBytesMax(log.identity.segmentSizeBytes));
    this.#reads = new ReadBarriers({
      later: (run) => this.#setTimer(0, run),
      ask: (tag) => this.#turns.feed({ kind: 'read', tag }),
      appliedIndex: () => state.appliedIndex,
    });
    this.#operations = new Operations((input) => this.#turns.feed(input));
    this.#turns = new TurnLoop({
      replica: options,
      core,
      proposals: this.#proposals,
      mayServe: () => this.#gate.leadership !== null,
      events: {
        onRole: ({ role, term }) => this.#onRole(role === 'leader', term),
        onMembership: (current) => this.#onMembership(current),
        onEntryApplied: (entry, results) => this.#onEntryApplied(entry, results),
        onApplied: () => {
          this.#reads.onApplied();
          this.#turns.snapshots?.check();
        },
        onReadResult: (result) => this.#reads.onResult(result),
        onTransferResult: (result) => this.#operations.onTransferResult(result),
        onChangeResult: (result) => this.#operations.onChangeResult(result),
        onFatal: (error) => this.#fail(error),
      },
    });
    this.#backups = this.#createBackups();
    this.#watchdog = new DiskWatchdog(log.diskStats, options.onEvent);
    const linkOf = (peer: NodeId) => options.transport.linkOf(peer);
    const { nodeId: self, storeUuid } = log.identity;
    this.#standing = new GroupStanding({
      ...{ self, linkOf },
      nowMs: () => clock.monotonicMs(),
      onRefused: (refusedBy) => options.onEvent({ kind: 'refusedByGroup', refusedBy }),
    });
    this.#removal = new Removal({
      self,
      nowMs: () => clock.monotonicMs(),
      onRemoved: (by) => {
        options.onEvent({ kind: 'removedFromGroup', by });
        // Whoever waits here for a leader waits in vain.
        this.#tellRole();
      },
    });
    this.#pins = new StorePins({
      ...{ self, storeUuid, linkOf },
      change: (steps, index) => this.#operations.change(steps, index),
      onRefused: (problems) => options.onEvent({ kind: 'storesNotPinned', problems }),
    });
    this.#ticker = new Ticker({
      clock,
      tickMs,
      gapMsMax: (electionTimeoutTicksMin * tickMs) / 2,
      onTick: () => this.#onTick(),
      onResume: () => this.#turns.feed({ kind: 'resumed' }),
    });
  }

  /** Joins the group. */
  start(): void {
    this.#turns.listen();
    this.#ticker.start();
  }

  status(): ReplicaStatus {
    const { transport, log, state } = this.#options;
    const install = this.#turns.snapshots?.install ?? null;
    const linkOf = (peer: NodeId) => transport.linkOf(peer);
    const { isRemoved } = this.#removal;
    return replicaStatus({ core: this.#core.status(), log, state, install, linkOf, isRemoved });
  }

  metrics(): ReplicaMetrics {
    const { packer } = this.#turns;
    return {
      entriesProposed: packer.entryCount,
      recordsProposed: packer.recordCount,
      bytesProposed: packer.payloadSizeBytes,
      proposalsRefused: this.#refusedCount,
      proposalsQueued: this.#proposals.queuedCount,
      entriesOpen: this.#proposals.openCount,
      readsWaiting: this.#reads.waitingCount,
      leadershipsGained: this.#gate.gainedCount,
      pausesSeen: this.#ticker.pauseCount,
      tickDelayMsMax: this.#ticker.delayMsMax,
      diskStalled: this.#watchdog.stalled,
      peers: this.#options.transport.counters,
      snapshots: this.#turns.snapshots?.metrics ?? null,
    };
  }

  get snapshotAnswers(): SnapshotAnswers | null {
    return this.#turns.snapshots;
  }

  get snapshotKeeper(): SnapshotKeeper | null {
    return this.#turns.snapshots;
  }

  get backups(): BackupDesk | null {
    return this.#backups;
  }

  logExtent(isDiskNearlyFull: boolean): LogExtent {
    const needs = this.#turns.snapshots?.needs(isDiskNearlyFull) ?? null;
    return logExtentOf(this.log, this.#core.status().endOffset, needs);
  }

  leadership(): Leadership | null {
    return this.#halted ? null : this.#gate.leadership;
  }

  leader(): NodeId | null {
    return this.#core.leader;
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

  readBarrier(): Promise<ReadOutcome> {
    return this.#reads.wait();
  }

  transferLeadership(to: NodeId): Promise<TransferOutcome> {
    return this.#operations.transfer(to);
  }

  changeMembership(
    steps: readonly MembershipStep[],
    ifMembershipIndex: LogIndex,
  ): Promise<ChangeOutcome> {
    return this.#operations.change(steps, ifMembershipIndex);
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
    await Promise.all([this.#backups?.close(), this.#turns.close()]);
    await this.state.close();
    await this.log.close();
  }

  #halt(): void {
    this.#halted = true;
    this.#turns.halt();
    this.#reads.close();
    this.#operations.close();
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

  #createBackups(): BackupDesk | null {
    const { log, clock, version = '', snapshots: parts, onEvent } = this.#options;
    const { snapshots } = this.#turns;
    if (snapshots === null || parts === undefined) return null;
    return new BackupDesk({
      ...{
        log,
        core: this.#core,
        files: parts.files,
        pins: snapshots.pins,
        clock,
        version,
        onEvent,
      },
      isHelpless: () => snapshots.install !== null,
      wantSnapshot: () => snapshots.wantSnapshot(),
      readBarrier: () => this.readBarrier(),
    });
  }

  #onTick(): void {
    try {
      const isChanged = this.#watchdog.check();
      const isStalled = this.#watchdog.stalled;
      if (isChanged) this.#turns.feed({ kind: 'diskHealth', isStalled });
      this.#checkStanding();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#turns.feed({ kind: 'tick' });
    this.#turns.snapshots?.check();
    if (this.leadership() !== null) this.#pins.onTick(this.#core.status());
    // A transfer may end in silence; what waited for its end is looked at here at the latest.
    if (this.#proposals.queuedCount > 0) this.#turns.pack();
  }

  #checkStanding(): void {
    const { membership, commitIndex, self } = this.#core.status();
    const linkOf = (peer: NodeId) => this.#options.transport.linkOf(peer);
    if (membership.index <= commitIndex && membership.index !== this.#dismissedIndex) {
      this.#dismissedIndex = membership.index;
      this.#options.transport.dismiss(membership.membership.removed);
    }
    this.#removal.check({
      membership: membership.membership,
      isCommitted: membership.index <= commitIndex,
      refusedBy: refusalsBy(membership.membership, self, linkOf),
    });
    this.#standing.check(membership.membership);
  }

  #onRole(isLeader: boolean, term: Term): void {
    if (this.#gate.leadership !== null && !(isLeader && term === this.#gate.leadership.term)) {
      this.#gate.lose();
      this.#proposals.rejectQueued();
      this.#giveUpLater();
    }
    if (isLeader) this.#turns.snapshots?.onLead();
    this.#gate.onRole(isLeader, term);
    this.#tellRole();
  }

  #tellRole(): void {
    const status = this.status();
    for (const listener of this.#roleListeners) listener(status);
  }

  #onMembership(current: LoggedMembership): void {
    this.#options.transport.setMembership(current);
    this.#turns.snapshots?.onMembership(current.membership);
    this.#options.onEvent({ kind: 'membershipChanged', current });
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
      this.#turns.pack();
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
