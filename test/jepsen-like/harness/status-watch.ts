/** Asks every node again and again what it believes, past all faults of clients: who leads, and how far it is. */
import { Term } from '../../../src/base/units.ts';
import {
  type BrokerCallClient,
  BrokerCallFailure,
  createBrokerCallClient,
} from '../../../src/client/broker-call-client.ts';
import type { StatusLine } from '../history/evidence.ts';
import type { Recorder } from '../history/recorder.ts';
import { STATUS_PERIOD_MS, STATUS_TIMEOUT_MS } from '../limits.ts';
import type { BrokerNode } from './broker-node.ts';
import type { Network } from './network.ts';

export class StatusWatch {
  readonly #nodes: readonly BrokerNode[];
  readonly #recorder: Recorder;
  readonly #clients: ReadonlyMap<string, BrokerCallClient>;
  readonly #last = new Map<string, StatusLine>();
  #running: Promise<void> | null = null;
  #isStopping = false;

  constructor(nodes: readonly BrokerNode[], network: Network, recorder: Recorder) {
    this.#nodes = nodes;
    this.#recorder = recorder;
    this.#clients = new Map(
      nodes.map(({ nodeId }) => [nodeId, createBrokerCallClient(network.forClients(nodeId).raft)]),
    );
  }

  start(): void {
    this.#running ??= this.#run();
  }

  stop(): void {
    this.#isStopping = true;
    for (const client of this.#clients.values()) client.close();
  }

  /** The serving leader of the highest term, as far as heard of lately. */
  leader(): string | null {
    const freshMs = this.#recorder.nowMs() - 2 * (STATUS_PERIOD_MS + STATUS_TIMEOUT_MS);
    const leaders = [...this.#last.values()].filter(
      ({ atMs, serving, node }) => serving && atMs > freshMs && this.#isUp(node),
    );
    return leaders.sort((a, b) => b.term - a.term)[0]?.node ?? null;
  }

  lastOf(node: string): StatusLine | null {
    return this.#last.get(node) ?? null;
  }

  /** Of those, or of everybody who runs; null where no answer came. */
  ask(nodes: readonly BrokerNode[] = this.#nodes): Promise<readonly (StatusLine | null)[]> {
    return Promise.all(nodes.map((node) => this.#ask(node.nodeId)));
  }

  #isUp(nodeId: string): boolean {
    return this.#nodes.some((node) => node.nodeId === nodeId && node.isRunning && !node.isPaused);
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      await this.ask();
      await new Promise((resolve) => setTimeout(resolve, STATUS_PERIOD_MS));
    }
  }

  async #ask(node: string): Promise<StatusLine | null> {
    const client = this.#clients.get(node);
    if (client === undefined || !this.#isUp(node)) return null;
    try {
      const reply = await client.call(
        {
          ...{ remainingMs: STATUS_TIMEOUT_MS, hops: 0, leaderTerm: Term(0), retried: false },
          request: { kind: 'status' },
        },
        new AbortController().signal,
      );
      if (reply.kind !== 'answer' || reply.response.kind !== 'status') return null;
      const { storeUuid, role, term, serving, commitIndex, appliedIndex } = reply.response.status;
      const atMs = this.#recorder.nowMs();
      const line = { atMs, node, storeUuid, role, term, serving, commitIndex, appliedIndex };
      this.#last.set(node, line);
      this.#recorder.status(line);
      return line;
    } catch (error) {
      if (error instanceof BrokerCallFailure) return null;
      throw error;
    }
  }
}
