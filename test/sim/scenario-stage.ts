/**
 * What scenario commands act on: a group of simulated nodes for which time stands still. Nothing is
 * delivered, persisted or lost unless a command says so; what happens is printed as it happens. All
 * checkers watch, except the one that names a planted bug.
 */
import { assert } from '../../src/base/assert.ts';
import { KIB } from '../../src/base/sizes.ts';
import type { LogIndex, NodeId } from '../../src/base/units.ts';
import { describeMembership } from '../../src/protocol/membership-codec.ts';
import type { CoreConfig } from '../../src/raft/core-types.ts';
import type { Effect } from '../../src/raft/effects.ts';
import { logOrigin, type SnapshotDesc } from '../../src/raft/entry.ts';
import { foundingMembership, type Member } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import { type SafetyRules, standardRules } from '../../src/raft/rules.ts';
import { addAllCheckers } from './checkers/all-checkers.ts';
import { show } from './checkers/entry-registry.ts';
import { type Observers, Switchboard } from './checkers/observers.ts';
import { type InvariantId, Judge } from './checkers/violation.ts';
import { type Host, nodeIdAt, SimNode } from './node.ts';
import { NO_BUGS } from './planted-bugs.ts';
import { formatEffect, formatMessage, formatNode, formatPersist } from './scenario-format.ts';
import { type Route, ScenarioNetwork } from './scenario-network.ts';
import type { SnapshotContent } from './state-machine.ts';
import {
  ELECTION_TICKS_MAX,
  ELECTION_TICKS_MIN,
  EXTENT_POLL_TICKS,
  HEARTBEAT_TICKS,
  PREFERENCE_TICKS,
  PROGRESS_TIMEOUT_TICKS,
} from './timing.ts';

interface Planted {
  readonly rules: Partial<SafetyRules>;
  /** The checkers that would name the bug itself: a scenario is to show what comes of it. */
  readonly muted: readonly InvariantId[];
}

const SEGMENT_SIZE_BYTES = 64 * KIB;
const PAYLOAD_SIZE_BYTES = 8;
/** Three entries: short texts show what it is to be behind. */
const HANDOVER_LAG_BYTES_MAX = 256;
const SEED = 1;
/** Rounds after which `settle` gives up: heartbeats need ticks, so quiet comes soon. */
const SETTLE_ROUNDS_MAX = 100;

const PLANTED: Readonly<Record<string, Planted>> = {
  /** Nobody looks at the identity of a directory. */
  anyStoreAccepted: { rules: {}, muted: ['N8'] },
  commitsOldTerms: { rules: { mayCommitByCounting: () => true }, muted: ['L2'] },
  lateEchoConfirms: {
    rules: { roundConfirms: (answered, asked) => answered > 0 && answered >= asked - 1 },
    muted: ['L6'],
  },
};

export class ScenarioStage implements Host {
  readonly observers: Observers;
  readonly nowMs = 0;
  readonly #switchboard = new Switchboard();
  #nodes: SimNode[] = [];
  #toApply: { readonly node: SimNode; readonly life: number }[] = [];
  readonly #network = new ScenarioNetwork();
  readonly #paused = new Set<SimNode>();
  readonly #hanging = new Set<SimNode>();
  #isPlanted = false;
  #lines: string[] = [];

  constructor() {
    this.observers = this.#switchboard;
  }

  get isPlanted(): boolean {
    return this.#isPlanted;
  }

