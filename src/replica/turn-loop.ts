/**
 * The turns of a replica: an input, a step of the core, and its effects on log, peers and derived
 * state. What people ask for, and when it is answered, is in replica-driver.ts.
 *
 * Invariants:
 * - One turn at a time. What happens during a turn waits for its end.
 * - Persist effects reach the log in order; what waits for a persist is sent when it is durable.
 *
 * Sources: Raft thesis 10.2.1 (the leader writes and sends in parallel); hazards H14, H29.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { NodeId } from '../base/units.ts';
import { chainCrcOf } from '../protocol/entry-codec.ts';
import type { ReceivedEntry } from '../protocol/peer-codec.ts';
import type {
  ChangeResult,
  Effect,
  Input,
  PersistEffect,
  ReadResult,
  TransferResult,
} from '../raft/effects.ts';
import type { EntryId } from '../raft/entry.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import type { Envelope, Message } from '../raft/messages.ts';
import type { RaftCore } from '../raft/raft-core.ts';
import type { CommittedEntry, RecordResult } from '../store/derived/derived-state.ts';
import { ApplyLoop } from './apply-loop.ts';
import { EntrySender } from './entry-sender.ts';
import { LOG_WRITES_PENDING_MAX } from './limits.ts';
import { Packer } from './packer.ts';
import { PeerPromises } from './peer-promises.ts';
import { NO_TURN_BYTES, PersistRunner, type TurnBytes } from './persist-runner.ts';
import type { Proposals } from './proposals.ts';
import type { ReplicaParts } from './replica-options.ts';
import { SnapshotDesk } from './snapshot/snapshot-desk.ts';
import { StateRebuilder } from './snapshot/state-rebuilder.ts';

/** Something that happened, waiting for its step. */
interface TurnInput {
  readonly input: Input;
  /** Entries that came with a message. */
  readonly received: readonly ReceivedEntry[];
  /** Messages that waited for this moment; they leave before the step. */
  readonly due: readonly Envelope[];
}

/** What the turns bring about; each runs inside a turn. */
export interface TurnEvents {
  /** The core's role, term or leader changed. */
  readonly onRole: (role: Extract<Effect, { kind: 'role' }>) => void;
  readonly onMembership: (current: LoggedMembership) => void;
  readonly onEntryApplied: (entry: CommittedEntry, results: readonly RecordResult[]) => void;
  /** The applied index has grown, by one entry or more. */
  readonly onApplied: () => void;
  readonly onReadResult: (result: ReadResult) => void;
  readonly onTransferResult: (result: TransferResult) => void;
  readonly onChangeResult: (result: ChangeResult) => void;
  readonly onFatal: (error: unknown) => void;
}

export interface TurnLoopOptions {
  readonly replica: ReplicaParts;
  readonly core: RaftCore;
  readonly proposals: Proposals;
  readonly mayServe: () => boolean;
  readonly events: TurnEvents;
}

const NONE: readonly never[] = [];

export class TurnLoop {
  readonly packer: Packer;
  /** null: this replica lives without snapshots, with a log from which nothing is removed. */
  readonly snapshots: SnapshotDesk | null;
  readonly #rebuilder: StateRebuilder | null;
  readonly #options: TurnLoopOptions;
  readonly #core: RaftCore;
  readonly #persistRunner: PersistRunner;
  readonly #sender: EntrySender;
  readonly #applyLoop: ApplyLoop;
  readonly #promises: PeerPromises;
  #inbox: TurnInput[] = [];
  #inTurn = false;
  /** The next turn may pack: proposals waited for something that has happened. */
  #packDue = false;
  #halted = false;

