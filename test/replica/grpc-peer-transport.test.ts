import assert from 'node:assert/strict';
import dns from 'node:dns';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { crc32 } from '../../src/base/crc32.ts';
import { Prng } from '../../src/base/prng.ts';
import { MIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import { encodeEntry } from '../../src/protocol/entry-codec.ts';
import type { ReceivedEntry } from '../../src/protocol/peer-codec.ts';
import { entrySizeBytes } from '../../src/raft/entry.ts';
import { foundingMembership, type LoggedMembership } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import { peerServiceDefinition } from '../../src/replica/grpc-peer-method.ts';
import {
  createGrpcPeerTransport,
  type GrpcPeerTransport,
  PEER_SERVER_OPTIONS,
} from '../../src/replica/grpc-peer-transport.ts';
import type { LocalRosterOptions } from '../../src/replica/handshake.ts';
import {
  bootIdsTo,
  entryId,
  MemoryPeerMemory,
  remembered,
} from '../../src/replica/handshake-fixture.ts';
import { foundationOf } from '../../src/replica/membership-in-force.ts';
import type { PeerEvent } from '../../src/replica/peer-transport.ts';
import type { GroupMember } from '../../src/replica/replica-options.ts';
import { ORIGIN } from '../../src/store/log-base.ts';
import { waitFor } from './wait-for.ts';

const n1 = NodeId('n1');
const n2 = NodeId('n2');
const n3 = NodeId('n3');

class Node {
  readonly nodeId: NodeId;
  readonly server = new Server(PEER_SERVER_OPTIONS);
  readonly events: PeerEvent[] = [];
  readonly received: { from: NodeId; message: Message; entries: readonly ReceivedEntry[] }[] = [];
  unreachableCount = 0;
  bootCount = 1;
  memberships: readonly LoggedMembership[] = [];
  storeUuid: string;
  address = '';
  transport: GrpcPeerTransport | null = null;
  readonly memory = new MemoryPeerMemory();

  constructor(nodeId: NodeId) {
    this.nodeId = nodeId;
    this.storeUuid = `store-${nodeId}`;
  }

  async listen(): Promise<void> {
    // What the server calls is looked up late: the transport needs the addresses of all.
    const implementation = {
      stream: (
        call: Parameters<
          ReturnType<GrpcPeerTransport['peerService']>['implementation']['stream']
        >[0],
      ) => this.transport?.peerService().implementation.stream(call),
    };
    this.server.addService(peerServiceDefinition(), implementation);
    this.address = await new Promise<string>((resolve, reject) =>
      this.server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
      ),
    );
  }

  start(members: readonly GroupMember[]): GrpcPeerTransport {
    const transport = createGrpcPeerTransport(this.#options(members));
    this.transport = transport;
    transport.start({
      onMessage: (from, message, entries) => this.received.push({ from, message, entries }),
      onUnreachable: () => {
        this.unreachableCount++;
      },
    });
    return transport;
  }

  async stop(): Promise<void> {
    await this.transport?.close();
    this.server.forceShutdown();
  }

  #options(members: readonly GroupMember[]) {
    const log: LocalRosterOptions['log'] = {
      identity: {
        clusterId: 'c',
        groupId: 'g',
        nodeId: this.nodeId,
        storeUuid: this.storeUuid,
        segmentSizeBytes: 65_536,
      },
      recovered: {
        hardState: { term: Term(0), votedFor: null },
        base: ORIGIN,
        entries: [],
        provenCommitIndex: LogIndex(0),
        memberships: this.memberships,
        bootCount: this.bootCount,
        bootIds: bootIdsTo(this.bootCount),
        tornBytes: 0,
        hasTornTail: false,
      },
      durable: { term: Term(0), last: entryId(0, 0) },
      peers: this.memory.peers,
      rememberPeer: (nodeId, peer) => this.memory.rememberPeer(nodeId, peer),
      notePeer: (nodeId, peer) => this.memory.notePeer(nodeId, peer),
      forgetPeer: (nodeId) => this.memory.forgetPeer(nodeId),
    };
    return {
      log,
      members,
      addresses: { raft: this.address, grpc: `${this.nodeId}:8081`, http: '' },
      clock: new NodeClock(),
      random: new Prng(1, this.nodeId),
      onEvent: (event: PeerEvent) => this.events.push(event),
      onFatal: (error: Error) => assert.fail(error),
    };
  }
}

async function openTwo(): Promise<{ a: Node; b: Node; members: GroupMember[] }> {
  const a = new Node(n1);
  const b = new Node(n2);
  await Promise.all([a.listen(), b.listen()]);
  const members = [a, b].map(({ nodeId, address }) => ({ nodeId, raftAddress: address }));
  return { a, b, members };
}

const isUp = (node: Node, peer: NodeId) =>
  node.events.some(
    (event) => event.kind === 'peerUp' && event.peer === peer && event.direction === 'outbound',
  );

