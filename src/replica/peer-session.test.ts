import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { encodePeerFrame, type PeerIdentity } from '../protocol/peer-codec.ts';
import { foundingMembership } from '../raft/membership.ts';
import type { Message } from '../raft/messages.ts';
import { PeerRoster } from './handshake.ts';
import { identityOf, MemoryPeerMemory, remembered } from './handshake-fixture.ts';
import { InboundSession, OutboundSession } from './peer-session.ts';

const n1 = NodeId('n1');
const n2 = NodeId('n2');
const heartbeat: Message = {
  kind: 'heartbeat',
  term: Term(2),
  round: 1,
  commitIndex: LogIndex(0),
};

interface PairOptions {
  readonly caller?: PeerRoster;
  readonly called?: PeerRoster;
  readonly tamper?: (bytes: Uint8Array) => Uint8Array;
}

/** A caller at n1 and a called session at n2, connected by an exact pipe. */
function openPair(options: PairOptions = {}) {
  const caller = options.caller ?? rosterOf(identityOf('n1'));
  const called = options.called ?? rosterOf(identityOf('n2'));
  const trace: string[] = [];
  const events = (side: string) => ({
    onRefused: ({ code }: { code: string }) => trace.push(`${side} refuses: ${code}`),
    onCorrupt: (problem: string) => trace.push(`${side} corrupt: ${problem}`),
    onFatal: (error: unknown) => trace.push(`${side} fatal: ${String(error)}`),
  });
  const tamper = options.tamper ?? ((bytes) => bytes);
  const outbound: OutboundSession = new OutboundSession(
    caller,
    n2,
    {
      write: (bytes) => inbound.receive(tamper(bytes)),
      end: () => trace.push('caller ends'),
    },
    {
      ...events('caller'),
      onWelcome: () => trace.push('welcome'),
      onRefusedByPeer: (code) => trace.push(`refused by peer: ${code}`),
    },
  );
  const inbound: InboundSession = new InboundSession(
    called,
    {
      write: (bytes) => outbound.receive(bytes),
      end: () => trace.push('called ends'),
    },
    {
      ...events('called'),
      onAdmitted: (peer) => trace.push(`admitted ${peer}`),
      onMessage: (from, message) => trace.push(`${from}: ${message.kind}`),
    },
  );
  return { outbound, inbound, trace };
}

/** Its membership is what the identity says. */
function rosterOf(self: PeerIdentity, memory = new MemoryPeerMemory()): PeerRoster {
  const { membershipIndex, voters, term, last, ...fixed } = self;
  const members = voters.map((id) => ({ nodeId: NodeId(id), raftAddress: `${id}:10912` }));
  const membership = {
    index: LogIndex(membershipIndex),
    membership: foundingMembership(members),
  };
  return new PeerRoster({
    ...{ self: fixed, membership, memory },
    claim: () => ({ term, last }),
    founders: voters.map(NodeId),
    onEvent: () => {},
  });
}

