/**
 * Everything a replica does about snapshots and the beginning of its log, in one place: takes them, gives
 * them, gets them, installs them, and lets the log go behind them. Runs in the turns of the driver.
 *
 * Invariant (H18): a snapshot takes the place of the log only if it is durable here, whole and verified.
 */
import { assert } from '../../base/assert.ts';
import { LogIndex, NodeId } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { SnapshotAsk, SnapshotOffer, SnapshotRead } from '../../protocol/snapshot-codec.ts';
import type { Input } from '../../raft/effects.ts';
import { SEGMENT_HEADER_SIZE_BYTES, type SnapshotDesc } from '../../raft/entry.ts';
import type { Membership } from '../../raft/membership.ts';
import type { InstallSnapshot, Message } from '../../raft/messages.ts';
import type { RaftCore } from '../../raft/raft-core.ts';
import type { CommitLog, LogBase } from '../../store/commit-log.ts';
import type { DerivedHome } from '../../store/derived/derived-home.ts';
import type { SwitchableState } from '../../store/derived/switchable-state.ts';
import type { SnapshotFiles } from '../../store/snapshots/snapshot-files.ts';
import type { BackupServiceEvent } from '../backup/backup-event.ts';
import { LogPins } from '../backup/log-pins.ts';
import { Pauses } from '../pauses.ts';
import type { PeerLink } from '../peer-transport.ts';
import { callerOf, offererProblem } from './caller-check.ts';
import { FETCH_PAUSE_MS, SNAPSHOT_LIMITS, type SnapshotLimits } from './limits.ts';
import { LogCompactor } from './log-compactor.ts';
import { type LogNeeds, logNeeds } from './log-needs.ts';
import { MemberContacts } from './member-contacts.ts';
import type { SnapshotEvent } from './snapshot-event.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';
import type { Answer, PeerAddress, SnapshotAnswers, SnapshotPort } from './snapshot-port.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { type InstallStatus, installStatus, type SnapshotMetrics } from './snapshot-status.ts';
import { SnapshotTaker, type TakeOutcome } from './snapshot-taker.ts';
import { baseIndexOf, type StateRebuilder } from './state-rebuilder.ts';

/** What a replica needs to live with a log that does not begin at its first entry. */
export interface SnapshotParts {
  readonly files: SnapshotFiles;
  readonly home: DerivedHome;
  /** Not closed before the replica is. */
  readonly port: SnapshotPort;
  readonly limits?: Partial<SnapshotLimits>;
  /** The disk is nearly full: nothing is kept for others then. Left out: it never is. */
  readonly isRoomScarce?: () => boolean;
}

export interface SnapshotDeskOptions {
  readonly parts: SnapshotParts;
  readonly log: CommitLog;
  readonly state: SwitchableState;
  readonly core: RaftCore;
  readonly clock: Clock;
  readonly rebuilder: StateRebuilder;
  readonly linkOf: (peer: NodeId) => PeerLink;
  readonly feed: (input: Input) => void;
  readonly send: (to: NodeId, message: Message) => void;
  readonly onEvent: (event: SnapshotEvent | BackupServiceEvent) => void;
  readonly onFatal: (error: unknown) => void;
}

/** Of two offers that cross, both may still become the log. */
const STAGED_BASES_MAX = 2;

export class SnapshotDesk implements SnapshotAnswers, SnapshotKeeper {
  readonly #options: SnapshotDeskOptions;
  readonly #limits: SnapshotLimits;
  readonly #taker: SnapshotTaker;
  readonly #compactor: LogCompactor;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #contacts: MemberContacts;
  readonly #pauses: Pauses;
  /** What backups are still reading. */
  readonly pins: LogPins;
  /** What leaders have offered with a snapshot that is durable here; the newest last. */
  #staged: LogBase[] = [];
  #fetching: Promise<void> | null = null;
  #overridden: readonly NodeId[] = [];
  readonly #counts = { taken: 0, takeFailures: 0, installed: 0, takenMs: 0 };

