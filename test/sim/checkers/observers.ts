/**
 * What a checker may see, and the switchboard that tells all of them. A checker is told after every
 * event; it keeps what it needs, so that the cost of an event does not grow with the run.
 */
import type { LogIndex, NodeId } from '../../../src/base/units.ts';
import type { CoreStart, CoreStatus } from '../../../src/raft/core-types.ts';
import type {
  AlarmId,
  ChangeResult,
  Effect,
  Input,
  PersistEffect,
  TransferResult,
} from '../../../src/raft/effects.ts';
import type { EntryDesc, SnapshotDesc } from '../../../src/raft/entry.ts';
import type { LoggedMembership } from '../../../src/raft/membership.ts';
import type { Message } from '../../../src/raft/messages.ts';
import type { Accepted, SimNode } from '../node.ts';

export interface Step {
  readonly node: SimNode;
  readonly input: Input;
  readonly effects: readonly Effect[];
  readonly before: CoreStatus;
  readonly after: CoreStatus;
}

export interface Observers {
  /** A node is about to live again from what its disk held. */
  started(node: SimNode, start: CoreStart): void;
  /** An effect is about to be carried out. */
  emitted(node: SimNode, effect: Effect): void;
  /** A core has stepped and its effects are under way. */
  stepped(step: Step): void;
  /** A persist was emitted and is not in the node's log yet. */
  persisting(node: SimNode, persist: PersistEffect, before: CoreStatus): void;
  /** A message leaves the node. */
  released(node: SimNode, to: NodeId, message: Message): void;
  /** Durable entries were removed. */
  cut(node: SimNode, removed: readonly EntryDesc[]): void;
  applied(node: SimNode, entry: EntryDesc): void;
  /** The client was told that its value is in. */
  acknowledged(node: SimNode, accepted: Accepted): void;
  /** The client was told that its value will never be in. */
  refused(node: SimNode, value: number): void;
  /** An index that nobody had committed before. */
  committed(node: SimNode, entry: EntryDesc): void;
  elected(node: SimNode): void;
  alarmed(node: SimNode, id: AlarmId): void;
  /** A client wants to read; told before the core is. */
  readAsked(node: SimNode, tag: number): void;
  /** The client has its answer, from a state machine that holds `appliedValueCount` values. */
  readAnswered(node: SimNode, tag: number, index: LogIndex, appliedValueCount: number): void;
  readRefused(node: SimNode, tag: number): void;
  /** The core says that another membership is in force. */
  membershipChanged(node: SimNode, current: LoggedMembership): void;
  /** A snapshot has taken the place of the node's log and state, durably. */
  snapshotInstalled(node: SimNode, snapshot: SnapshotDesc, digest: number): void;
  /** The node's log begins after `through` now. */
  compacted(node: SimNode, through: LogIndex): void;
  /** The node's directory is gone; what comes back under its id is another store. */
  wiped(node: SimNode): void;
  /** The node's directory was replaced by an older copy of itself. */
  rolledBack(node: SimNode): void;
  transferEnded(node: SimNode, result: TransferResult): void;
  changeEnded(node: SimNode, result: ChangeResult): void;
  /** The network is healed, everybody is up and has applied everything. */
  ended(): void;
}

export type Checker = Partial<Observers>;

type EventName = keyof Observers;
type Listeners = { [E in EventName]: Observers[E][] };

/** Tells every checker that wants to know, in the order in which they were given. */
export class Switchboard implements Observers {
  readonly #listeners: Listeners = {
    started: [],
    emitted: [],
    stepped: [],
    persisting: [],
    released: [],
    cut: [],
    applied: [],
    acknowledged: [],
    refused: [],
    committed: [],
    elected: [],
    alarmed: [],
    readAsked: [],
    readAnswered: [],
    readRefused: [],
    membershipChanged: [],
    snapshotInstalled: [],
    compacted: [],
    wiped: [],
    rolledBack: [],
    transferEnded: [],
    changeEnded: [],
    ended: [],
  };

  add(checker: Checker): void {
    for (const name of Object.keys(this.#listeners) as EventName[]) this.#listen(name, checker);
  }

  #listen<E extends EventName>(name: E, checker: Checker): void {
    const listener = checker[name] as Observers[E] | undefined;
    if (listener !== undefined) this.#listeners[name].push(listener.bind(checker) as Observers[E]);
  }

  started(node: SimNode, start: CoreStart): void {
    for (const tell of this.#listeners.started) tell(node, start);
  }
  emitted(node: SimNode, effect: Effect): void {
    for (const tell of this.#listeners.emitted) tell(node, effect);
  }
  stepped(step: Step): void {
    for (const tell of this.#listeners.stepped) tell(step);
  }
  persisting(node: SimNode, persist: PersistEffect, before: CoreStatus): void {
    for (const tell of this.#listeners.persisting) tell(node, persist, before);
  }
  released(node: SimNode, to: NodeId, message: Message): void {
    for (const tell of this.#listeners.released) tell(node, to, message);
  }
  cut(node: SimNode, removed: readonly EntryDesc[]): void {
    for (const tell of this.#listeners.cut) tell(node, removed);
  }
  applied(node: SimNode, entry: EntryDesc): void {
    for (const tell of this.#listeners.applied) tell(node, entry);
  }
  acknowledged(node: SimNode, accepted: Accepted): void {
    for (const tell of this.#listeners.acknowledged) tell(node, accepted);
  }
  refused(node: SimNode, value: number): void {
    for (const tell of this.#listeners.refused) tell(node, value);
  }
  committed(node: SimNode, entry: EntryDesc): void {
    for (const tell of this.#listeners.committed) tell(node, entry);
  }
  elected(node: SimNode): void {
    for (const tell of this.#listeners.elected) tell(node);
  }
  alarmed(node: SimNode, id: AlarmId): void {
    for (const tell of this.#listeners.alarmed) tell(node, id);
  }
  readAsked(node: SimNode, tag: number): void {
    for (const tell of this.#listeners.readAsked) tell(node, tag);
  }
  readAnswered(node: SimNode, tag: number, index: LogIndex, appliedValueCount: number): void {
    for (const tell of this.#listeners.readAnswered) tell(node, tag, index, appliedValueCount);
  }
  readRefused(node: SimNode, tag: number): void {
    for (const tell of this.#listeners.readRefused) tell(node, tag);
  }
  membershipChanged(node: SimNode, current: LoggedMembership): void {
    for (const tell of this.#listeners.membershipChanged) tell(node, current);
  }
  snapshotInstalled(node: SimNode, snapshot: SnapshotDesc, digest: number): void {
    for (const tell of this.#listeners.snapshotInstalled) tell(node, snapshot, digest);
  }
  compacted(node: SimNode, through: LogIndex): void {
    for (const tell of this.#listeners.compacted) tell(node, through);
  }
  wiped(node: SimNode): void {
    for (const tell of this.#listeners.wiped) tell(node);
  }
  rolledBack(node: SimNode): void {
    for (const tell of this.#listeners.rolledBack) tell(node);
  }
  transferEnded(node: SimNode, result: TransferResult): void {
    for (const tell of this.#listeners.transferEnded) tell(node, result);
  }
  changeEnded(node: SimNode, result: ChangeResult): void {
    for (const tell of this.#listeners.changeEnded) tell(node, result);
  }
  ended(): void {
    for (const tell of this.#listeners.ended) tell();
  }
}
