/** Three replicas over real sockets, on real commit logs on a disk in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { Prng } from '../../src/base/prng.ts';
import { KIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import { decodeMessageRecord } from '../../src/protocol/message-record.ts';
import { type RunningReplica, startReplica } from '../../src/replica/driver.ts';
import { peerServiceDefinition } from '../../src/replica/grpc-peer-method.ts';
import {
  createGrpcPeerTransport,
  type GrpcPeerTransport,
  PEER_SERVER_OPTIONS,
} from '../../src/replica/grpc-peer-transport.ts';
import type { GroupMember } from '../../src/replica/replica-options.ts';
import { createSnapshotClient } from '../../src/replica/snapshot/snapshot-client.ts';
import type { SnapshotAnswers } from '../../src/replica/snapshot/snapshot-port.ts';
import { snapshotService } from '../../src/replica/snapshot/snapshot-service.ts';
import { derivedHome } from '../../src/store/derived/derived-home.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';
import { openCommitLog } from '../../src/store/open-commit-log.ts';
import { SnapshotFiles } from '../../src/store/snapshots/snapshot-files.ts';
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
  readonly events: string[] = [];

  constructor(nodeId: NodeId) {
    this.nodeId = nodeId;
  }

  async listen(): Promise<void> {
    const stream = (call: ServerDuplexStream<Buffer, Buffer>) => {
      if (this.#transport === null) call.end();
      else this.#transport.peerService().implementation.stream(call);
    };
    this.#server.addService(peerServiceDefinition(), { stream });
    const answers = (): SnapshotAnswers => {
      assert.ok(this.replica?.snapshotAnswers, 'only a running replica is asked');
      return this.replica.snapshotAnswers;
    };
    const { definition, implementation } = snapshotService(
      {
        offer: (offer) => answers().offer(offer),
        read: (read) => answers().read(read),
        newest: (ask) => answers().newest(ask),
      },
      (error) => assert.fail(String(error)),
    );
    this.#server.addService(definition, implementation);
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
    const { base, entries } = log.recovered;
    const onEvent = (event: object) => assert.fail(JSON.stringify(event));
    const durableIndexMax = entries.at(-1)?.index ?? base.desc?.last.index ?? LogIndex(0);
    const stateOptions = { kv: this.#kv, durableIndexMax, onEvent };
    const state = await openDerivedState(stateOptions);
    const files = await SnapshotFiles.open({ disk: this.#disk, replicaDirectory: 'data', onEvent });
    const addresses = { raft: this.address, grpc: `${this.nodeId}:8081`, http: '' };
    const random = new Prng(1, this.nodeId);
    const common = { log, members, addresses, clock: this.#clock, random, onFatal };
    this.#transport = createGrpcPeerTransport({ ...common, onEvent: () => {} });
    this.replica = await startReplica({
      ...common,
      identity,
      state,
      transport: this.#transport,
      snapshots: {
        ...{ files, home: derivedHome(stateOptions), port: createSnapshotClient() },
        limits: { pauseMsMin: 0, memberGraceMs: 0 },
      },
      tickMs: TICK_MS,
      onEvent: ({ kind }) => this.events.push(kind),
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

test('a replica that was away comes back to a log that begins later, and gets a snapshot over its socket', async () => {
  const brokers = ['n1', 'n2', 'n3'].map((name) => new Broker(NodeId(name)));
  await Promise.all(brokers.map((broker) => broker.listen()));
  const members = brokers.map(({ nodeId, address }) => ({ nodeId, raftAddress: address }));
  await Promise.all(brokers.map((broker) => broker.start(members)));
  const leader = await leaderOf(brokers);
  const { replica } = leader;
  assert.equal((await replica!.propose(topicProposal())).kind, 'applied');
  const away = brokers.find((broker) => broker !== leader)!;
  await away.stop();
  for (let at = 0; at < 60; at++) {
    const outcome = await replica!.propose(messageProposal(at, { bodySizeBytes: 20_000 }));
    assert.equal(outcome.kind, 'applied');
  }
  await waitFor('nobody waits for who is away', () => {
    return replica!.logExtent(false).removableBefore > replica!.status().lastIndex - 2;
  });
  const start = replica!.logExtent(false).segments.at(-1)!;
  const { firstIndex, physicalOffset } = start;
  const command = { firstIndex, physicalOffset, reason: 'size', storeTimestampMs: 0, atMs: 1 };
  const records = encodeCommandRecord({ kind: 'advanceLogStart', ...command });
  assert.equal((await replica!.propose({ records, messageRecordAt: [] })).kind, 'applied');
  await waitFor('the log begins later', () => replica!.status().firstIndex === firstIndex);

  const back = await away.start(members);
  await waitFor('it has everything', () => back.state.queueRange('t', 0).next === 60);
  assert.ok(away.events.includes('snapshotInstalled'), away.events.join());
  assert.equal(back.status().firstIndex, firstIndex);
  assert.equal(back.state.digest(), replica!.state.digest());
  assert.equal((await replica!.propose(messageProposal(60))).kind, 'applied');
  await waitFor('it goes on', () => back.state.queueRange('t', 0).next === 61);
  await Promise.all(brokers.map((broker) => broker.shutDown()));
});
