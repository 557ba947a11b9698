/** A group of whole nodes, and the power over time, network, disks and their lives. */
import { KIB } from '../../src/base/sizes.ts';
import type { NodeId } from '../../src/base/units.ts';
import type { BrokerRequest, BrokerResponse } from '../../src/broker/verbs.ts';
import { ManualClock, settled } from '../../src/io/memory/manual-clock.ts';
import type { AlarmId } from '../../src/raft/effects.ts';
import type { RefusalCode } from '../../src/replica/handshake.ts';
import { MemorySnapshots } from '../replica/memory-snapshots.ts';
import type { CheckId } from './check-id.ts';
import { FaultyNetwork } from './faulty-network.ts';
import type { GroupWatch } from './group-watch.ts';
import { Observer } from './observer.ts';
import { NO_BUGS, type StackBugs } from './stack-bugs.ts';
import { StackNode } from './stack-node.ts';

/** Of the founders; more may join. */
export const NODE_COUNT = 3;
export const STEP_MS = 10;
/** In a step everybody gets so many turns. */
export const ROUNDS_PER_STEP = 4;

/** `unanswered`: the node died or the caller lost patience; whether it took effect is open. */
export type CallResult =
  | { readonly kind: 'answer'; readonly response: BrokerResponse }
  | { readonly kind: 'failure'; readonly error: unknown }
  | { readonly kind: 'unanswered' };

export interface WorldOptions {
  /** Of the log so much stays, once it is consumed; null: everything. */
  readonly retentionSizeBytes?: number | null;
  readonly bugs?: StackBugs;
  readonly muted?: readonly CheckId[];
  readonly founderCount?: number;
  /** All clocks show the same time. */
  readonly clocksAgree?: boolean;
  /** Sees every change of members; null: nobody asks for one, and nodes run without administration. */
  readonly watchGroup?: ((world: StackWorld) => GroupWatch) | null;
}

export class StackWorld {
  readonly seed: number;
  readonly bugs: StackBugs;
  readonly clock = new ManualClock();
  readonly observer: Observer;
  readonly network: FaultyNetwork;
  readonly snapshots: MemorySnapshots;
  readonly retentionSizeBytes: number | null;
  readonly segmentSizeBytes: number;
  readonly #nodes: StackNode[];
  /** With whom the group was founded. */
  readonly founderIds: readonly NodeId[];
  readonly group: GroupWatch | null;
  readonly clocksAgree: boolean;
  /** Second processes with the name of a node. */
  readonly clones = new Set<StackNode>();
  /** Who may be sent away, and why. */
  readonly #allowedRefusals = new Set<RefusalCode>();
  readonly #expectedAlarms = new Set<AlarmId>();
  readonly refusals = new Map<RefusalCode, number>();
  #round = 0;

  constructor(seed: number, options: WorldOptions = {}) {
    const { bugs = NO_BUGS, muted = [], retentionSizeBytes = null } = options;
    const { founderCount = NODE_COUNT, watchGroup = null, clocksAgree = false } = options;
    this.clocksAgree = clocksAgree;
    this.seed = seed;
    this.bugs = bugs;
    this.observer = new Observer(() => this.clock.monotonicMs(), muted);
    this.network = new FaultyNetwork(seed);
    this.snapshots = new MemorySnapshots(this.network);
    this.retentionSizeBytes = retentionSizeBytes;
    this.segmentSizeBytes = (seed % 2 === 0 || retentionSizeBytes !== null ? 64 : 128) * KIB;
    this.#nodes = Array.from({ length: founderCount }, (_, number) => new StackNode(this, number));
    this.founderIds = this.#nodes.map(({ nodeId }) => nodeId);
    this.group = watchGroup?.(this) ?? null;
  }

  /** Rounds since the beginning: the finest measure of time there is. */
  get round(): number {
    return this.#round;
  }

  get nodes(): readonly StackNode[] {
    return this.#nodes;
  }

  get nodeIds(): readonly NodeId[] {
    return this.#nodes.map(({ nodeId }) => nodeId);
  }

