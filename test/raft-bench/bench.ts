/**
 * A few cores on one table: every message, disk write and tick is moved by hand or by chance. The
 * wire and the disks are as hostile as the test wants; what must never happen is checked at every
 * step: two leaders in a term, two values at an applied index, an applied entry without a durable
 * majority.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { MIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import type { Effect, HardState, Input, PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import {
  type CoreConfig,
  type CoreStatus,
  type Message,
  RaftCore,
  type SafetyRules,
  standardRules,
} from '../../src/raft/index.ts';

export interface Letter {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: Message;
}

export interface BenchOptions {
  readonly nodeCount: number;
  readonly seed?: number;
  readonly rules?: SafetyRules;
  readonly config?: Partial<CoreConfig>;
  /** What the disks hold at the start; an unnamed node is new. */
  readonly disks?: ReadonlyMap<NodeId, Pick<BenchNode, 'hardState' | 'disk'>>;
}

/** One replica: its core, and the disk that survives it. */
export interface BenchNode {
  core: RaftCore;
  up: boolean;
  hardState: HardState;
  /** What a power cut leaves. */
  disk: EntryDesc[];
  readonly queue: PersistEffect[];
  /** Index of the last `apply` whose end has not been reported back. */
  applyingIndex: LogIndex;
  appliedIndex: LogIndex;
  readonly effects: Effect[];
}

/** Rounds of delivery after which a quiet group would long be quiet. */
const SETTLE_ROUNDS_MAX = 1000;

export class Bench {
  readonly ids: readonly NodeId[];
  readonly wire: Letter[] = [];
  readonly #nodes = new Map<NodeId, BenchNode>();
  readonly #options: BenchOptions;
  readonly #leaders = new Map<Term, NodeId>();
  /** What some replica was told to apply, by index. */
  readonly applied = new Map<LogIndex, EntryDesc>();
  /** Letters of this kind vanish. */
  loses: (letter: Letter) => boolean = () => false;
  /** Letters on these ways vanish: `from>to`. */
  readonly cutWays = new Set<string>();
  #nextTag = 1;
  #restarts = 0;

