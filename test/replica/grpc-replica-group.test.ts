/** Three replicas over real sockets, on real commit logs on a disk in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { Prng } from '../../src/base/prng.ts';
import { KIB } from '../../src/base/sizes.ts';
import { NodeId } from '../../src/base/units.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import { decodeMessageRecord } from '../../src/protocol/message-record.ts';
import { type RunningReplica, startReplica } from '../../src/replica/driver.ts';
import { peerServiceDefinition } from '../../src/replica/grpc-peer-method.ts';
import {
  createGrpcPeerTransport,
  type GrpcPeerTransport,
  PEER_SERVER_OPTIONS,
} from '../../src/replica/grpc-peer-transport.ts';
import type { GroupMember } from '../../src/replica/replica-options.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';
import { openCommitLog } from '../../src/store/open-commit-log.ts';
import { messageProposal, topicProposal } from './replica-group.ts';
import { waitFor } from './wait-for.ts';

const TICK_MS = 10;

class Broker {
  readonly nodeId: NodeId;
  readonly #clock = new NodeClock();
  readonly #server = new Server(PEER_SERVER_OPTIONS);
  readonly #disk = new MemoryDisk();
  readonly #kv = new MemoryKvStore();
  #transport: GrpcPeerTransport | null = null;
  replica: RunningReplica | null = null;
  address = '';
  bootCount = 0;

  constructor(nodeId: NodeId) {
    this.nodeId = nodeId;
  }

  async listen(): Promise<void> {
    const stream = (call: ServerDuplexStream<Buffer, Buffer>) => {
      if (this.#transport === null) call.end();
      else this.#transport.peerService().implementation.stream(call);
    };
    this.#server.addService(peerServiceDefinition(), { stream });
    this.address = await new Promise<string>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
      ),
    );
  }

  async start(members: readonly GroupMember[]): Promise<RunningReplica> {
    const onFatal = (error: Error) => assert.fail(error);
    const identity = {
      clusterId: 'c',
      groupId: 'g',
      nodeId: this.nodeId,
      segmentSizeBytes: 256 * KIB,
    };
    const log = await openCommitLog(this.#disk, {
      directory: 'data',
      identity,
      mintUuid: () => `store-${this.nodeId}`,
      mintBootId: () => (this.bootCount + 1).toString(16).padStart(16, '0'),
      clock: this.#clock,
      onFatal,
    });
    this.bootCount = log.recovered.bootCount;
    const last = log.recovered.entries.at(-1)?.index;
    const state = await openDerivedState({
      kv: this.#kv,
      durableIndexMax: last ?? (0 as NonNullable<typeof last>),
      onEvent: (event) => assert.fail(JSON.stringify(event)),
    });
    const addresses = { raft: this.address, grpc: `${this.nodeId}:8081`, http: '' };
    const random = new Prng(1, this.nodeId);
    const common = { log, members, addresses, clock: this.#clock, random, onFatal };
    this.#transport = createGrpcPeerTransport({ ...common, onEvent: () => {} });
    this.replica = await startReplica({
      ...common,
      identity,
      state,
      transport: this.#transport,
      tickMs: TICK_MS,
      onEvent: () => {},
    });
    return this.replica;
  }

  async stop(): Promise<void> {
    await this.replica?.close();
    this.replica = null;
  }

  async shutDown(): Promise<void> {
    await this.stop();
    this.#server.forceShutdown();
  }
}

async function leaderOf(brokers: readonly Broker[]): Promise<Broker> {
  const serving = () => brokers.find((broker) => broker.replica?.leadership());
  await waitFor('somebody leads', () => serving() !== undefined);
  return serving()!;
}

test('three replicas over gRPC keep what they acknowledged through the loss of a leader', async () => {
  const brokers = ['n1', 'n2', 'n3'].map((name) => new Broker(NodeId(name)));
  await Promise.all(brokers.map((broker) => broker.listen()));
  const members = brokers.map(({ nodeId, address }) => ({ nodeId, raftAddress: address }));
  await Promise.all(brokers.map((broker) => broker.start(members)));

  const first = await leaderOf(brokers);
  assert.equal((await first.replica!.propose(topicProposal())).kind, 'applied');
  const outcomes = await Promise.all(
    Array.from({ length: 200 }, (_, at) =>
      first.replica!.propose(messageProposal(at, { bodySizeBytes: 2000 })),
    ),
  );
  assert.ok(outcomes.every((outcome) => outcome.kind === 'applied'));
  assert.ok(first.replica!.metrics().entriesProposed < 50, 'proposals shared entries');

  await first.stop();
  const second = await leaderOf(brokers);
  assert.equal(second.replica!.state.queueRange('t', 0).next, 200);
  const outcome = await second.replica!.propose(messageProposal(200));
  assert.equal(outcome.kind, 'applied');

  const back = await first.start(members);
  assert.equal(first.bootCount, 2);
  await waitFor('it has caught up', () => back.state.queueRange('t', 0).next === 201);
  for (const { replica } of brokers) {
    await waitFor('all have it', () => replica!.state.queueRange('t', 0).next === 201);
    for (const at of [0, 117, 200]) {
      const unit = replica!.state.queueUnit('t', 0, at as never);
      assert.ok(unit);
      const bytes = await replica!.log.readRecord(unit.physicalOffset, unit.sizeBytes);
      const message = decodeMessageRecord(bytes);
      assert.equal(message.queueOffset, at);
      assert.equal(message.physicalOffset, unit.physicalOffset);
    }
  }
  const { addresses } = back.status().peers.find((peer) => peer.nodeId === second.nodeId)!;
  assert.equal(addresses?.raft, second.address);
  await Promise.all(brokers.map((broker) => broker.shutDown()));
});