  /** Those that can still be members of the group. */
  get soundNodes(): readonly StackNode[] {
    const { group } = this;
    return this.#nodes.filter((node) => !node.isLost && (group?.isMember(node) ?? true));
  }

  nodeOf(nodeId: NodeId): StackNode | null {
    return this.#nodes.find((node) => node.nodeId === nodeId) ?? null;
  }

  /** An empty machine. */
  addNode(nodeId: NodeId): StackNode {
    const number = Number(nodeId.slice(1)) - 1;
    const node = new StackNode(this, number);
    this.#nodes.push(node);
    return node;
  }

  startAll(): void {
    for (const node of this.#nodes) node.start();
  }

  async endAll(): Promise<void> {
    for (const node of [...this.nodes, ...this.clones]) await node.kill();
  }

  /** Nobody must listen to it; of two processes with one name nobody can say which one speaks. */
  isImpostor(nodeId: NodeId): boolean {
    for (const clone of this.clones) if (clone.nodeId === nodeId) return false;
    return this.nodes.some((node) => node.nodeId === nodeId && node.standing.kind === 'impostor');
  }

  /** From now on for good: the last words of a quarrel come late. */
  allowRefusals(codes: readonly RefusalCode[]): void {
    for (const code of codes) this.#allowedRefusals.add(code);
  }

  /** From now on for good, too. */
  expectAlarm(id: AlarmId): void {
    this.#expectedAlarms.add(id);
  }

  isExpectedAlarm(id: AlarmId): boolean {
    return this.#expectedAlarms.has(id);
  }

  onRefusal(by: NodeId, code: RefusalCode, sentence: string): void {
    this.observer.note('refusal', by, code);
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
    if (this.#allowedRefusals.has(code)) return;
    if (this.group?.mayRefuse(by, code, sentence) === true) return;
    this.observer.violation('H21', `${by} refuses a member: ${sentence}`);
  }

  /** Asks one node as a client does. */
  async call(node: StackNode, request: BrokerRequest, timeoutMs: number): Promise<CallResult> {
    const { running } = node;
    if (running?.gateway == null) return { kind: 'unanswered' };
    const deadlineAtMonotonicMs = this.clock.monotonicMs() + timeoutMs;
    const { signal } = new AbortController();
    const calling = running.gateway.call(request, { deadlineAtMonotonicMs, signal });
    try {
      const first = await Promise.race([calling, running.died]);
      if (first === 'died') return { kind: 'unanswered' };
      return { kind: 'answer', response: first };
    } catch (error) {
      // Whatever it is, the history says what it means.
      return { kind: 'failure', error };
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.setTimer(ms, resolve);
    });
  }

  /** Lets time pass; `beforeRound` may do harm between any two moves of the world. */
  async step(beforeRound: () => Promise<void> = async () => {}): Promise<void> {
    this.clock.advance(STEP_MS);
    for (let round = 0; round < ROUNDS_PER_STEP; round++) {
      await settled();
      await beforeRound();
      await this.turn();
    }
    await settled();
  }

  /** Everybody gets a turn; no time passes. */
  async turn(): Promise<void> {
    this.#round++;
    for (const node of this.nodes) node.runDisk(this.#round);
    for (const clone of this.clones) clone.runDisk(this.#round);
    await settled();
    this.network.deliver();
  }

  /** @returns what the promise brings, while the world goes on; null when it takes too long */
  async await<T>(promise: Promise<T>, timeoutMs: number): Promise<T | null> {
    let outcome: { readonly value: T } | { readonly error: unknown } | null = null;
    promise.then(
      (value) => {
        outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    const untilMs = this.clock.monotonicMs() + timeoutMs;
    while (this.clock.monotonicMs() < untilMs) {
      await this.step();
      const known = outcome as { readonly value: T } | { readonly error: unknown } | null;
      if (known === null) continue;
      if ('error' in known) throw known.error;
      return known.value;
    }
    return null;
  }

  async until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const untilMs = this.clock.monotonicMs() + timeoutMs;
    while (!condition()) {
      if (this.clock.monotonicMs() >= untilMs) return false;
      await this.step();
    }
    return true;
  }
}