function appendOf(payloadSizeBytes: number): { message: Message; bytes: Uint8Array } {
  const payload = new Uint8Array(payloadSizeBytes).fill(7);
  const desc = {
    index: LogIndex(2),
    term: Term(1),
    type: 'data' as const,
    physicalOffset: PhysicalOffset(4096),
    sizeBytes: entrySizeBytes(payloadSizeBytes),
    payloadSizeBytes,
    payloadCrc: crc32(payload),
  };
  const message: Message = {
    kind: 'appendRequest',
    term: Term(1),
    prev: { term: Term(1), index: LogIndex(1) },
    entries: [desc],
    memberships: [],
    commitIndex: LogIndex(1),
  };
  const bytes = encodeEntry({ ...desc, leaderCommit: LogIndex(1), prevHeaderCrc: 1 }, payload);
  return { message, bytes };
}

test('two nodes on loopback meet, learn addresses and exchange messages in order', async () => {
  const { a, b, members } = await openTwo();
  const ta = a.start(members);
  b.start(members);
  await waitFor('both streams are up', () => isUp(a, n2) && isUp(b, n1));
  assert.deepEqual(ta.linkOf(n2), {
    storeUuid: 'store-n2',
    refusal: null,
    connected: true,
    addresses: { raft: b.address, grpc: 'n2:8081', http: '' },
  });
  for (let i = 1; i <= 100; i++) {
    ta.send(n2, { kind: 'appendAccepted', term: Term(1), matchIndex: LogIndex(i) }, []);
  }
  await waitFor('all messages arrive', () => b.received.length === 100);
  assert.deepEqual(
    b.received.map(({ from, message }) =>
      message.kind === 'appendAccepted' && from === n1 ? message.matchIndex : null,
    ),
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  await Promise.all([a.stop(), b.stop()]);
});

test('entries of the largest size pass, many at once, byte for byte', async () => {
  const { a, b, members } = await openTwo();
  const ta = a.start(members);
  b.start(members);
  await waitFor('the stream is up', () => isUp(a, n2));
  const large = appendOf(8 * MIB);
  const usual = appendOf(MIB);
  ta.send(n2, large.message, [large.bytes]);
  for (let i = 0; i < 16; i++) ta.send(n2, usual.message, [usual.bytes]);
  await waitFor('all entries arrive', () => b.received.length === 17);
  assert.deepEqual(b.received[0]?.message, large.message);
  assert.equal(Buffer.compare(b.received[0]!.entries[0]!.bytes, large.bytes), 0);
  assert.equal(Buffer.compare(b.received[16]!.entries[0]!.bytes, usual.bytes), 0);
  assert.equal(ta.counters.messagesDropped, 0);
  await Promise.all([a.stop(), b.stop()]);
});

test('what the queue cannot hold is dropped, the peer counts as unreachable, the stream lives', async () => {
  const { a, b, members } = await openTwo();
  const ta = a.start(members);
  b.start(members);
  await waitFor('the stream is up', () => isUp(a, n2));
  const { message, bytes } = appendOf(MIB);
  // In one turn nothing leaves the process: the bound must hold.
  for (let i = 0; i < 100; i++) ta.send(n2, message, [bytes]);
  assert.ok(ta.counters.messagesDropped > 0);
  assert.equal(a.unreachableCount, 1);
  const sent = 100 - ta.counters.messagesDropped;
  await waitFor('the rest arrives', () => b.received.length === sent);
  assert.equal(b.events.filter((event) => event.kind === 'corruptFrame').length, 0);
  await Promise.all([a.stop(), b.stop()]);
});

test('a peer that is not there yet, or goes away and comes back, is reached again', async () => {
  const { a, b, members } = await openTwo();
  const ta = a.start(members);
  b.start(members);
  await waitFor('the stream is up', () => isUp(a, n2));
  await b.transport?.close();
  await waitFor('the loss is noticed', () => a.unreachableCount > 0 && !ta.linkOf(n2).connected);
  a.events.length = 0;
  b.bootCount = 2;
  b.start(members);
  await waitFor('the stream is up again', () => isUp(a, n2));
  assert.ok(ta.counters.streamsOpened < 50, 'no busy loop');
  await Promise.all([a.stop(), b.stop()]);
});

test('a wiped peer is refused with a sentence on both sides, and keeps being refused', async () => {
  const { a, b, members } = await openTwo();
  a.memory.peers.set(n2, remembered({ storeUuid: 'store-before-the-wipe' }));
  a.start(members);
  b.start(members);
  await waitFor('both sides know', () => {
    const kinds = (node: Node) => node.events.map((event) => event.kind);
    return kinds(a).includes('refusedPeer') && kinds(b).includes('refusedByPeer');
  });
  const refused = b.events.find((event) => event.kind === 'refusedByPeer');
  assert.ok(refused?.kind === 'refusedByPeer');
  assert.equal(refused.code, 'otherStore');
  assert.match(refused.sentence, /store-n2.*store-before-the-wipe/);
  assert.equal(a.received.length + b.received.length, 0);
  assert.equal(isUp(a, n2), false);
  await Promise.all([a.stop(), b.stop()]);
});

test('a new member is called, answers, and one that has moved is found again', async () => {
  const { a, b, members } = await openTwo();
  const c = new Node(n3);
  await c.listen();
  const ta = a.start(members);
  b.start(members);
  await waitFor('the founders are connected', () => isUp(a, n2) && isUp(b, n1));
  const all = [...members, { nodeId: n3, raftAddress: c.address }];
  const grown = { index: LogIndex(5), membership: foundingMembership(all) };
  ta.setMembership(grown);
  // It has heard of nobody but the founders, of whom it knows one at an address that is old.
  const tc = c.start([members[0]!, { nodeId: n2, raftAddress: '127.0.0.1:1' }]);
  await waitFor('the new member is reached, and reaches us', () => isUp(a, n3) && isUp(c, n1));
  ta.send(n3, { kind: 'campaignNow', term: Term(1) }, []);
  await waitFor('it hears us', () => c.received.length === 1);
  assert.equal(isUp(c, n2), false);
  tc.setMembership(grown);
  await waitFor('it finds the other founder', () => isUp(c, n2));
  await Promise.all([a.stop(), b.stop(), c.stop()]);
});

test('a stranger of a later membership is admitted, answered at the address it names', async () => {
  const { a, b, members } = await openTwo();
  const c = new Node(n3);
  await c.listen();
  const later = foundingMembership([members[0]!, { nodeId: n3, raftAddress: c.address }]);
  c.memberships = [{ index: LogIndex(7), membership: later }];
  const ta = a.start(members);
  c.start([]);
  await waitFor('both directions are up', () => isUp(c, n1) && isUp(a, n3));
  const admitted = a.events.find((event) => event.kind === 'strangerAdmitted');
  assert.deepEqual(admitted, { kind: 'strangerAdmitted', peer: n3, raftAddress: c.address });
  ta.send(n3, { kind: 'voteReply', term: Term(1), granted: true }, []);
  await waitFor('the answer arrives', () => c.received.length === 1);
  assert.equal(a.memory.peers.has(n3), false);
  ta.setMembership({ index: LogIndex(7), membership: later });
  await waitFor('it is pinned', () => a.memory.peers.get(n3)?.storeUuid === 'store-n3');
  await Promise.all([a.stop(), b.stop(), c.stop()]);
});

test('a peer whose store turns out to be the wrong one loses its streams at once', async () => {
  const { a, b, members } = await openTwo();
  const ta = a.start(members);
  b.start(members);
  await waitFor('both are connected', () => isUp(a, n2) && isUp(b, n1));
  const { membership } = foundationOf({ base: ORIGIN }, members).membership;
  ta.setMembership({
    index: LogIndex(3),
    membership: {
      ...membership,
      members: membership.members.map((member) =>
        member.nodeId === n2 ? { ...member, storeUuid: 'the-one-that-was-meant' } : member,
      ),
    },
  });
  await waitFor('it is refused', () =>
    b.events.some((event) => event.kind === 'refusedByPeer' && event.code === 'otherStore'),
  );
  assert.equal(ta.linkOf(n2).connected, false);
  await Promise.all([a.stop(), b.stop()]);
});

test('a peer that falls silent without closing anything is noticed on both ends', async () => {
  const { a, b, members } = await openTwo();
  const proxy = await openProxy(b.address);
  const ta = a.start([members[0]!, { nodeId: n2, raftAddress: proxy.address }]);
  b.start(members);
  await waitFor('the stream is up', () => isUp(a, n2));
  proxy.freeze();
  await waitFor('the caller notices', () => a.unreachableCount > 0);
  await waitFor('the called one notices', () =>
    b.events.some((event) => event.kind === 'peerDown' && event.direction === 'inbound'),
  );
  proxy.thaw();
  a.events.length = 0;
  await waitFor('the stream is up again', () => isUp(a, n2));
  assert.ok(ta.counters.streamsOpened < 50, 'no busy loop');
  await Promise.all([a.stop(), b.stop()]);
  proxy.close();
});

test('the host name of a peer is resolved anew at each attempt', async (t) => {
  const { a, b, members } = await openTwo();
  // Nobody listens there: the machine has not come back yet.
  let address = '127.0.0.9';
  const lookup = t.mock.method(dns.promises, 'lookup', async () => [{ address, family: 4 }]);
  const named = b.address.replace('127.0.0.1', 'moving.mq-raft.test');
  a.start([members[0]!, { nodeId: n2, raftAddress: named }]);
  b.start(members);
  await waitFor('two attempts in vain', () => lookup.mock.callCount() >= 2);
  assert.equal(isUp(a, n2), false);
  address = '127.0.0.1';
  await waitFor('the stream is up', () => isUp(a, n2));
  await Promise.all([a.stop(), b.stop()]);
});

/** Passes bytes on, or holds them in both directions as a dead cable does. */
async function openProxy(target: string) {
  const [host, port] = target.split(':');
  const sockets = new Set<Socket>();
  let frozen = false;
  const server = createServer((near) => {
    const far = connect(Number(port), host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (!frozen) to.write(bytes);
      });
      from.on('close', () => to.destroy());
      // A reset is one way to close.
      from.on('error', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    address: `127.0.0.1:${address.port}`,
    freeze: () => {
      frozen = true;
    },
    thaw: () => {
      frozen = false;
      // Bytes were lost: what was open cannot go on.
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
