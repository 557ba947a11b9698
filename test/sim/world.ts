/**
 * The simulated world: a loop over timed events in virtual milliseconds. Everything that happens is
 * decided by (seed, profile, fault script, client script); there is no other input.
 */
import { assert } from '../../src/base/assert.ts';
import type { LogIndex, NodeId } from '../../src/base/units.ts';
import type { Message } from '../../src/raft/messages.ts';
import { addAllCheckers } from './checkers/all-checkers.ts';
import type { CommitHistory } from './checkers/commit-history.ts';
import { type Observers, type Step, Switchboard } from './checkers/observers.ts';
import type { Judge } from './checkers/violation.ts';
import type { ClientOp } from './client-script.ts';
import { coreConfigOf, originOf } from './core-setup.ts';
import { Directories } from './directories.ts';
import { Trace, type WorldEvent } from './event.ts';
import { EventQueue } from './event-queue.ts';
import { FaultEngine } from './fault-engine.ts';
import { type Fault, placeCountOf } from './fault-script.ts';
import { Handshakes } from './identity.ts';
import { keyedU32, mixDigest } from './keyed-random.ts';
import { LivenessProbe } from './liveness.ts';
import { Marks } from './marks.ts';
import { SimNetwork } from './network.ts';
import { type Host, nodeIdAt, SimNode } from './node.ts';
import { Operator } from './operator.ts';
import { Pace } from './pace.ts';
import type { PlantedBugs } from './planted-bugs.ts';
import type { Profile } from './profiles.ts';
import { SnapshotTransfers } from './snapshot-transfers.ts';
import type { SnapshotContent } from './state-machine.ts';

export interface Script {
  readonly seed: number;
  readonly profile: Profile;
  readonly faults: readonly Fault[];
  readonly ops: readonly ClientOp[];
}

/** What clients and operators got. */
export interface OpCounts {
  acknowledged: number;
  readsAnswered: number;
  changesAccepted: number;
  transfersDone: number;
}

const SALT = { flush: 13, unreachable: 14, misroute: 16 } as const;
const FLUSH_APPLIED_ONE_IN = 4;
/** A broken stream is reported at most this often per direction. */
const UNREACHABLE_PAUSE_MS = 300;
/** Of what is sent to a node with a clone, so much reaches the clone. */
const MISROUTED_ONE_IN = 4;
/** Reads and commands that go to anybody, leader or not. */
const ASTRAY_ONE_IN = 12;
const REPLAY_SPREAD_MS = 50;

export class World implements Host {
  readonly nodes: readonly SimNode[];
  readonly history: CommitHistory;
  readonly network: SimNetwork;
  readonly faults: FaultEngine;
  readonly marks: Marks;
  readonly transfers: SnapshotTransfers;
  readonly trace = new Trace();
  readonly observers: Observers;
  readonly opCounts: OpCounts = {
    acknowledged: 0,
    readsAnswered: 0,
    changesAccepted: 0,
    transfersDone: 0,
  };
  readonly #script: Script;
  readonly #queue = new EventQueue<WorldEvent>();
  readonly #byId: ReadonlyMap<NodeId, SimNode>;
  readonly #handshakes: Handshakes;
  readonly #directories: Directories;
  readonly #operator: Operator;
  readonly #liveness: LivenessProbe;
  readonly #remembersFrames: boolean;
  readonly #placeCount: number;
  readonly #pace: Pace;
  readonly #reportedAtMs: Float64Array;
  #nowMs = 0;
  #eventCount = 0;
  #digest = 0x811c9dc5;

