/** What an operator does with a group of real processes, through the wire of administration. */
import { equal, ok } from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { NodeId } from '../../src/base/units.ts';
import { createAdminCallClient } from '../../src/client/admin-client.ts';
import { BrokerCallFailure } from '../../src/client/call-client.ts';
import {
  type AdminReply,
  type AdminRequest,
  type AdminResponse,
  type ChangedResponse,
  type ChangeOptions,
  type JoinTicket,
  NO_OPTIONS,
} from '../../src/protocol/admin.ts';
import type { MembersReport } from '../../src/protocol/admin-report.ts';
import { readWholeTopic } from './audit.ts';
import type { LoadProducer } from './official-client.ts';
import type { TestCluster } from './test-cluster.ts';

const CALL_MS = 15_000;
const WAIT_MS = 60_000;
const POLL_MS = 200;

export class Operator {
  readonly #cluster: TestCluster;
  readonly #actor: string;

  constructor(cluster: TestCluster, actor = 'alice') {
    this.#cluster = cluster;
    this.#actor = actor;
  }

  /** Asks one running node after the other until one answers. */
  async reply(request: AdminRequest, options: Partial<ChangeOptions> = {}): Promise<AdminReply> {
    const problems: string[] = [];
    for (const { nodeId, raft } of this.#cluster.nodes) {
      if (!this.#cluster.isRunning(nodeId)) continue;
      const client = createAdminCallClient(raft);
      try {
        const call = { remainingMs: CALL_MS, hops: 0, stale: false, request };
        // How quick the disk of the machine is that runs the tests is none of their subjects.
        const allow = [...(options.allow ?? []), 'slowDisk'] as const;
        const all = { ...call, options: { ...NO_OPTIONS, actor: this.#actor, ...options, allow } };
        return await client.call(all, new AbortController().signal);
      } catch (error) {
        if (!(error instanceof BrokerCallFailure)) throw error;
        problems.push(error.message);
      } finally {
        client.close();
      }
    }
    throw new Error(`Nobody answers: ${problems.join('; ')}`);
  }

  async ask(request: AdminRequest, options: Partial<ChangeOptions> = {}): Promise<AdminResponse> {
    const reply = await this.reply(request, options);
    ok(reply.kind === 'answer', JSON.stringify(reply));
    return reply.response;
  }

  /** As `--wait` does: asks the same again until nothing is left; what passes by itself is waited for. */
  async change(
    request: AdminRequest,
    options: Partial<ChangeOptions> = {},
  ): Promise<ChangedResponse> {
    const untilMs = Date.now() + WAIT_MS;
    for (;;) {
      const response = await this.ask(request, options);
      if (response.kind === 'changed' && response.state !== 'pending') return response;
      const isLate = Date.now() >= untilMs;
      ok(!isLate, JSON.stringify(response));
      ok(response.kind === 'changed' || isPassing(response), JSON.stringify(response));
      await delay(POLL_MS);
    }
  }

  /** Ids of the failed checks; the request must be refused. */
  async refused(
    request: AdminRequest,
    options: Partial<ChangeOptions> = {},
  ): Promise<readonly string[]> {
    const response = await this.ask(request, options);
    ok(response.kind === 'refused', JSON.stringify(response));
    const failed = response.checks.filter(({ verdict }) => verdict === 'failed');
    return failed.map(({ id }) => id).sort();
  }

  async members(): Promise<MembersReport> {
    const response = await this.ask({ kind: 'members' });
    ok(response.kind === 'members');
    return response.report;
  }

  /** Starts the new process with its ticket. */
  async join({ nodeId, joinAddresses, token }: JoinTicket): Promise<void> {
    await this.#cluster.startNodeWith(nodeId, [
      ...['--join', joinAddresses.join(','), '--token', token],
    ]);
  }

  /** Adds a node and starts it; it is a learner then. */
  async addNode(nodeId: string): Promise<void> {
    const { raft } = await this.#cluster.addNode(nodeId);
    const wish = { kind: 'add', nodeId: NodeId(nodeId), raftAddress: raft } as const;
    const { ticket } = await this.change(wish);
    ok(ticket !== null);
    await this.join(ticket);
  }

  /** To the end, with the new process started in the middle. */
  async replace(oldNodeId: string, newNodeId: string, isPlanned: boolean): Promise<void> {
    const { raft } = await this.#cluster.addNode(newNodeId);
    const wish = {
      kind: 'replace',
      ...{ oldNodeId: NodeId(oldNodeId), newNodeId: NodeId(newNodeId), raftAddress: raft },
    } as const;
    const options = { allow: isPlanned ? (['planned'] as const) : [] };
    const begun = await this.ask(wish, options);
    ok(begun.kind === 'changed' && begun.state === 'pending', JSON.stringify(begun));
    equal(begun.phase, 'join');
    ok(begun.ticket !== null);
    await this.join(begun.ticket);
    await this.change(wish, options);
  }
}

/** As `--wait` does: elections end, learners catch up, and the disk of a busy machine has a bad minute. */
const PASSING = [
  'ownTermCommitted',
  'noTransferInProgress',
  'targetCaughtUp',
  'targetLive',
  'targetDiskSpeed',
  'soleCopy',
];

function isPassing(response: AdminResponse): boolean {
  if (response.kind !== 'refused') return false;
  const failed = response.checks.filter(({ verdict }) => verdict === 'failed');
  return failed.every(({ id }) => PASSING.includes(id));
}

/** What was sent after the answer to another one lies behind it, wherever both are in one queue. */
export async function disorderOf(
  cluster: TestCluster,
  load: Pick<LoadProducer, 'sent'>,
  topic: string,
): Promise<readonly string[]> {
  const stored = await readWholeTopic(cluster, topic);
  const sentAs = new Map(load.sent.map((sent) => [sent.messageId, sent]));
  const queues = new Set(stored.map(({ queueId }) => queueId));
  return [...queues].flatMap((queueId) => {
    const inQueue = stored.filter((one) => one.queueId === queueId);
    const byOffset = inQueue.toSorted((a, b) => b.queueOffset - a.queueOffset);
    let earliestAckMs = Number.POSITIVE_INFINITY;
    return byOffset.flatMap(({ messageId, queueOffset }) => {
      const sent = sentAs.get(messageId);
      if (sent === undefined) return [];
      const isLate = sent.begunAtMs > earliestAckMs;
      earliestAckMs = Math.min(earliestAckMs, sent.acknowledgedAtMs);
      return isLate ? [`${messageId} is at ${queueId}@${queueOffset}, before an older one`] : [];
    });
  });
}
