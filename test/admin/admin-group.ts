/** A group of replicas in one process with administration on each node: everything but the wire. */
import assert from 'node:assert/strict';
import { NodeId } from '../../src/base/units.ts';
import { type Admin, createAdmin } from '../../src/broker/admin/admin.ts';
import type { AdminTransport, NodeFacts, NodeTasks } from '../../src/broker/admin/admin-ports.ts';
import { BrokerCallFailure } from '../../src/client/broker-call-client.ts';
import {
  type AdminCall,
  type AdminReply,
  type AdminRequest,
  type AdminResponse,
  type ChangedResponse,
  type ChangeOptions,
  type JoinTicket,
  NO_OPTIONS,
} from '../../src/protocol/admin.ts';
import {
  decodeAdminCall,
  decodeAdminReply,
  encodeAdminCall,
  encodeAdminReply,
} from '../../src/protocol/admin-codec.ts';
import type { Check } from '../../src/protocol/admin-plan.ts';
import type { Departure } from '../../src/protocol/admin-report.ts';
import type { RoomReport } from '../../src/protocol/verbs.ts';
import type { Replica } from '../../src/replica/replica.ts';
import { type GroupOptions, ReplicaGroup, type RunningNode } from '../replica/replica-group.ts';

export const n = (number: number) => NodeId(`n${number}`);
export const addressOf = (nodeId: NodeId) => `${nodeId}:10912`;

const GIB = 2 ** 30;
const CALL_MS = 20_000;
const FACTS: NodeFacts = {
  version: '0.0.0',
  zone: '',
  uptimeMs: 1,
  loopDelayMsP99: 1,
  swapUsedBytes: 0,
  scrubFinishedAtMs: null,
  repair: '',
  departure: { state: 'serving', userCount: 0 },
};
/** A node without clients. */
function departureOf(replica: Replica): Departure {
  const isLeaving = replica.state.admin.drained.includes(replica.status().nodeId);
  return { state: isLeaving ? 'left' : 'serving', userCount: 0 };
}
const TASKS: NodeTasks = {
  takeSnapshot: async () => 'a snapshot was taken',
  scrub: async () => 'a scrub has begun',
};

export class AdminGroup {
  readonly group: ReplicaGroup;
  readonly admins = new Map<NodeId, Admin>();
  readonly facts = new Map<NodeId, Partial<NodeFacts>>();
  readonly freeBytes = new Map<NodeId, number>();

  private constructor(group: ReplicaGroup) {
    this.group = group;
  }

  static async started(options: GroupOptions = {}): Promise<AdminGroup> {
    const admins = new AdminGroup(await ReplicaGroup.started(options));
    for (const node of admins.group.running.values()) admins.attach(node);
    await admins.group.createTopic();
    await admins.group.pinned();
    return admins;
  }

  attach(node: RunningNode): void {
    const { nodeId, replica } = node;
    const room = (): RoomReport => {
      const freeBytes = this.freeBytes.get(nodeId) ?? 100 * GIB;
      return { level: 'ok', totalBytes: 200 * GIB, freeBytes, reserveBytes: GIB };
    };
    let drawn = 0;
    const admin = createAdmin({
      replica,
      clock: this.group.clock,
      transport: this.#transportOf(nodeId),
      founders: this.group.nodeIds.map((id) => ({ nodeId: id, raftAddress: addressOf(id) })),
      facts: () => ({ ...FACTS, departure: departureOf(replica), ...this.facts.get(nodeId) }),
      diskRoom: room,
      tasks: TASKS,
      randomBytes: (count) => new Uint8Array(count).fill(++drawn),
    });
    this.admins.set(nodeId, admin);
  }

  /** A new process that was let in: an empty directory that knows the founders. */
  async startJoiner(nodeId: NodeId): Promise<void> {
    this.attach(await this.group.startJoiner(nodeId));
  }

  async stop(nodeId: NodeId): Promise<void> {
    this.admins.get(nodeId)?.close();
    this.admins.delete(nodeId);
    await this.group.stop(nodeId);
  }