  constructor(script: Script, bugs: PlantedBugs, judge: Judge) {
    const { seed, profile } = script;
    this.#script = script;
    const switchboard = new Switchboard();
    this.observers = switchboard;
    const hasCopies = profile.rates.restore + profile.rates.clone > 0;
    const nodeCount = placeCountOf(profile);
    // The last place is that of a clone.
    this.#placeCount = hasCopies ? nodeCount + 1 : nodeCount;
    this.#remembersFrames = profile.rates.replay > 0;
    const remembersFrames = this.#remembersFrames;
    this.network = new SimNetwork(seed, this.#placeCount, profile.network, { remembersFrames });
    const { snapshotEveryCount } = profile;
    const setupOf = (id: NodeId, place: number) => {
      const config = coreConfigOf(profile, id);
      return { id, place, seed, config, bugs, origin: originOf(profile), snapshotEveryCount };
    };
    this.nodes = Array.from({ length: nodeCount }, (_, place) => {
      return new SimNode(this, setupOf(nodeIdAt(place), place));
    });
    this.#byId = new Map(this.nodes.map((node) => [node.id, node]));
    this.#directories = new Directories(this, hasCopies, ({ id }) => setupOf(id, nodeCount));
    this.faults = new FaultEngine(this, this.#directories);
    this.marks = new Marks(this);
    this.transfers = new SnapshotTransfers(this, seed, profile.snapshotMsMax);
    this.#handshakes = new Handshakes(bugs.identity);
    this.#operator = new Operator(this.nodes);
    this.#liveness = new LivenessProbe(this, judge, script);
    this.#pace = new Pace(seed, profile, this.#placeCount);
    this.#reportedAtMs = new Float64Array(this.#placeCount ** 2).fill(Number.NEGATIVE_INFINITY);
    this.history = this.#addObservers(switchboard, judge);
  }

  #addObservers(switchboard: Switchboard, judge: Judge): CommitHistory {
    const counts = this.opCounts;
    switchboard.add({
      stepped: (step) => this.#mixStep(step),
      acknowledged: () => {
        counts.acknowledged += 1;
      },
      readAnswered: () => {
        counts.readsAnswered += 1;
      },
      changeEnded: (_node, { result }) => {
        if (result === 'accepted') counts.changesAccepted += 1;
      },
      transferEnded: (_node, { result }) => {
        if (result === 'handedOver') counts.transfersDone += 1;
      },
    });
    const limits = coreConfigOf(this.#script.profile, nodeIdAt(0));
    const history = addAllCheckers(switchboard, { judge, nodes: this.nodes, limits });
    switchboard.add(this.marks);
    switchboard.add(this.faults);
    switchboard.add(this.#directories);
    switchboard.add(this.#liveness);
    return history;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  get queuedEventCount(): number {
    return this.#queue.size;
  }

  get digest(): string {
    return this.#digest.toString(16).padStart(8, '0');
  }

  /** Chaos until `chaosMs`; then the phases of liveness.ts. */
  run(): void {
    const { faults, ops, profile } = this.#script;
    for (const fault of faults) this.schedule(fault.atMs, { kind: 'fault', fault });
    for (const op of ops) this.schedule(op.atMs, { kind: 'client', op });
    this.schedule(profile.chaosMs, { kind: 'chaosEnds' });
    for (const node of this.nodes) this.restart(node, 'nothing');
    while (!this.#liveness.isDone) this.#runNext();
    this.observers.ended();
  }

  schedule(atMs: number, event: WorldEvent): void {
    assert(atMs >= this.#nowMs, 'events lie in the future');
    this.#queue.push(atMs, event);
  }

  restart(node: SimNode, memory: Parameters<SimNode['start']>[0]): void {
    node.start(memory);
    this.#tickLater(node);
  }

  /** A process runs again; its timer first. */
  wake(node: SimNode, kind: 'tick' | 'resumed'): void {
    this.marks.hit('tickSwallowedAfterPause');
    node.step({ kind });
    node.watchDisk();
    this.#tickLater(node);
  }

  send(from: SimNode, to: NodeId, message: Message): void {
    const receiver = this.#receiverOf(from, to);
    const { network } = this;
    if (this.#remembersFrames && !this.#directories.isClone(from)) {
      network.remember(from.place, receiver.place, { message, storeUuid: from.storeUuid });
    }
    const { life } = from;
    const delays = network.send(from.place, receiver.place, this.#nowMs);
    for (const delayMs of delays) {
      const event: WorldEvent = {
        kind: 'deliver',
        from,
        life,
        to: receiver,
        message,
        isOld: false,
      };
      this.#queue.push(this.#nowMs + delayMs, event);
    }
    if (delays.length === 0 && network.isCut(from.place, receiver.place)) {
      this.#reportUnreachable(from, receiver);
    }
  }

  persistQueued(node: SimNode): void {
    const doneMs = this.#nowMs + this.#pace.persistMs(node.place);
    this.#queue.push(doneMs, { kind: 'persisted', node, life: node.life });
  }

  applyQueued(node: SimNode, to: LogIndex): void {
    const doneMs = this.#pace.applyDoneMs(node.place, to, this.#nowMs);
    this.#queue.push(doneMs, { kind: 'applied', node, life: node.life });
  }

  snapshotBegun(node: SimNode, content: SnapshotContent): void {
    const doneMs = this.#nowMs + this.#pace.snapshotMs(node.place, content.desc.last.index);
    this.#queue.push(doneMs, { kind: 'snapshotTaken', node, life: node.life, content });
  }

  transferSnapshot(from: SimNode, to: NodeId): void {
    this.transfers.begin(from, this.#nodeOf(to));
  }

  /** Whether the two ends of a new connection accept each other. */
  admits(from: SimNode, to: SimNode): boolean {
    const edge = from.place * this.#placeCount + to.place;
    const refusal = this.#handshakes.refusal(from, to, edge);
    if (refusal !== null) this.#noteRefusal(from, to, refusal);
    return refusal === null;
  }

  /** @returns how many old frames will arrive once more. */
  replay({ from, to, count, pick }: Extract<Fault, { kind: 'replay' }>): number {
    const frames = this.network.framesOn(from, to);
    const sender = this.nodes[from];
    const receiver = this.nodes[to];
    if (sender === undefined || receiver === undefined || frames.length === 0) return 0;
    let replayedCount = 0;
    for (let i = 0; i < count; i++) {
      const word = keyedU32(pick, i);
      const { message, storeUuid } = frames[word % frames.length]!; // below the length
      if (storeUuid !== sender.storeUuid || sender.hasLostMemory || receiver.hasLostMemory)
        continue;
      replayedCount += 1;
      this.schedule(this.#nowMs + ((word >>> 8) % REPLAY_SPREAD_MS), {
        kind: 'deliver',
        from: sender,
        life: sender.life,
        to: receiver,
        message,
        isOld: true,
      });
    }
    return replayedCount;
  }

  #tickLater(node: SimNode): void {
    this.#queue.push(this.#nowMs + this.#pace.tickMs(node.place), {
      kind: 'tick',
      node,
      life: node.life,
    });
  }

  #runNext(): void {
    this.#nowMs = this.#queue.nextAtMs;
    const event = this.#queue.pop();
    if (this.faults.holdsBack(event)) return;
    this.#eventCount++;
    this.trace.record(this.#nowMs, event);
    this.#happen(event);
    this.faults.springTraps();
  }

  #happen(event: WorldEvent): void {
    switch (event.kind) {
      case 'tick':
        this.#tick(event.node, event.life);
        return;
      case 'deliver':
        this.#deliver(event);
        return;
      case 'persisted':
        if (isAlive(event)) event.node.completePersist();
        return;
      case 'applied':
        if (isAlive(event)) this.#apply(event.node);
        return;
      case 'unreachable':
        if (event.node.isUp) event.node.step({ kind: 'peerUnreachable', peer: event.peer });
        return;
      case 'snapshotTaken':
        if (isAlive(event)) event.node.finishSnapshot(event.content);
        return;
      case 'snapshotArrives':
        this.transfers.arrive(event);
        return;
      case 'snapshotEnds':
        if (isAlive(event)) this.transfers.finish(event);
        return;
      case 'client':
        this.#ask(event.op);
        return;
      case 'fault':
        this.faults.strike(event.fault);
        return;
      case 'faultEnd':
        this.faults.end(event.fault);
        return;
      case 'release':
        this.faults.releaseIfDue(event.node);
        return;
      case 'restart':
        if (!event.node.isUp && this.faults.mayRestart(event.node)) {
          this.restart(event.node, event.memory);
        }
        return;
      case 'chaosEnds':
        this.#liveness.begin();
        return;
      case 'probe':
        this.#liveness.probe();
        return;
    }
  }

  #tick(node: SimNode, life: number): void {
    if (life !== node.life || !node.isUp) return;
    node.step({ kind: 'tick' });
    node.watchDisk();
    this.#tickLater(node);
  }

  #deliver({ from, life, to, message, isOld }: Extract<WorldEvent, { kind: 'deliver' }>): void {
    if (isOld) {
      if (!to.isUp) return;
      this.marks.hit('frameReplayed');
      to.receive(from.id, message);
      return;
    }
    this.network.arrived(from.place, to.place);
    if (this.faults.isLost(from, life)) return;
    if (to.isUp && this.admits(from, to)) to.receive(from.id, message);
    else this.#reportUnreachable(from, to);
  }

  #apply(node: SimNode): void {
    node.completeApply();
    const word = keyedU32(this.#script.seed, node.place, node.appliedIndex, SALT.flush);
    if (word % FLUSH_APPLIED_ONE_IN === 0) node.flushApplied();
  }

  #ask(op: ClientOp): void {
    const isAstray = op.kind !== 'propose' && op.choice % ASTRAY_ONE_IN === 0;
    const asked = this.nodes.filter((node) => {
      return node.isUp && (isAstray || node.isLeader) && !this.faults.isPaused(node);
    });
    const node = asked[op.choice % Math.max(1, asked.length)];
    if (node === undefined) return;
    switch (op.kind) {
      case 'propose':
        node.propose(op.values, op.payloadSizeBytes);
        return;
      case 'read':
        node.read();
        return;
      case 'transfer':
        this.#operator.transfer(op, node);
        return;
      case 'change':
        this.#operator.change(op, node);
        return;
    }
  }

  #nodeOf(id: NodeId): SimNode {
    const node = this.#byId.get(id);
    assert(node !== undefined, 'messages go to nodes that exist', () => ({ id }));
    return node;
  }

