/**
 * Nodes and name servers in memory: implementations of the client's ports for tests. Each node
 * answers with what the test says, or is down.
 */
import { LogIndex, NodeId, Term } from '../base/units.ts';
import type { AdminCall, AdminReply } from '../protocol/admin.ts';
import type { GroupRoute } from '../protocol/namesrv-codec.ts';
import type { BrokerCall } from '../protocol/verb-codec.ts';
import type { BrokerReply, BrokerRequest, NodeReport } from '../protocol/verbs.ts';
import type { AdminCallClient } from './admin-client.ts';
import { type BrokerCallClient, BrokerCallFailure } from './broker-call-client.ts';
import { type NameServer, NameServerUnavailable } from './name-server-client.ts';

export class MemoryCluster {
  /** What a living node answers. */
  answer: (request: BrokerRequest, address: string) => BrokerReply | Promise<BrokerReply>;
  /** What a living node answers to administration. */
  answerAdmin: (call: AdminCall, address: string) => AdminReply = () => ({
    kind: 'failure',
    code: 'unsupported',
    message: 'Nothing is administered here',
  });
  readonly adminCalls: { readonly address: string; readonly call: AdminCall }[] = [];
  readonly down = new Set<string>();
  readonly calls: { readonly address: string; readonly call: BrokerCall }[] = [];
  isClosed = false;

  constructor(answer: (request: BrokerRequest, address: string) => BrokerReply) {
    this.answer = answer;
  }

  connect(address: string): BrokerCallClient {
    return {
      call: async (call, signal) => {
        this.calls.push({ address, call });
        if (signal.aborted) throw new BrokerCallFailure('cancelled', 'The call was cancelled');
        if (this.down.has(address)) {
          throw new BrokerCallFailure('unreachable', `${address} refused the connection`);
        }
        return this.answer(call.request, address);
      },
      close: () => {
        this.isClosed = true;
      },
    };
  }

  connectAdmin(address: string): AdminCallClient {
    return {
      call: async (call, signal) => {
        this.adminCalls.push({ address, call });
        if (signal.aborted) throw new BrokerCallFailure('cancelled', 'The call was cancelled');
        if (this.down.has(address)) {
          throw new BrokerCallFailure('unreachable', `${address} refused the connection`);
        }
        return this.answerAdmin(call, address);
      },
      close: () => {
        this.isClosed = true;
      },
    };
  }
}

export class MemoryNameServer implements NameServer {
  readonly address: string;
  routesNow: readonly GroupRoute[];
  topics: Readonly<Record<string, string>> = {};
  isUp = true;
  askedCount = 0;

  constructor(address: string, routes: readonly GroupRoute[]) {
    this.address = address;
    this.routesNow = routes;
  }

  register = () => Promise.reject(new Error('Clients do not register'));
  unregister = () => Promise.reject(new Error('Clients do not unregister'));
  close(): void {}

  async groups(): Promise<readonly GroupRoute[]> {
    this.#beUp();
    return this.routesNow;
  }

  async routes(topics: readonly string[]) {
    this.#beUp();
    const ofTopic = (topic: string): readonly GroupRoute[] =>
      this.routesNow.filter(({ group }) => this.topics[topic] === group);
    return {
      topics: topics.map((topic) => ({ topic, groups: ofTopic(topic) })),
      groups: topics.flatMap(ofTopic),
    };
  }

  #beUp(): void {
    this.askedCount++;
    if (!this.isUp) throw new NameServerUnavailable(`name server ${this.address}: refused`);
  }
}

/** @param nodes ids; `n2` gets the addresses `n2:raft`, `n2:grpc` and `n2:http` */
export function aGroupRoute(
  nodes: readonly string[],
  changes: Partial<GroupRoute> = {},
): GroupRoute {
  return {
    cluster: 'dev',
    group: 'broker-a',
    master: nodes[0] === undefined ? null : NodeId(nodes[0]),
    claimTerm: Term(3),
    topicsVersion: 1,
    nodes: nodes.map((nodeId) => ({
      nodeId: NodeId(nodeId),
      storeUuid: `uuid-${nodeId}`,
      term: Term(3),
      addresses: { raft: `${nodeId}:raft`, grpc: `${nodeId}:grpc`, http: `${nodeId}:http` },
      silentMs: 0,
    })),
    ...changes,
  };
}

export function aNodeReport(nodeId: string, changes: Partial<NodeReport> = {}): NodeReport {
  return {
    nodeId: NodeId(nodeId),
    clusterId: 'dev',
    groupId: 'broker-a',
    storeUuid: `uuid-${nodeId}`,
    role: 'follower',
    term: Term(3),
    leader: NodeId('n1'),
    serving: false,
    lastIndex: LogIndex(57),
    durableIndex: LogIndex(57),
    commitIndex: LogIndex(57),
    appliedIndex: LogIndex(57),
    peers: [],
    disk: {
      syncCount: 12,
      writtenBytes: 4096,
      oldestPendingMs: 0,
      syncMsP50: 0.14,
      syncMsP99: 0.21,
      room: null,
    },
    log: { firstIndex: LogIndex(1), keptBytes: 4096, install: null },
    scrub: null,
    checkpoints: { lastIndex: null, agreedIndex: null, divergence: null },
    ...changes,
  };
}
