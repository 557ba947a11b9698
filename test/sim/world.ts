/**
 * The simulated world: a loop over timed events in virtual milliseconds. Everything that happens is
 * decided by (seed, profile, fault script, client script); there is no other input.
 */
import { assert } from '../../src/base/assert.ts';
import { Prng } from '../../src/base/prng.ts';
import type { LogIndex, NodeId } from '../../src/base/units.ts';
import type { CoreConfig } from '../../src/raft/core-types.ts';
import type { Message } from '../../src/raft/messages.ts';
import { addAllCheckers } from './checkers/all-checkers.ts';
import type { CommitHistory } from './checkers/commit-history.ts';
import { type Observers, type Step, Switchboard } from './checkers/observers.ts';
import type { Judge } from './checkers/violation.ts';
import type { ClientOp } from './client-script.ts';
import { Trace, type WorldEvent } from './event.ts';
import { EventQueue } from './event-queue.ts';
import { FaultEngine } from './fault-engine.ts';
import type { Fault } from './fault-script.ts';
import { keyedU32, mixDigest } from './keyed-random.ts';
import { LivenessProbe } from './liveness.ts';
import { Marks } from './marks.ts';
import { SimNetwork } from './network.ts';
import { type Host, nodeIdAt, SimNode } from './node.ts';
import type { PlantedBugs } from './planted-bugs.ts';
import type { Profile } from './profiles.ts';
import { ELECTION_TICKS_MAX, ELECTION_TICKS_MIN, HEARTBEAT_TICKS, TICK_MS } from './timing.ts';

export interface Script {
  readonly seed: number;
  readonly profile: Profile;
  readonly faults: readonly Fault[];
  readonly ops: readonly ClientOp[];
}

const SALT = { disk: 11, apply: 12, flush: 13, unreachable: 14 } as const;
/** One persist in three shares the flush of the one before it: group commit. */
const GROUP_COMMIT_ONE_IN = 3;
const FLUSH_APPLIED_ONE_IN = 4;
const LATENCY_STEPS_PER_MS = 8;
/** A broken stream is reported at most this often per direction. */
const UNREACHABLE_PAUSE_MS = 300;
/** Clocks run at 96 to 104 %. */
const SKEW_PERCENT_MAX = 4;

export class World implements Host {
  readonly nodes: readonly SimNode[];
  readonly history: CommitHistory;
  readonly network: SimNetwork;
  readonly faults: FaultEngine;
  readonly marks: Marks;
  readonly trace = new Trace();
  readonly observers: Observers;
  readonly #script: Script;
  readonly #queue = new EventQueue<WorldEvent>();
  readonly #tickMs: readonly number[];
  readonly #liveness: LivenessProbe;
  readonly #persistCounts: number[];
  readonly #applyDoneAtMs: number[];
  readonly #reportedAtMs = new Map<number, number>();
  #nowMs = 0;
  #eventCount = 0;
  #ackedCount = 0;
  #digest = 0x811c9dc5;

  constructor(script: Script, bugs: PlantedBugs, judge: Judge) {
    const { seed, profile } = script;
    this.#script = script;
    const switchboard = new Switchboard();
    this.observers = switchboard;
    this.network = new SimNetwork(seed, profile.nodeCount, profile.network);
    this.nodes = Array.from({ length: profile.nodeCount }, (_, place) => {
      return new SimNode(this, { place, seed, config: coreConfigOf(profile, place), bugs });
    });
    this.faults = new FaultEngine(this);
    this.#liveness = new LivenessProbe(this, judge);
    switchboard.add({
      stepped: (step) => this.#mixStep(step),
      acknowledged: () => {
        this.#ackedCount++;
      },
    });
    this.history = addAllCheckers(switchboard, {
      judge,
      nodes: this.nodes,
      segmentSizeBytes: profile.segmentSizeBytes,
    });
    this.marks = new Marks(this.nodes);
    switchboard.add(this.marks);
    switchboard.add(this.faults);
    switchboard.add(this.#liveness);
    this.#persistCounts = this.nodes.map(() => 0);
    this.#applyDoneAtMs = this.nodes.map(() => 0);
    this.#tickMs = this.nodes.map(({ id }) => {
      const random = new Prng(seed, `timers:${id}`);
      const percent = 100 - SKEW_PERCENT_MAX + random.below(2 * SKEW_PERCENT_MAX + 1);
      return (TICK_MS * percent) / 100;
    });
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  get ackedCount(): number {
    return this.#ackedCount;
  }

  get digest(): string {
    return this.#digest.toString(16).padStart(8, '0');
  }

