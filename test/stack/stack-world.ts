/** A group of three whole nodes, and the power over time, network, disks and their lives. */
import { Prng } from '../../src/base/prng.ts';
import { KIB } from '../../src/base/sizes.ts';
import type { NodeId } from '../../src/base/units.ts';
import type { BrokerRequest, BrokerResponse } from '../../src/broker/verbs.ts';
import { ManualClock, settled } from '../../src/io/memory/manual-clock.ts';
import { FaultyNetwork } from './faulty-network.ts';
import { Observer } from './observer.ts';
import { StackNode } from './stack-node.ts';

const NODE_COUNT = 3;
const STEP_MS = 10;
/** In a step everybody gets so many turns. */
const ROUNDS_PER_STEP = 4;

/** `unanswered`: the node died or the caller lost patience; whether it took effect is open. */
export type CallResult =
  | { readonly kind: 'answer'; readonly response: BrokerResponse }
  | { readonly kind: 'failure'; readonly error: unknown }
  | { readonly kind: 'unanswered' };

export class StackWorld {
  readonly seed: number;
  readonly clock = new ManualClock();
  readonly observer = new Observer();
  readonly random: Prng;
  readonly network: FaultyNetwork;
  readonly segmentSizeBytes: number;
  readonly nodes: readonly StackNode[];
  readonly nodeIds: readonly NodeId[];

  constructor(seed: number) {
    this.seed = seed;
    this.random = new Prng(seed, 'faults');
    this.network = new FaultyNetwork(new Prng(seed, 'network'));
    this.segmentSizeBytes = (seed % 2 === 0 ? 64 : 128) * KIB;
    this.nodes = Array.from({ length: NODE_COUNT }, (_, number) => new StackNode(this, number));
    this.nodeIds = this.nodes.map(({ nodeId }) => nodeId);
  }

  startAll(): void {
    for (const node of this.nodes) node.start();
  }

  async endAll(): Promise<void> {
    for (const node of this.nodes) await node.kill();
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
      for (const node of this.nodes) node.runDisk();
      await settled();
      this.network.deliver();
    }
    await settled();
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