  constructor(options: TurnLoopOptions) {
    const { core, proposals, mayServe, events } = options;
    const { log, state, transport, clock } = options.replica;
    const { onFatal } = events;
    this.#options = options;
    this.#core = core;
    this.#rebuilder = this.#createRebuilder();
    this.snapshots = this.#createDesk();
    this.#persistRunner = new PersistRunner(
      log,
      (snapshot) => this.#desk.baseOf(snapshot),
      (effect) => this.#onDurable(effect),
    );
    this.packer = new Packer({
      ...{ core, proposals, mayServe },
      isTransferring: () => core.transferTo !== null,
      logIsFree: () => this.#persistRunner.pendingCount < LOG_WRITES_PENDING_MAX,
      propose: (proposal, proposed) =>
        this.#step({ kind: 'propose', proposals: [proposal] }, { received: NONE, proposed }),
    });
    this.#sender = new EntrySender({
      ...{ log, transport, clock, onFatal },
      currentTerm: () => core.term,
      onUnreachable: (peer) => this.feed({ kind: 'peerUnreachable', peer }),
    });
    this.#promises = new PeerPromises({
      ...{ core, log },
      storeOf: (peer) => transport.linkOf(peer).storeUuid,
    });
    this.#applyLoop = new ApplyLoop({
      ...{ log, state, clock, onFatal },
      onEntry: events.onEntryApplied,
      onReady: () => this.#turn(),
    });
  }

  /** Starts to hear the peers. */
  listen(): void {
    this.#options.replica.transport.start({
      onMessage: (from, message, received) => this.#onMessage(from, message, received),
      onUnreachable: (peer) => this.feed({ kind: 'peerUnreachable', peer }),
    });
  }

  /** Gives the core an input: at once, or at the end of the turn that is running. */
  feed(input: Input, more: Partial<TurnInput> = {}): void {
    if (this.#halted) return;
    this.#inbox.push({ input, received: NONE, due: NONE, ...more });
    this.#turn();
  }

  /** What is queued may become entries. */
  pack(): void {
    this.#packDue = true;
    this.#turn();
  }

  /** No turn begins any more. */
  halt(): void {
    this.#halted = true;
    this.#inbox = [];
  }

  /** Stops reading for peers and applying. */
  async close(): Promise<void> {
    await this.snapshots?.close();
    await this.#rebuilder?.close();
    await this.#sender.close();
    await this.#applyLoop.close();
  }

  /** Works until nothing is left to do at once. Sends and writes come before applying. */
  #turn(): void {
    if (this.#inTurn || this.#halted) return;
    const { replica, events } = this.#options;
    this.#inTurn = true;
    try {
      this.#drain();
      // A slice that is large enough says that there is no more work in this turn.
      while (this.#applyLoop.hasWork && this.#applyLoop.runSlice()) {
        const index = replica.state.appliedIndex;
        this.#inbox.push({ input: { kind: 'applied', index }, received: NONE, due: NONE });
        events.onApplied();
        this.#packDue = true;
        this.#drain();
      }
    } catch (error) {
      // Bug, damaged log or dead disk: the owner of the process decides, we stand still.
      events.onFatal(error);
    } finally {
      this.#inTurn = false;
    }
  }

  #drain(): void {
    while (!this.#halted) {
      const next = this.#inbox.shift();
      if (next !== undefined) {
        for (const { to, message } of next.due) this.#sender.send(to, message);
        this.#step(next.input, { ...NO_TURN_BYTES, received: next.received });
      } else if (this.#packDue) {
        this.#packDue = false;
        this.packer.pack();
      } else {
        return;
      }
    }
  }

  #step(input: Input, bytes: TurnBytes): void {
    if (input.kind === 'receive' && !this.#isAcceptable(input.from, input.message, bytes)) return;
    const effects = this.#core.step(input);
    if (input.kind === 'receive') this.#promises.observe(input.from, input.message);
    // Writes first: then the bytes of what is sent in the same turn are in the cache.
    for (const effect of effects) {
      if (effect.kind !== 'persist') continue;
      this.#persistRunner.write(effect, bytes, this.#core.commitIndex);
    }
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: Effect): void {
    const { replica, events } = this.#options;
    switch (effect.kind) {
      case 'persist':
        return;
      case 'send':
        this.#sender.send(effect.to, effect.message);
        return;
      case 'apply':
        this.#applyLoop.extendTo(effect.to);
        replica.log.noteCommitIndex(effect.to);
        this.#rebuilder?.commitTo(effect.to);
        return;
      case 'proposeResult':
        this.packer.onResult(effect);
        return;
      case 'readResult':
        events.onReadResult(effect);
        return;
      case 'transferResult':
        this.#packDue = true;
        events.onTransferResult(effect);
        return;
      case 'changeResult':
        events.onChangeResult(effect);
        return;
      case 'sendSnapshot':
        this.#desk.sendTo(effect.to);
        return;
      case 'membership':
        events.onMembership(effect.current);
        return;
      case 'role':
        events.onRole(effect);
        return;
      case 'alarm': {
        const { id, details } = effect;
        replica.onEvent({ kind: 'alarm', id, details });
        return;
      }
      default:
        unreachable(effect);
    }
  }

  /** The core speaks of snapshots only when the log has lost, or may lose, its beginning. */
  get #desk(): SnapshotDesk {
    assert(this.snapshots !== null, 'a log that is removed from has snapshots');
    return this.snapshots;
  }

  #createRebuilder(): StateRebuilder | null {
    const { replica, events } = this.#options;
    const { snapshots, log, state, onEvent } = replica;
    if (snapshots === undefined) return null;
    const { files, home } = snapshots;
    return new StateRebuilder({
      ...{ log, state, home, files },
      beforeSwitch: () => this.#desk.quiet(),
      onRebuilt: ({ appliedIndex }) => {
        onEvent({ kind: 'stateRebuilt', index: appliedIndex });
        // Further than the snapshot, if entries behind it were applied since.
        this.feed({ kind: 'applied', index: state.appliedIndex });
        events.onApplied();
        this.snapshots?.check();
      },
      onFatal: events.onFatal,
    });
  }

  #createDesk(): SnapshotDesk | null {
    const { replica, core, events } = this.#options;
    const { snapshots: parts, log, state, clock, transport, onEvent } = replica;
    const rebuilder = this.#rebuilder;
    if (parts === undefined || rebuilder === null) return null;
    return new SnapshotDesk({
      ...{ parts, log, state, core, clock, rebuilder, onEvent },
      linkOf: (peer) => transport.linkOf(peer),
      feed: (input) => this.feed(input),
      send: (to, message) => this.#sender.send(to, message),
      onFatal: events.onFatal,
    });
  }

  #onMessage(from: NodeId, message: Message, received: readonly ReceivedEntry[]): void {
    this.snapshots?.onHeard(from);
    this.feed({ kind: 'receive', from, message }, { received });
  }

  #onDurable(effect: PersistEffect): void {
    this.#packDue = true;
    this.feed({ kind: 'persisted', token: effect.token }, { due: effect.after });
    if (effect.snapshot !== null) this.#desk.onInstalled(effect.snapshot);
  }

  #isAcceptable(from: NodeId, message: Message, { received }: TurnBytes): boolean {
    const { onEvent } = this.#options.replica;
    if (message.kind === 'installSnapshot') {
      if (this.snapshots?.accepts(message) === true) return true;
      // It was staged by an earlier process, or not at all: the leader will offer it again.
      onEvent({ kind: 'snapshotIgnored', from, index: message.snapshot.last.index });
      return false;
    }
    const first = received[0];
    if (message.kind !== 'appendRequest' || first === undefined) return true;
    if (this.#continuesOurLog(message.prev, first)) return true;
    onEvent({ kind: 'chainBroken', from, index: first.desc.index });
    return false;
  }

  /** Equal (index, term) with another chain: one of the two copies is not what it seems (H5). */
  #continuesOurLog(prev: EntryId, first: ReceivedEntry): boolean {
    if (prev.index > 0 && this.#core.entryAt(prev.index)?.term !== prev.term) return true;
    const headerCrc = this.#options.replica.log.headerCrcAt(prev.index);
    return headerCrc === null || chainCrcOf(first.bytes, headerCrc) === first.chainCrc;
  }
}