  /** @returns the trace since the last call. */
  takeLines(): readonly string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  begin(memberCount: number, spareCount: number, planted: string | undefined): void {
    const ids = Array.from({ length: memberCount }, (_, place) => nodeIdAt(place));
    const origin = logOrigin(foundingMembership(ids.map((id) => memberOf(id, 0))));
    const bug = planted === undefined ? undefined : PLANTED[planted];
    assert(bug !== undefined || planted === undefined, 'a planted bug is known');
    this.#isPlanted = bug !== undefined;
    const rules = bug === undefined ? null : { ...standardRules, ...bug.rules };
    this.#nodes = Array.from({ length: memberCount + spareCount }, (_, place) => {
      return new SimNode(this, {
        id: nodeIdAt(place),
        place,
        seed: SEED,
        config: configOf(nodeIdAt(place)),
        bugs: { ...NO_BUGS, rules },
        origin,
        snapshotEveryCount: 0,
      });
    });
    this.#watch();
    addAllCheckers(this.#switchboard, {
      judge: new Judge(bug?.muted ?? []),
      nodes: this.#nodes,
      limits: configOf(nodeIdAt(0)),
    });
    for (const node of this.#nodes) node.start('nothing');
  }

  node(id: string | undefined): SimNode {
    const node = this.#nodes.find((candidate) => candidate.id === id);
    assert(node !== undefined, 'a scenario names a node that exists', () => ({ id }));
    return node;
  }

  running(id: string | undefined): SimNode {
    const node = this.node(id);
    assert(node.isUp && !this.#paused.has(node), 'a scenario steps a node that runs', () => ({
      id,
    }));
    return node;
  }

  campaign(id: string | undefined): void {
    const node = this.running(id);
    const { role, term } = node.status;
    const hasStood = () => node.status.role !== role || node.status.term !== term;
    for (let i = 0; i <= ELECTION_TICKS_MAX && !hasStood(); i++) node.step({ kind: 'tick' });
    assert(hasStood(), 'an election timer runs out', () => ({ id }));
  }

  elect(id: string | undefined): void {
    this.campaign(id);
    this.settle();
    assert(this.node(id).isLeader, 'who is elected leads', () => ({ id }));
  }

  tick(id: string | undefined, count: number): void {
    for (let i = 0; i < count; i++) this.running(id).step({ kind: 'tick' });
  }

  pass(count: number): void {
    for (let i = 0; i < count; i++) {
      for (const node of this.#nodes) {
        if (node.isUp && !this.#paused.has(node)) node.step({ kind: 'tick' });
      }
      this.settle();
    }
  }

  deliver(route: Route): void {
    for (const inFlight of this.#network.take(route)) {
      const { from, to, message } = inFlight;
      if (this.#paused.has(to)) {
        this.#network.putBack(inFlight);
      } else if (to.isUp) {
        this.#print(`${from.id} -> ${to.id} ${formatMessage(message)}`);
        to.receive(from.id, message);
        this.applyAll();
      }
    }
  }

  drop(route: Route): void {
    for (const { from, to, message } of this.#network.take(route)) {
      this.#print(`lost: ${from.id} -> ${to.id} ${message.kind}`);
    }
  }

  hold(route: Route): void {
    const taken = this.#network.take(route);
    for (const { from, to, message } of taken) {
      this.#print(`held: ${from.id} -> ${to.id} ${message.kind}`);
    }
    this.#network.hold(taken);
  }

  release(): void {
    this.#network.release();
  }

  copy(route: Route): void {
    this.#network.copy(route);
  }

  persist(id: string | undefined, countMax: number): void {
    const nodes = id === undefined ? this.#nodes : [this.running(id)];
    for (const node of nodes) {
      if (!this.#canPersist(node)) continue;
      // Only what is queued now: a completed persist may cause the next one.
      const count = Math.min(node.disk.queue.length, countMax);
      for (let i = 0; i < count; i++) {
        this.#print(`${node.id} disk done`);
        node.completePersist();
        this.applyAll();
      }
    }
  }

  settle(): void {
    for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
      const isQuiet =
        this.#network.inFlight.every(({ to }) => this.#paused.has(to)) &&
        this.#nodes.every((node) => !this.#canPersist(node) || node.disk.queue.length === 0);
      if (isQuiet) return;
      this.persist(undefined, Number.POSITIVE_INFINITY);
      this.deliver([]);
    }
    assert(false, 'a scenario settles');
  }

  propose(id: string | undefined, values: readonly number[]): void {
    this.running(id).propose(values, PAYLOAD_SIZE_BYTES);
  }

  cut(id: string | undefined, to: string | undefined): void {
    this.#network.cut(this.node(id), to === undefined ? null : this.node(to));
  }

  heal(): void {
    this.#network.heal();
  }

  setDisk(id: string | undefined, condition: string | undefined): void {
    switch (condition) {
      case 'hangs':
        this.#hanging.add(this.node(id));
        return;
      case 'moves':
        this.#hanging.delete(this.node(id));
        return;
      case 'stalled':
      case 'well':
        this.running(id).step({ kind: 'diskHealth', isStalled: condition === 'stalled' });
        return;
      default:
        throw new Error(`Unknown condition of a disk: ${condition}`);
    }
  }

  pause(id: string | undefined): void {
    this.#paused.add(this.running(id));
  }

  resume(id: string | undefined): void {
    const node = this.node(id);
    assert(this.#paused.delete(node), 'who resumes was paused', () => ({ id }));
    node.step({ kind: 'resumed' });
  }

  crash(id: string | undefined, keepPersists: number, keepParts: number): void {
    const memory = 'nothing';
    this.node(id).crash({ downMs: 0, keepPersists, keepParts, memory, losesSent: false });
    this.#paused.delete(this.node(id));
    this.#hanging.delete(this.node(id));
  }

  compact(id: string | undefined, through: number): void {
    const node = this.running(id);
    const last = node.entryAt(through);
    const digest = node.digestAt(through);
    assert(last !== undefined && digest !== null, 'what is compacted is in the log');
    const covered = node.log.filter(({ index, type }) => index <= through && type === 'data');
    node.finishSnapshot({
      desc: {
        last: { term: last.term, index: last.index },
        endOffset: (last.physicalOffset + last.sizeBytes) as SnapshotDesc['endOffset'],
        membership: node.membershipAt(through),
      },
      digest,
      valueCount: node.disk.image.snapshot.valueCount + covered.length,
    });
  }

  sendSnapshot(id: string | undefined, peer: NodeId): void {
    const node = this.running(id);
    const content = node.disk.image.snapshot;
    this.node(peer).stage(content);
    const { term } = node.status;
    this.send(node, peer, { kind: 'installSnapshot', term, snapshot: content.desc });
    node.step({ kind: 'snapshotSent', peer, index: content.desc.last.index });
  }

  status(ids: readonly string[]): void {
    const nodes = ids.length === 0 ? this.#nodes : ids.map((id) => this.node(id));
    for (const node of nodes) this.#print(formatNode(node));
  }

  /** Whatever is committed is applied at once. */
  applyAll(): void {
    for (;;) {
      // Ends: applying emits no new applies without new commits.
      const next = this.#toApply.shift();
      if (next === undefined) return;
      if (next.node.isUp && next.life === next.node.life) next.node.completeApply();
    }
  }

  send(from: SimNode, to: NodeId, message: Message): void {
    const isLost = !this.#network.send({ from, to: this.node(to), message });
    this.#print(`  ${from.id} sends ${to} ${formatMessage(message)}${isLost ? ' (lost)' : ''}`);
  }

  persistQueued(): void {
    // Persists complete when a command says so.
  }

  applyQueued(node: SimNode, _to: LogIndex): void {
    this.#toApply.push({ node, life: node.life });
  }

  transferSnapshot(): void {
    // The files are brought when a command says so.
  }

  snapshotBegun(node: SimNode, content: SnapshotContent): void {
    assert(false, 'snapshots are taken by command', () => ({ node: node.id, content }));
  }

  #watch(): void {
    let lastEffect: Effect | null = null;
    this.#switchboard.add({
      emitted: (node, effect) => {
        lastEffect = effect;
        const text = formatEffect(effect);
        if (text !== null) this.#print(`  ${node.id} ${text}`);
      },
      persisting: (node, persist) => this.#print(`  ${node.id} persists ${formatPersist(persist)}`),
      applied: (node, entry) => this.#print(`  ${node.id} applies ${show(entry)}`),
      acknowledged: (node, { value }) => this.#print(`  ${node.id} acknowledges ${value}`),
      refused: (node, value) => {
        const result = lastEffect?.kind === 'proposeResult' ? lastEffect : null;
        const why = result?.result === 'rejected' ? result.why : 'overwritten';
        this.#print(`  ${node.id} says no to ${value}: ${why}`);
      },
      readAnswered: (node, tag, _index, count) => {
        this.#print(`  ${node.id} answers read ${tag}, values=${count}`);
      },
      snapshotInstalled: (node, { last }) => {
        this.#print(`  ${node.id} loads the state of ${last.index}`);
      },
    });
  }

  #canPersist(node: SimNode): boolean {
    return !this.#paused.has(node) && !this.#hanging.has(node);
  }

  #print(line: string): void {
    this.#lines.push(line);
  }
}

export function memberOf(nodeId: NodeId, priority: number): Member {
  return { nodeId, storeUuid: null, raftAddress: `${nodeId}:10912`, priority };
}

function configOf(self: NodeId): CoreConfig {
  return {
    self,
    segmentSizeBytes: SEGMENT_SIZE_BYTES,
    heartbeatTicks: HEARTBEAT_TICKS,
    electionTimeoutTicksMin: ELECTION_TICKS_MIN,
    electionTimeoutTicksMax: ELECTION_TICKS_MAX,
    appendSizeBytesMax: SEGMENT_SIZE_BYTES,
    inflightSizeBytesMax: 4 * SEGMENT_SIZE_BYTES,
    inflightCountMax: 16,
    uncommittedSizeBytesMax: SEGMENT_SIZE_BYTES,
    describeMembership,
    progressTimeoutTicks: PROGRESS_TIMEOUT_TICKS,
    extentPollTicks: EXTENT_POLL_TICKS,
    handoverLagBytesMax: HANDOVER_LAG_BYTES_MAX,
    preferenceTicks: PREFERENCE_TICKS,
  };
}