  constructor(options: SnapshotDeskOptions) {
    const { parts, log, state, core, clock, onEvent, onFatal, feed } = options;
    const { files, port } = parts;
    this.#options = options;
    this.#limits = { ...SNAPSHOT_LIMITS, ...parts.limits };
    this.#contacts = new MemberContacts(clock);
    this.#pauses = new Pauses(clock);
    const limits = this.#limits;
    this.pins = new LogPins({
      clock,
      isRoomScarce: parts.isRoomScarce ?? (() => false),
      onEnded: (holder, why) => onEvent({ kind: 'backupPinEnded', holder, why }),
    });
    this.#taker = new SnapshotTaker({
      ...{ clock, state, files, limits, onFatal },
      onTaken: (info, durationMs) => {
        this.#counts.taken++;
        this.#counts.takenMs = durationMs;
        const { appliedIndex: index, chunkCount } = info;
        onEvent({ kind: 'snapshotTaken', index, chunkCount, durationMs });
        this.check();
      },
      onFailed: (problem) => {
        this.#counts.takeFailures++;
        onEvent({ kind: 'snapshotNotTaken', problem });
      },
    });
    this.#compactor = new LogCompactor({
      ...{ log, core, state, files, feed, onFatal },
      wantSnapshot: () => this.#taker.want(),
      pinnedFrom: () => this.pins.floor(),
      onCompacted: ({ last }) => {
        onEvent({ kind: 'logCompacted', firstIndex: last.index + 1 });
        this.check();
      },
    });
    this.#sender = new SnapshotSender({
      ...{ log, files, port, clock, limits, onEvent, onFatal },
      term: () => core.term,
      addressOf: (peer) => this.#addressOf(peer),
      onSent: (peer, base) => this.#onSent(peer, base),
      onFailed: (peer) => feed({ kind: 'snapshotFailed', peer }),
    });
    this.#receiver = new SnapshotReceiver({ log, files, port, onEvent });
  }

  /** Call it from time to time, and when entries were applied. */
  check(): void {
    const { rebuilder } = this.#options;
    if (rebuilder.isHelpless) this.#fetchSoon();
    if (rebuilder.isNeeded) return;
    if (!this.#hasFittingSnapshot()) this.#taker.want();
    this.#taker.check();
    this.#compactor.check();
  }

  get files(): SnapshotFiles {
    return this.#options.parts.files;
  }

  /** Of what is applied now; resolves when it is durable. */
  take(): Promise<TakeOutcome> {
    const { rebuilder } = this.#options;
    if (!rebuilder.isNeeded) return this.#taker.request();
    return Promise.resolve({ kind: 'failed', why: 'this replica waits for a snapshot itself' });
  }

  onLead(): void {
    this.#contacts.onLead();
  }

  onHeard(peer: NodeId): void {
    this.#contacts.onHeard(peer);
  }

  onMembership({ members }: Membership): void {
    this.#contacts.forgetAllBut(new Set(members.map(({ nodeId }) => nodeId)));
  }

  /** As soon as may be. */
  wantSnapshot(): void {
    this.#taker.want();
  }

  /** The core wants the peer to have a snapshot. */
  sendTo(peer: NodeId): void {
    this.#sender.send(peer);
  }

  /** Whether the core may hear of it: it may make it the log. */
  accepts({ snapshot }: InstallSnapshot): boolean {
    const { core } = this.#options;
    return snapshot.last.index <= core.commitIndex || this.#stagedAt(snapshot) !== null;
  }

  /** What the log stands on when the snapshot has taken its place. */
  baseOf(snapshot: SnapshotDesc): LogBase {
    const staged = this.#stagedAt(snapshot);
    assert(staged !== null, 'a snapshot that replaces the log is durable here');
    return { desc: snapshot, headerCrc: staged.headerCrc };
  }

  /** It is durable: the log has begun anew. */
  onInstalled(snapshot: SnapshotDesc): void {
    this.#counts.installed++;
    const { index } = snapshot.last;
    this.#staged = this.#staged.filter(({ desc }) => (desc?.last.index ?? 0) > index);
    this.#options.onEvent({ kind: 'snapshotInstalled', firstIndex: index + 1 });
    this.#options.rebuilder.check();
  }

  /** Nobody reads a snapshot of the present state when it resolves. */
  quiet(): Promise<void> {
    return this.#taker.idle();
  }

  needs(isDiskNearlyFull: boolean): LogNeeds {
    const { core, state, onEvent } = this.#options;
    const members = core.status().peers.map(({ nodeId, matchIndex }) => ({
      ...{ nodeId, matchIndex },
      silentMs: this.#contacts.silentMs(nodeId),
    }));
    const { appliedIndex } = state;
    const graceMs = this.#limits.memberGraceMs;
    const needs = logNeeds({ appliedIndex, members, graceMs, isDiskNearlyFull });
    if (needs.overridden.join() !== this.#overridden.join() && needs.overridden.length > 0) {
      onEvent({ kind: 'membersOverridden', peers: needs.overridden });
    }
    this.#overridden = needs.overridden;
    return needs;
  }

  get install(): InstallStatus | null {
    return installStatus(this.#options.rebuilder, this.#receiver.progress);
  }

  get metrics(): SnapshotMetrics {
    return {
      newestIndex: this.#options.parts.files.newest?.appliedIndex ?? LogIndex(0),
      ...this.#counts,
      sending: this.#sender.sendingCount,
      sentSizeBytes: this.#sender.sentSizeBytes,
      receivedSizeBytes: this.#receiver.receivedSizeBytes,
    };
  }

  // What others ask.

  async offer(offer: SnapshotOffer): Promise<Answer<null>> {
    const { log, core, linkOf, parts, rebuilder } = this.#options;
    const { caller, snapshot, base } = offer;
    const problem = offererProblem(caller, log, linkOf) ?? this.#offerProblem(offer);
    if (problem !== null) return { kind: 'failed', why: problem };
    const index = base.desc?.last.index ?? LogIndex(0);
    // It asked before it knew; the core will say so.
    if (index <= core.commitIndex && !rebuilder.isHelpless) return { kind: 'answer', value: null };
    const address = this.#addressOf(NodeId(caller.nodeId));
    if (address === null) return { kind: 'failed', why: `no address of ${caller.nodeId}` };
    const release = parts.files.hold(snapshot.appliedIndex);
    try {
      const answer = await this.#receiver.pull(address, snapshot);
      if (answer.kind !== 'answer') return answer;
      const others = this.#staged.filter(({ desc }) => desc?.last.index !== index);
      this.#staged = [...others, base].slice(-STAGED_BASES_MAX);
      rebuilder.check();
      return answer;
    } catch (error) {
      this.#options.onFatal(error);
      return { kind: 'failed', why: 'this node stops' };
    } finally {
      release();
    }
  }

  read(read: SnapshotRead): Promise<Answer<Uint8Array>> {
    return this.#sender.read(read);
  }

  async newest(ask: SnapshotAsk): Promise<Answer<SnapshotOffer>> {
    return this.#sender.newest(ask);
  }

  async close(): Promise<void> {
    this.#pauses.close();
    this.#compactor.close();
    this.#options.parts.port.close();
    await Promise.all([this.#taker.close(), this.#receiver.close(), this.#sender.close()]);
    await this.#fetching;
  }

  #hasFittingSnapshot(): boolean {
    const { log, parts } = this.#options;
    const { desc } = log.base;
    return desc === null || (parts.files.newest?.logStart.index ?? 0) > desc.last.index;
  }

  #stagedAt({ last, endOffset }: SnapshotDesc): LogBase | null {
    const found = this.#staged.find(
      ({ desc }) =>
        desc?.last.index === last.index &&
        desc.last.term === last.term &&
        desc.endOffset === endOffset,
    );
    return found ?? null;
  }

  #offerProblem({ snapshot, base }: SnapshotOffer): string | null {
    const { desc } = base;
    if (desc === null) return 'A log from which nothing was removed needs no snapshot';
    const { segmentSizeBytes } = this.#options.log.identity;
    const { appliedIndex, logStart } = snapshot;
    const fits =
      desc.endOffset % segmentSizeBytes === 0 &&
      logStart.index > desc.last.index &&
      logStart.offset >= desc.endOffset + SEGMENT_HEADER_SIZE_BYTES &&
      appliedIndex >= logStart.index;
    return fits ? null : 'The snapshot does not fit the log that would follow it';
  }

  #onSent(peer: NodeId, snapshot: SnapshotDesc): void {
    const { core, feed, send } = this.#options;
    // Whoever leads now sends its own.
    if (core.leader !== this.#options.log.identity.nodeId) return;
    send(peer, { kind: 'installSnapshot', term: core.term, snapshot });
    feed({ kind: 'snapshotSent', peer, index: snapshot.last.index });
  }

  /** A log whose snapshot was lost: any member has one that will do. */
  #fetchSoon(): void {
    if (this.#fetching !== null || this.#pauses.closed) return;
    this.#fetching = this.#fetch()
      .then(() => this.#pauses.wait(FETCH_PAUSE_MS))
      .then(() => {})
      .catch(this.#options.onFatal)
      .finally(() => {
        this.#fetching = null;
      });
  }

  async #fetch(): Promise<void> {
    const { core, log, parts, rebuilder, onEvent } = this.#options;
    const why: string[] = [];
    for (const { nodeId } of core.status().membership.membership.members) {
      const address = nodeId === log.identity.nodeId ? null : this.#addressOf(nodeId);
      if (address === null || !rebuilder.isHelpless || this.#pauses.closed) continue;
      const asked = await parts.port.newest(address, { caller: callerOf(log, nodeId) });
      if (asked.kind !== 'answer') {
        why.push(`${nodeId}: ${asked.kind === 'gone' ? 'it has none' : asked.why}`);
        continue;
      }
      const { snapshot } = asked.value;
      if (snapshot.logStart.index <= baseIndexOf(log)) {
        why.push(`${nodeId}: its newest is older than this log`);
        continue;
      }
      const pulled = await this.#receiver.pull(address, snapshot);
      if (pulled.kind === 'failed') why.push(`${nodeId}: ${pulled.why}`);
      rebuilder.check();
    }
    if (rebuilder.isHelpless && !this.#pauses.closed) onEvent({ kind: 'snapshotMissing', why });
  }

  #addressOf(nodeId: NodeId): PeerAddress | null {
    const { members } = this.#options.core.status().membership.membership;
    const said = this.#options.linkOf(nodeId).addresses?.raft;
    const raftAddress = said ?? members.find((member) => member.nodeId === nodeId)?.raftAddress;
    return raftAddress === undefined ? null : { nodeId, raftAddress };
  }
}