  constructor(options: BenchOptions) {
    this.#options = options;
    this.ids = Array.from({ length: options.nodeCount }, (_, i) => NodeId(`n${i + 1}`));
    for (const id of this.ids) {
      const empty = { hardState: { term: Term(0), votedFor: null }, disk: [] };
      const { hardState, disk } = options.disks?.get(id) ?? empty;
      const zero = LogIndex(0);
      this.#nodes.set(id, {
        core: this.#newCore(id, hardState, disk, zero),
        up: true,
        hardState,
        disk,
        queue: [],
        applyingIndex: zero,
        appliedIndex: zero,
        effects: [],
      });
    }
  }

  node(id: NodeId): BenchNode {
    return this.#nodes.get(id)!;
  }

  status(id: NodeId): CoreStatus {
    return this.node(id).core.status();
  }

  /** The leader of the highest term among the nodes that are up. */
  leader(): NodeId | null {
    let best: CoreStatus | null = null;
    for (const id of this.ids) {
      const status = this.status(id);
      if (!this.node(id).up || status.role !== 'leader') continue;
      if (best === null || status.term > best.term) best = status;
    }
    return best?.self ?? null;
  }

  step(id: NodeId, input: Input): readonly Effect[] {
    const node = this.node(id);
    ok(node.up, `${id} is up`);
    const effects = node.core.step(input);
    node.effects.push(...effects);
    for (const effect of effects) this.#perform(id, node, effect);
    const { role, term } = node.core.status();
    if (role === 'leader') {
      equal(this.#leaders.get(term) ?? id, id, `term ${term} has one leader`);
      this.#leaders.set(term, id);
    }
    return effects;
  }

  tick(id: NodeId, count = 1): void {
    for (let i = 0; i < count; i++) this.step(id, { kind: 'tick' });
  }

  /** @returns the tag of the proposal. */
  propose(id: NodeId, payloadSizeBytes = 8): number {
    const tag = this.#nextTag++;
    const proposal = { tag, type: 'data', payloadSizeBytes, payloadCrc: tag } as const;
    this.step(id, { kind: 'propose', proposals: [proposal] });
    return tag;
  }

  /** Finishes the oldest write of the node. */
  persistOne(id: NodeId): boolean {
    const node = this.node(id);
    const write = node.queue.shift();
    if (write === undefined) return false;
    if (write.hardState !== null) node.hardState = write.hardState;
    if (write.truncateFrom !== null) node.disk = node.disk.slice(0, write.truncateFrom - 1);
    node.disk = node.disk.concat(write.entries);
    for (const { to, message } of write.after) this.#post({ from: id, to, message });
    this.step(id, { kind: 'persisted', token: write.token });
    return true;
  }

  applyOne(id: NodeId): boolean {
    const node = this.node(id);
    if (node.appliedIndex >= node.applyingIndex) return false;
    node.appliedIndex = node.applyingIndex;
    this.step(id, { kind: 'applied', index: node.appliedIndex });
    return true;
  }

  /** Takes letter `at` from the wire and gives it to its receiver, if that one is up. */
  deliver(at = 0): void {
    const [letter] = this.wire.splice(at, 1);
    if (letter === undefined || !this.node(letter.to).up) return;
    this.step(letter.to, { kind: 'receive', from: letter.from, message: letter.message });
  }

  /** Delivers and finishes everything until nothing moves. */
  settle(): void {
    for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
      let moved = false;
      for (const id of this.ids) {
        if (!this.node(id).up) continue;
        while (this.persistOne(id)) moved = true;
        while (this.applyOne(id)) moved = true;
      }
      for (let left = this.wire.length; left > 0; left--) {
        this.deliver();
        moved = true;
      }
      if (!moved) return;
    }
    throw new Error('the group does not come to rest');
  }

  /** Ticks everybody in turn, settling after each tick. */
  run(ticks: number): void {
    for (let i = 0; i < ticks; i++) {
      for (const id of this.ids) if (this.node(id).up) this.tick(id);
      this.settle();
    }
  }

  /** Lets `id` alone run into its election timeout, and the others vote. */
  elect(id: NodeId): void {
    for (let i = 0; i < 200 && this.status(id).role !== 'leader'; i++) {
      this.tick(id);
      this.settle();
    }
    equal(this.status(id).role, 'leader', `${id} leads`);
  }

  /** Power cut: writes that were not finished are gone. */
  crash(id: NodeId): void {
    const node = this.node(id);
    node.up = false;
    node.queue.length = 0;
  }

  restart(id: NodeId): void {
    const node = this.node(id);
    node.applyingIndex = node.appliedIndex;
    node.core = this.#newCore(id, node.hardState, node.disk, node.appliedIndex);
    node.up = true;
  }

  /** Cuts both ways between `id` and everybody else. */
  isolate(id: NodeId): void {
    for (const other of this.ids) {
      if (other === id) continue;
      this.cutWays.add(`${id}>${other}`).add(`${other}>${id}`);
    }
  }

  heal(): void {
    this.cutWays.clear();
  }

  #newCore(
    id: NodeId,
    hardState: HardState,
    entries: readonly EntryDesc[],
    appliedIndex: LogIndex,
  ): RaftCore {
    const config: CoreConfig = { ...benchConfig(id, this.ids), ...this.#options.config };
    const random = new Prng(this.#options.seed ?? 1, `${id}#${this.#restarts++}`);
    const start = { hardState, entries, commitIndex: appliedIndex, appliedIndex };
    return new RaftCore(config, start, random, this.#options.rules ?? standardRules);
  }

  #perform(id: NodeId, node: BenchNode, effect: Effect): void {
    if (effect.kind === 'persist') node.queue.push(effect);
    if (effect.kind === 'send') this.#post({ from: id, to: effect.to, message: effect.message });
    if (effect.kind === 'apply') this.#checkApply(node, effect.from, effect.to);
  }

  #post(letter: Letter): void {
    const isLost = this.cutWays.has(`${letter.from}>${letter.to}`) || this.loses(letter);
    if (!isLost) this.wire.push(letter);
  }

  #checkApply(node: BenchNode, from: LogIndex, to: LogIndex): void {
    equal(from, node.applyingIndex + 1, 'ranges to apply are contiguous');
    for (let i: number = from; i <= to; i++) {
      const index = LogIndex(i);
      const entry = node.core.entryAt(index);
      ok(entry !== null, 'an applied entry is in the log');
      deepEqual(node.disk[i - 1], entry, 'an applied entry is durable here');
      const known = this.applied.get(index);
      if (known !== undefined) deepEqual(entry, known, 'all replicas apply the same entry');
      this.applied.set(index, entry);
      const holders = this.ids.filter((id) => this.node(id).disk[i - 1]?.term === entry.term);
      ok(holders.length > this.ids.length / 2, 'an applied entry is durable on a majority');
    }
    node.applyingIndex = to;
  }
}

/** Small windows, so that their edges are met. */
export function benchConfig(self: NodeId, voters: readonly NodeId[]): CoreConfig {
  return {
    self,
    voters,
    segmentSizeBytes: 1 * MIB,
    heartbeatTicks: 3,
    electionTimeoutTicksMin: 20,
    electionTimeoutTicksMax: 40,
    appendSizeBytesMax: 1024,
    inflightSizeBytesMax: 4096,
    inflightCountMax: 8,
    uncommittedSizeBytesMax: 64 * 1024,
  };
}
