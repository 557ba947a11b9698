/**
 * A few cores on one table: every message, disk write and tick is moved by hand or by chance. The
 * wire and the disks are as hostile as the test wants; what must never happen is checked at every
 * step (promises.ts).
 */
import { equal, ok } from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { MIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import type { Effect, Input } from '../../src/raft/effects.ts';
import {
  type CoreConfig,
  type CoreStatus,
  type EntryDesc,
  foundingMembership,
  logOrigin,
  type Member,
  type Membership,
  type MembershipStep,
  type Message,
  RaftCore,
  type SafetyRules,
  standardRules,
} from '../../src/raft/index.ts';
import { type BenchDisk, type BenchNode, compact, snapshotOf, write } from './bench-node.ts';
import { Promises } from './promises.ts';

export interface Letter {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: Message;
}

export interface BenchOptions {
  /** Founders of the group. */
  readonly nodeCount: number;
  /** Nodes that are up and know the founders, and that no membership knows. */
  readonly spareCount?: number;
  readonly seed?: number;
  readonly rules?: SafetyRules;
  readonly config?: Partial<CoreConfig>;
  /** What the disks hold at the start; an unnamed node is new. */
  readonly disks?: ReadonlyMap<NodeId, Pick<BenchDisk, 'hardState' | 'disk'>>;
}

interface RestartOptions {
  /** Derived state may be older than it was; the commit index that is known is no newer. */
  readonly appliedIndex?: number;
  readonly hasTornTail?: boolean;
}

/** Rounds of delivery after which a quiet group would long be quiet. */
const SETTLE_ROUNDS_MAX = 1000;

export class Bench {
  /** Founders first. */
  readonly ids: readonly NodeId[];
  readonly founders: readonly NodeId[];
  readonly wire: Letter[] = [];
  readonly promises = new Promises((id) => this.node(id));
  readonly #nodes = new Map<NodeId, BenchNode>();
  readonly #options: BenchOptions;
  /** Letters of this kind vanish. */
  loses: (letter: Letter) => boolean = () => false;
  /** Letters on these ways vanish: `from>to`. */
  readonly cutWays = new Set<string>();
  /** Nodes whose time stands still; the schedule heeds it. */
  readonly paused = new Set<NodeId>();
  /** No write on these disks ends. */
  readonly hungDisks = new Set<NodeId>();
  #nextTag = 1;
  #restarts = 0;

  constructor(options: BenchOptions) {
    this.#options = options;
    const { nodeCount, spareCount = 0 } = options;
    this.ids = Array.from({ length: nodeCount + spareCount }, (_, i) => NodeId(`n${i + 1}`));
    this.founders = this.ids.slice(0, nodeCount);
    const zero = LogIndex(0);
    for (const id of this.ids) {
      const empty = { hardState: { term: Term(0), votedFor: null }, disk: [] };
      const { hardState, disk } = options.disks?.get(id) ?? empty;
      const base = logOrigin(benchMembership(this.founders));
      const onDisk: BenchDisk = { hardState, base, disk, memberships: [], appliedIndex: zero };
      this.#nodes.set(id, {
        ...onDisk,
        core: this.#newCore(id, onDisk, false),
        up: true,
        queue: [],
        applyingIndex: zero,
        transfers: new Set(),
        effects: [],
      });
    }
  }

  /** What some replica was told to apply, by index. */
  get applied(): ReadonlyMap<LogIndex, EntryDesc> {
    return this.promises.applied;
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
    const before = node.core.status();
    const effects = node.core.step(input);
    node.effects.push(...effects);
    this.promises.afterStep(node, before, effects);
    for (const effect of effects) this.#perform(id, node, effect);
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

  read(id: NodeId): number {
    const tag = this.#nextTag++;
    this.promises.onRead(tag);
    this.step(id, { kind: 'read', tag });
    return tag;
  }

  transfer(id: NodeId, to: NodeId): number {
    const tag = this.#nextTag++;
    this.step(id, { kind: 'transfer', tag, to });
    return tag;
  }

  /** On the membership that `id` has in force. */
  change(id: NodeId, ...steps: readonly MembershipStep[]): number {
    const tag = this.#nextTag++;
    const ifMembershipIndex = this.status(id).membership.index;
    this.step(id, { kind: 'changeMembership', tag, steps, ifMembershipIndex });
    return tag;
  }

  /** Finishes the oldest write of the node. */
  persistOne(id: NodeId): boolean {
    if (this.hungDisks.has(id)) return false;
    const node = this.node(id);
    const effect = node.queue.shift();
    if (effect === undefined) return false;
    write(node, effect);
    for (const { to, message } of effect.after) this.#post({ from: id, to, message });
    this.step(id, { kind: 'persisted', token: effect.token });
    return true;
  }

  applyOne(id: NodeId): boolean {
    const node = this.node(id);
    if (node.appliedIndex >= node.applyingIndex) return false;
    node.appliedIndex = node.applyingIndex;
    this.step(id, { kind: 'applied', index: node.appliedIndex });
    return true;
  }

  /** Replaces everything that is applied by a snapshot of it. */
  compact(id: NodeId): void {
    const node = this.node(id);
    const through = compact(node);
    this.step(id, { kind: 'compacted', through });
  }

  /** Ends the oldest transfer of a snapshot from `id`, which is of what `id` has applied by now. */
  bringSnapshot(id: NodeId, isDelivered = true): boolean {
    const node = this.node(id);
    const [peer] = node.transfers;
    if (peer === undefined) return false;
    node.transfers.delete(peer);
    const { role, term } = node.core.status();
    if (!isDelivered || role !== 'leader') {
      this.step(id, { kind: 'snapshotFailed', peer });
      return true;
    }
    const snapshot = snapshotOf(node);
    this.#post({ from: id, to: peer, message: { kind: 'installSnapshot', term, snapshot } });
    this.step(id, { kind: 'snapshotSent', peer, index: snapshot.last.index });
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
        while (this.bringSnapshot(id)) moved = true;
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
    node.transfers.clear();
  }

  restart(id: NodeId, { appliedIndex, hasTornTail = false }: RestartOptions = {}): void {
    const node = this.node(id);
    if (appliedIndex !== undefined) node.appliedIndex = LogIndex(appliedIndex);
    node.applyingIndex = node.appliedIndex;
    node.core = this.#newCore(id, node, hasTornTail);
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

  /** All effects of one kind that the cores have had since they were made. */
  effectsOf<K extends Effect['kind']>(id: NodeId, kind: K): Extract<Effect, { kind: K }>[] {
    return this.node(id).effects.filter(
      (effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind,
    );
  }

  #newCore(id: NodeId, disk: BenchDisk, hasTornTail: boolean): RaftCore {
    const config: CoreConfig = { ...benchConfig(id), ...this.#options.config };
    const random = new Prng(this.#options.seed ?? 1, `${id}#${this.#restarts++}`);
    const { hardState, base, disk: entries, memberships, appliedIndex } = disk;
    const commitIndex = appliedIndex;
    const log = { hardState, base, entries, memberships };
    const start = { ...log, commitIndex, appliedIndex, hasTornTail };
    return new RaftCore(config, start, random, this.#options.rules ?? standardRules);
  }

  #perform(id: NodeId, node: BenchNode, effect: Effect): void {
    if (effect.kind === 'persist') node.queue.push(effect);
    if (effect.kind === 'send') this.#post({ from: id, to: effect.to, message: effect.message });
    if (effect.kind === 'apply') node.applyingIndex = effect.to;
    if (effect.kind === 'sendSnapshot') node.transfers.add(effect.to);
  }

  #post(letter: Letter): void {
    const isLost = this.cutWays.has(`${letter.from}>${letter.to}`) || this.loses(letter);
    if (!isLost) this.wire.push(letter);
  }
}

/** Small windows, so that their edges are met. */
export function benchConfig(self: NodeId): CoreConfig {
  return {
    self,
    segmentSizeBytes: 1 * MIB,
    heartbeatTicks: 3,
    electionTimeoutTicksMin: 20,
    electionTimeoutTicksMax: 40,
    appendSizeBytesMax: 1024,
    inflightSizeBytesMax: 4096,
    inflightCountMax: 8,
    uncommittedSizeBytesMax: 64 * 1024,
    // Any function of the membership would do.
    describeMembership: ({ members }) => ({ payloadSizeBytes: 8, payloadCrc: members.length }),
    progressTimeoutTicks: 60,
    extentPollTicks: 60,
    handoverLagBytesMax: 4096,
    preferenceTicks: 100,
  };
}

export function benchMember(nodeId: NodeId, changes: Partial<Member> = {}): Member {
  return { nodeId, storeUuid: null, raftAddress: `${nodeId}:1`, priority: 0, ...changes };
}

export function benchMembership(voters: readonly NodeId[]): Membership {
  return foundingMembership(voters.map((nodeId) => benchMember(nodeId)));
}