/** Handshakes wait for nothing but promises here. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

test('a member is welcomed, its store pinned on both sides, its addresses learned', async () => {
  const callerMemory = new MemoryPeerMemory();
  const calledMemory = new MemoryPeerMemory();
  const caller = rosterOf(identityOf('n1'), callerMemory);
  const called = rosterOf(identityOf('n2'), calledMemory);
  const { outbound, inbound, trace } = openPair({ caller, called });
  outbound.open();
  assert.equal(outbound.welcomed, false);
  await settle();
  assert.deepEqual(trace, ['admitted n1', 'welcome']);
  assert.equal(outbound.welcomed, true);
  assert.deepEqual(callerMemory.written, ['n2=store-n2/1']);
  assert.deepEqual(calledMemory.written, ['n1=store-n1/1']);
  assert.equal(called.addressesOf(n1)?.grpc, 'n1:2');
  assert.equal(caller.addressesOf(n2)?.raft, 'n2:1');

  inbound.receive(outbound.encode(heartbeat, []));
  assert.equal(trace.at(-1), 'n1: heartbeat');
});

const refusals: readonly {
  readonly name: string;
  readonly code: string;
  readonly caller?: Partial<PeerIdentity>;
  readonly called?: Partial<PeerIdentity>;
}[] = [
  { name: 'another cluster', code: 'otherCluster', caller: { clusterId: 'x' } },
  { name: 'another group', code: 'otherGroup', caller: { groupId: 'x' } },
  { name: 'another protocol', code: 'protocolVersion', caller: { protocolVersion: 9 } },
  { name: 'the same node id', code: 'sameNode', caller: { nodeId: 'n2' } },
  { name: 'an unknown node', code: 'strangerNode', caller: { nodeId: 'n9' } },
  { name: 'another segment size', code: 'otherConstants', caller: { segmentSizeBytes: 4096 } },
  { name: 'another list of members', code: 'otherConstants', caller: { voters: ['n1', 'n2'] } },
  { name: 'a copy of our directory', code: 'otherStore', caller: { storeUuid: 'store-n2' } },
  { name: 'a call for somebody else', code: 'wrongNode', called: { nodeId: 'n3' } },
];

for (const { name, code, caller, called } of refusals) {
  test(`${name} is refused as ${code}, and nothing is delivered`, async () => {
    const { outbound, inbound, trace } = openPair({
      caller: rosterOf(identityOf('n1', caller)),
      called: rosterOf(identityOf('n2', called)),
    });
    outbound.open();
    await settle();
    assert.deepEqual(trace, [
      `refused by peer: ${code}`,
      'caller ends',
      `called refuses: ${code}`,
      'called ends',
    ]);
    assert.equal(inbound.peer, null);
    assert.equal(outbound.welcomed, false);
  });
}

test('a peer with another store than the pinned one is refused by the called side', async () => {
  const memory = new MemoryPeerMemory();
  memory.peers.set(n1, remembered({ storeUuid: 'store-of-before-the-wipe' }));
  const { outbound, trace } = openPair({ called: rosterOf(identityOf('n2'), memory) });
  outbound.open();
  await settle();
  assert.ok(trace.includes('called refuses: otherStore'), trace.join());
  assert.deepEqual(memory.written, []);
});

test('a peer with another store than the pinned one is refused by the calling side', async () => {
  const memory = new MemoryPeerMemory();
  memory.peers.set(n2, remembered({ storeUuid: 'store-of-before-the-wipe' }));
  const { outbound, trace } = openPair({ caller: rosterOf(identityOf('n1'), memory) });
  outbound.open();
  await settle();
  assert.deepEqual(trace, ['admitted n1', 'caller refuses: otherStore', 'caller ends']);
  assert.equal(outbound.welcomed, false);
});

test('of two stores that come at once under one name, exactly one is pinned', async () => {
  const memory = new MemoryPeerMemory();
  const called = rosterOf(identityOf('n2'), memory);
  const first = openPair({ called });
  const second = openPair({
    called,
    caller: rosterOf(identityOf('n1', { storeUuid: 'store-of-the-clone' })),
  });
  first.outbound.open();
  second.outbound.open();
  await settle();
  assert.deepEqual(memory.written, ['n1=store-n1/1']);
  assert.equal(first.outbound.welcomed, true);
  assert.ok(second.trace.includes('called refuses: otherStore'), second.trace.join());
});

test('a store that comes with an earlier boot than was seen is refused', async () => {
  const called = rosterOf(identityOf('n2'));
  const now = openPair({ called, caller: rosterOf(identityOf('n1', { bootCount: 6 })) });
  now.outbound.open();
  await settle();
  const image = openPair({ called, caller: rosterOf(identityOf('n1', { bootCount: 5 })) });
  image.outbound.open();
  await settle();
  assert.equal(now.outbound.welcomed, true);
  assert.ok(image.trace.includes('called refuses: olderStore'), image.trace.join());
});

test('a damaged frame ends the stream; later good frames are not delivered', async () => {
  const { outbound, inbound, trace } = openPair();
  outbound.open();
  await settle();
  const damaged = outbound.encode(heartbeat, []);
  damaged[damaged.length - 1]! ^= 1;
  inbound.receive(damaged);
  inbound.receive(outbound.encode(heartbeat, []));
  assert.match(trace.at(-2) ?? '', /^called corrupt: /);
  assert.equal(trace.at(-1), 'called ends');
});

test('a repeated, skipped or swapped frame ends the stream', async () => {
  for (const order of [[0, 0], [1], [1, 0]]) {
    const { outbound, inbound, trace } = openPair();
    outbound.open();
    await settle();
    const frames = [outbound.encode(heartbeat, []), outbound.encode(heartbeat, [])];
    for (const i of order) inbound.receive(frames[i]!);
    assert.equal(trace.at(-1), 'called ends', order.join());
  }
});

test('a message before the hello ends the stream', () => {
  const { inbound, trace } = openPair();
  // Encoded as frame 0: what a caller sends that skips the handshake.
  inbound.receive(encodePeerFrame(0, { kind: 'message', message: heartbeat }, []));
  assert.deepEqual(trace, ['called corrupt: an unexpected message came', 'called ends']);
});

test('a second hello ends the stream', async () => {
  const { inbound, outbound, trace } = openPair();
  outbound.open();
  await settle();
  const hello = { from: identityOf('n1'), toNodeId: 'n2' };
  inbound.receive(encodePeerFrame(1, { kind: 'hello', hello }, []));
  assert.equal(trace.at(-1), 'called ends');
});

test('a disk that cannot remember the store is reported as fatal, not as a refusal', async () => {
  const memory = new MemoryPeerMemory();
  memory.writeLater = () => Promise.reject(new Error('EIO'));
  const { outbound, trace } = openPair({ called: rosterOf(identityOf('n2'), memory) });
  outbound.open();
  await settle();
  assert.deepEqual(trace, ['called fatal: Error: EIO']);
});