  /** Chaos until `chaosMs`, then everything is healed and must come to rest. */
  run(): void {
    const { faults, ops, profile } = this.#script;
    for (const fault of faults) this.schedule(fault.atMs, { kind: 'fault', fault });
    for (const op of ops) this.schedule(op.atMs, { kind: 'client', op });
    this.schedule(profile.chaosMs, { kind: 'heal' });
    for (const node of this.nodes) {
      node.start('nothing');
      this.schedule(this.#tickMsOf(node), { kind: 'tick', node, life: node.life });
    }
    while (!this.#liveness.isDone) this.#runNext();
    this.observers.ended();
  }

  schedule(atMs: number, event: WorldEvent): void {
    assert(atMs >= this.#nowMs, 'events lie in the future');
    this.#queue.push(atMs, event);
  }

  restart(node: SimNode, memory: Parameters<SimNode['start']>[0]): void {
    node.start(memory);
    this.schedule(this.#nowMs + this.#tickMsOf(node), { kind: 'tick', node, life: node.life });
  }

  send(from: SimNode, to: NodeId, message: Message): void {
    const receiver = this.nodes.find(({ id }) => id === to);
    assert(receiver !== undefined, 'messages go to members', () => ({ to }));
    const delays = this.network.send(from.place, receiver.place);
    for (const delayMs of delays) {
      this.schedule(this.#nowMs + delayMs, {
        kind: 'deliver',
        from,
        life: from.life,
        to: receiver,
        message,
      });
    }
    if (delays.length === 0 && this.network.isCut(from.place, receiver.place)) {
      this.#reportUnreachable(from, receiver);
    }
  }

  persistQueued(node: SimNode): void {
    const number = this.#persistCounts[node.place]!++; // one count per node
    const word = keyedU32(this.#script.seed, node.place, number, SALT.disk);
    const isGrouped = number > 0 && word % GROUP_COMMIT_ONE_IN === 0;
    const steps = (word >>> 8) % (this.#script.profile.diskMsMax * LATENCY_STEPS_PER_MS);
    const latencyMs = isGrouped ? 0 : (steps + 1) / LATENCY_STEPS_PER_MS;
    this.schedule(this.#nowMs + latencyMs, { kind: 'persisted', node, life: node.life });
  }

  applyQueued(node: SimNode, to: LogIndex): void {
    const word = keyedU32(this.#script.seed, node.place, to, SALT.apply);
    const steps = word % (this.#script.profile.applyMsMax * LATENCY_STEPS_PER_MS);
    // Applies end in order; the one before may still be running.
    const startMs = Math.max(this.#nowMs, this.#applyDoneAtMs[node.place]!); // one per node
    const doneMs = startMs + steps / LATENCY_STEPS_PER_MS;
    this.#applyDoneAtMs[node.place] = doneMs;
    this.schedule(doneMs, { kind: 'applied', node, life: node.life });
  }

  #tickMsOf(node: SimNode): number {
    return this.#tickMs[node.place]!; // one per node
  }

  #runNext(): void {
    this.#nowMs = this.#queue.nextAtMs;
    const event = this.#queue.pop();
    const heldUntilMs = this.faults.heldUntilMs(event);
    if (heldUntilMs > this.#nowMs) {
      this.schedule(heldUntilMs, event);
      return;
    }
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
        if (this.faults.isLost(event.from, event.life)) return;
        if (event.to.isUp) {
          event.to.receive(event.from.id, event.message);
        } else {
          this.#reportUnreachable(event.from, event.to);
        }
        return;
      case 'persisted':
        if (event.life === event.node.life && event.node.isUp) event.node.completePersist();
        return;
      case 'applied':
        this.#apply(event.node, event.life);
        return;
      case 'unreachable':
        if (event.node.isUp) event.node.step({ kind: 'peerUnreachable', peer: event.peer });
        return;
      case 'client':
        this.#propose(event.op);
        return;
      case 'fault':
        this.faults.strike(event.fault);
        return;
      case 'faultEnd':
        this.faults.end(event.fault);
        return;
      case 'restart':
        if (!event.node.isUp) this.restart(event.node, event.memory);
        return;
      case 'heal':
        this.faults.healAll();
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
    this.schedule(this.#nowMs + this.#tickMsOf(node), { kind: 'tick', node, life });
  }

  #apply(node: SimNode, life: number): void {
    if (life !== node.life || !node.isUp) return;
    node.completeApply();
    const word = keyedU32(this.#script.seed, node.place, node.appliedIndex, SALT.flush);
    if (word % FLUSH_APPLIED_ONE_IN === 0) node.flushApplied();
  }

  #propose(op: ClientOp): void {
    const leaders = this.nodes.filter((node) => node.isLeader && !this.faults.isPaused(node));
    const leader = leaders[op.choice % Math.max(1, leaders.length)];
    leader?.propose(op.values, op.payloadSizeBytes);
  }

  #reportUnreachable(from: SimNode, to: SimNode): void {
    const edge = from.place * this.nodes.length + to.place;
    const lastMs = this.#reportedAtMs.get(edge) ?? Number.NEGATIVE_INFINITY;
    if (this.#nowMs - lastMs < UNREACHABLE_PAUSE_MS) return;
    this.#reportedAtMs.set(edge, this.#nowMs);
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

function coreConfigOf(profile: Profile, place: number): CoreConfig {
  const { segmentSizeBytes, appendSizeBytesMax, inflightCountMax } = profile;
  return {
    self: nodeIdAt(place),
    voters: Array.from({ length: profile.nodeCount }, (_, i) => nodeIdAt(i)),
    segmentSizeBytes,
    heartbeatTicks: HEARTBEAT_TICKS,
    electionTimeoutTicksMin: ELECTION_TICKS_MIN,
    electionTimeoutTicksMax: ELECTION_TICKS_MAX,
    appendSizeBytesMax,
    inflightSizeBytesMax: appendSizeBytesMax * inflightCountMax,
    inflightCountMax,
    uncommittedSizeBytesMax: profile.uncommittedSizeBytesMax,
  };
}