  /** The node of that name, or now and then its clone: an address says little about who is there. */
  #receiverOf(from: SimNode, id: NodeId): SimNode {
    const node = this.#nodeOf(id);
    const clone = this.#directories.cloneOf(node);
    if (clone === null || clone === from) return node;
    const word = keyedU32(this.#script.seed, from.place, this.#eventCount, SALT.misroute);
    return word % MISROUTED_ONE_IN === 0 ? clone : node;
  }

  #noteRefusal(from: SimNode, to: SimNode, refusal: 'otherStore' | 'olderStore'): void {
    if (this.#directories.isClone(from) || this.#directories.isClone(to)) {
      this.marks.hit('cloneRefused');
      return;
    }
    this.marks.hit(refusal === 'otherStore' ? 'wipedNodeRefused' : 'oldImageRefused');
  }

  #reportUnreachable(from: SimNode, to: SimNode): void {
    const edge = from.place * this.#placeCount + to.place;
    const lastMs = this.#reportedAtMs[edge]!; // one per edge
    if (this.#nowMs - lastMs < UNREACHABLE_PAUSE_MS) return;
    this.#reportedAtMs[edge] = this.#nowMs;
    const delayMs = keyedU32(this.#script.seed, edge, this.#nowMs, SALT.unreachable) % 50;
    this.schedule(this.#nowMs + delayMs, { kind: 'unreachable', node: from, peer: to.id });
  }

  #mixStep({ node, effects, after }: Step): void {
    let digest = mixDigest(this.#digest, Math.round(this.#nowMs * 100));
    digest = mixDigest(digest, node.place * 64 + effects.length);
    digest = mixDigest(digest, after.term);
    digest = mixDigest(digest, after.lastIndex * 4096 + after.durableIndex);
    this.#digest = mixDigest(digest, after.commitIndex * 4096 + after.appliedIndex);
  }
}

function isAlive({ node, life }: { readonly node: SimNode; readonly life: number }): boolean {
  return node.isUp && node.life === life;
}