  /** As a power cut does it: what is not durable is lost, and nobody is told. */
  async kill(nodeId: NodeId): Promise<void> {
    this.admins.get(nodeId)?.close();
    this.admins.delete(nodeId);
    await this.group.kill(nodeId);
  }

  async start(nodeId: NodeId): Promise<void> {
    this.attach(await this.group.start(nodeId));
  }

  async stopAll(): Promise<void> {
    for (const admin of this.admins.values()) admin.close();
    await this.group.pass(500);
    await this.group.stopAll();
  }

  /** Asks a node that runs, any of them. */
  async call(
    request: AdminRequest,
    options: Partial<ChangeOptions> = {},
    more: { at?: NodeId; stale?: boolean; remainingMs?: number } = {},
  ): Promise<AdminReply> {
    const at = more.at ?? [...this.admins.keys()][0]!; // somebody runs
    const admin = this.admins.get(at);
    assert.ok(admin, `${at} runs`);
    const call: AdminCall = {
      remainingMs: more.remainingMs ?? CALL_MS,
      hops: 0,
      stale: more.stale ?? false,
      request,
      options: { ...NO_OPTIONS, actor: 'alice', ...options },
    };
    return this.group.outcomeOf(admin.answer(call, new AbortController().signal));
  }

  async ask(...args: Parameters<AdminGroup['call']>): Promise<AdminResponse> {
    const reply = await this.call(...args);
    assert.equal(reply.kind, 'answer', JSON.stringify(reply));
    assert.ok(reply.kind === 'answer');
    return reply.response;
  }

  async change(...args: Parameters<AdminGroup['call']>): Promise<ChangedResponse> {
    const response = await this.ask(...args);
    assert.ok(response.kind === 'changed', JSON.stringify(response));
    return response;
  }

  /** The ids of the checks that failed. */
  async refused(...args: Parameters<AdminGroup['call']>): Promise<readonly Check['id'][]> {
    const response = await this.ask(...args);
    assert.ok(response.kind === 'refused', JSON.stringify(response));
    const failed = response.checks.filter(({ verdict }) => verdict === 'failed');
    assert.ok(failed.length > 0, 'a refusal has reasons');
    for (const { observed, limit, remedy } of failed) assert.ok(observed && limit && remedy);
    return failed.map(({ id }) => id).sort();
  }

  /** The process of a ticket joins and starts. */
  async join(ticket: JoinTicket): Promise<void> {
    const { nodeId, raftAddress, token } = ticket;
    await this.ask({
      ...{ kind: 'join', token, nodeId, raftAddress, storeUuid: `store-${nodeId}` },
      ...{ clusterId: 'c', groupId: 'g', diskFreeBytes: 100 * GIB },
    });
    await this.startJoiner(nodeId);
  }

  /** As `--wait` does. */
  async wait(...args: Parameters<AdminGroup['call']>): Promise<ChangedResponse> {
    for (let tries = 0; tries < 100; tries++) {
      const response = await this.change(...args);
      if (response.state !== 'pending') return response;
      await this.group.pass(500);
    }
    return assert.fail('it never ends');
  }

  async caughtUp(nodeId: NodeId): Promise<void> {
    await this.group.until(`${nodeId} has caught up`, () => {
      const peer = this.group.serving?.replica.status().peers.find((one) => one.nodeId === nodeId);
      return peer?.isActive === true && peer.lagBytes === 0;
    });
  }

  /** Bytes go through the codec, as they do on the wire. */
  #transportOf(from: NodeId): AdminTransport {
    return {
      call: async (address, call, signal) => {
        const to = [...this.admins.keys()].find((nodeId) => addressOf(nodeId) === address);
        const admin = to === undefined ? undefined : this.admins.get(to);
        const isCut = to !== undefined && this.group.network.isCut(from, to);
        if (admin === undefined || isCut) {
          throw new BrokerCallFailure('unreachable', `${address} did not answer: nobody is there`);
        }
        const asked = decodeAdminCall(encodeAdminCall(call));
        return decodeAdminReply(encodeAdminReply(await admin.answer(asked, signal)));
      },
      close: () => {},
    };
  }
}
