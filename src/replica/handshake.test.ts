import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import type { PeerIdentity } from '../protocol/peer-codec.ts';
import { foundingMembership, type LoggedMembership, type Member } from '../raft/membership.ts';
import { ORIGIN } from '../store/log-base.ts';
import { createRoster, PeerRoster, type Refusal } from './handshake.ts';
import {
  bootIdsTo,
  entryId,
  identityOf,
  MemoryPeerMemory,
  remembered,
} from './handshake-fixture.ts';
import { STRANGERS_MAX } from './limits.ts';
import type { PeerEvent } from './peer-transport.ts';

const n = (number: number) => NodeId(`n${number}`);

const describe = (nodeId: NodeId, more: Partial<Member> = {}): Member => ({
  ...{ nodeId, raftAddress: `${nodeId}:1`, storeUuid: null, priority: 0 },
  ...more,
});

interface Sketch {
  readonly index?: number;
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  readonly removed?: readonly number[];
  /** Pinned by the membership. */
  readonly stores?: Readonly<Record<string, string>>;
}

function logged(sketch: Sketch = {}): LoggedMembership {
  const { index = 0, voters = [1, 2, 3], learners = [], removed = [], stores = {} } = sketch;
  const all = [...voters, ...learners].sort().map(n);
  return {
    index: LogIndex(index),
    membership: {
      members: all.map((nodeId) => describe(nodeId, { storeUuid: stores[nodeId] ?? null })),
      voters: voters.map(n),
      outgoing: [],
      learners: learners.map(n),
      removed: removed.map(n),
    },
  };
}

function rosterOf(sketch: Sketch = {}, memory = new MemoryPeerMemory()) {
  const events: PeerEvent[] = [];
  const roster = new PeerRoster({
    self: identityOf('n1'),
    claim: () => ({ term: Term(3), last: entryId(2, 7) }),
    founders: [n(3), n(1), n(2)],
    membership: logged(sketch),
    memory,
    onEvent: (event) => events.push(event),
  });
  const admit = async (from: PeerIdentity) => short(await roster.admit({ from, toNodeId: 'n1' }));
  const recognise = async (welcome: PeerIdentity) =>
    short(await roster.recognise(NodeId(welcome.nodeId), welcome));
  return { roster, memory, events, admit, recognise };
}

const storesIn = ({ peers }: MemoryPeerMemory) =>
  [...peers].map(([nodeId, { storeUuid }]) => [nodeId, storeUuid]);

const short = (verdict: NodeId | Refusal) =>
  typeof verdict === 'string' ? verdict : `refused: ${verdict.code}`;

interface Row {
  readonly name: string;
  readonly ours: Sketch;
  readonly theirs: Partial<PeerIdentity> & { readonly nodeId: string };
  readonly verdict: string;
}

const rows: readonly Row[] = [
  {
    name: 'a member that is behind us',
    ours: { index: 9, voters: [1, 2] },
    theirs: { nodeId: 'n2' },
    verdict: 'n2',
  },
  {
    name: 'a member that is ahead of us',
    ours: {},
    theirs: { nodeId: 'n2', membershipIndex: 9, voters: ['n2', 'n7'] },
    verdict: 'n2',
  },
  {
    name: 'a founder of another group of the same name',
    ours: {},
    theirs: { nodeId: 'n2', voters: ['n1', 'n2'] },
    verdict: 'refused: otherConstants',
  },
  {
    name: 'a leader of a membership that we have not heard of',
    ours: {},
    theirs: { nodeId: 'n7', membershipIndex: 9, voters: ['n2', 'n7'] },
    verdict: 'n7',
  },
  {
    name: 'an unknown node of an older membership than ours, which may not be committed here',
    ours: { index: 20 },
    theirs: { nodeId: 'n7', membershipIndex: 9, voters: ['n2', 'n7'] },
    verdict: 'n7',
  },
  {
    name: 'an unknown node that no config entry has made a member',
    ours: { index: 20 },
    theirs: { nodeId: 'n7' },
    verdict: 'refused: strangerNode',
  },
  {
    name: 'an unknown node that founded a group of its own',
    ours: { index: 20 },
    theirs: { nodeId: 'n7', voters: ['n1', 'n7'] },
    verdict: 'refused: strangerNode',
  },
  {
    name: 'a learner that knows who founded the group',
    ours: { index: 20, learners: [7] },
    theirs: { nodeId: 'n7' },
    verdict: 'n7',
  },
  {
    name: 'a learner that believes it founded the group',
    ours: { index: 20, learners: [7] },
    theirs: { nodeId: 'n7', voters: ['n7'] },
    verdict: 'refused: otherConstants',
  },
  {
    name: 'a member with the store that the membership names',
    ours: { index: 20, stores: { n2: 'agreed' } },
    theirs: { nodeId: 'n2', storeUuid: 'agreed' },
    verdict: 'n2',
  },
  {
    name: 'a member with another store than the membership names',
    ours: { index: 20, stores: { n2: 'agreed' } },
    theirs: { nodeId: 'n2' },
    verdict: 'refused: otherStore',
  },
];

for (const { name, ours, theirs, verdict } of rows) {
  test(`${name}: ${verdict}, on both ends`, async () => {
    const other = identityOf(theirs.nodeId, theirs);
    assert.equal(await rosterOf(ours).admit(other), verdict);
    assert.equal(await rosterOf(ours).recognise(other), verdict);
  });
}

test('a removed node is refused for ever, and called only to tell it so', async () => {
  const { admit, recognise } = rosterOf({ index: 9, voters: [1, 2], removed: [3] });
  const removed = identityOf('n3', { membershipIndex: 5, voters: ['n1', 'n2', 'n3'] });
  assert.equal(await admit(removed), 'refused: removedNode');
  assert.equal(await admit({ ...removed, membershipIndex: 99 }), 'refused: removedNode');
  assert.equal(await admit({ ...removed, membershipIndex: 0 }), 'refused: removedNode');
  assert.equal(await recognise(removed), 'n3');
});

test('the store that the membership names stands above the pin, as long as it is in force', async () => {
  const { roster, memory, admit } = rosterOf();
  assert.equal(await admit(identityOf('n2', { bootCount: 8 })), 'n2');
  assert.deepEqual(storesIn(memory), [['n2', 'store-n2']]);
  await roster.setMembership(logged({ index: 4, stores: { n2: 'agreed' } }));
  assert.deepEqual(roster.mistrusted(), [n(2)]);
  assert.equal(await admit(identityOf('n2')), 'refused: otherStore');
  assert.equal(await admit(identityOf('n2', { storeUuid: 'agreed' })), 'n2');
  assert.deepEqual(roster.mistrusted(), []);
  // The change is rolled back.
  await roster.setMembership(logged());
  assert.equal(await admit(identityOf('n2')), 'refused: olderStore', 'start 8 is not forgotten');
  assert.equal(await admit(identityOf('n2', { bootCount: 8 })), 'n2');
  assert.deepEqual(storesIn(memory), [['n2', 'store-n2']]);
});

test('a stranger is not pinned, but stays the same one; as a member it is pinned', async () => {
  const { roster, memory, admit } = rosterOf();
  const stranger = identityOf('n7', { membershipIndex: 9 });
  assert.equal(await admit(stranger), 'n7');
  assert.equal(await admit({ ...stranger, storeUuid: 'another' }), 'refused: otherStore');
  assert.deepEqual(storesIn(memory), []);
  const pinned = roster.setMembership(logged({ index: 9, voters: [1, 7] }));
  await pinned;
  assert.deepEqual(storesIn(memory), [['n7', 'store-n7']]);
});

test('a stranger that nobody talks to any more is forgotten, with its store', async () => {
  const { roster, admit } = rosterOf();
  const stranger = identityOf('n7', { membershipIndex: 9 });
  assert.equal(await admit(stranger), 'n7');
  roster.forget(n(7));
  assert.equal(await admit({ ...stranger, storeUuid: 'another' }), 'n7');
  assert.equal(await admit(identityOf('n2')), 'n2');
  roster.forget(n(2));
  assert.equal(roster.addressesOf(n(2))?.raft, 'n2:1', 'what members said is kept');
});

test('strangers are few: more than a membership can have are refused', async () => {
  const { admit, roster } = rosterOf();
  const stranger = (number: number) => identityOf(`n${number}`, { membershipIndex: 9 });
  for (let i = 0; i < STRANGERS_MAX; i++)
    assert.equal(await admit(stranger(100 + i)), `n${100 + i}`);
  assert.equal(await admit(stranger(999)), 'refused: strangerNode');
  assert.equal(await admit(stranger(100)), 'n100', 'those that are known may come again');
  roster.forget(n(101));
  assert.equal(await admit(stranger(999)), 'n999');
});

test('the membership that changes while a pin is written is the one that counts', async () => {
  const { roster, admit } = rosterOf();
  const admitting = admit(identityOf('n2'));
  await roster.setMembership(logged({ index: 4, stores: { n2: 'agreed' } }));
  assert.equal(await admitting, 'refused: otherStore');
});

test('a node that is removed while its pin is written is refused', async () => {
  const { roster, admit } = rosterOf();
  const admitting = admit(identityOf('n3'));
  await roster.setMembership(logged({ index: 4, voters: [1, 2], removed: [3] }));
  assert.equal(await admitting, 'refused: removedNode');
});

test('a hello says which membership is in force', async () => {
  const { roster } = rosterOf();
  assert.equal(roster.self.membershipIndex, 0);
  await roster.setMembership(logged({ index: 6, voters: [1, 2] }));
  assert.equal(roster.self.membershipIndex, 6);
  assert.deepEqual(roster.self.voters, ['n1', 'n2']);
});

test('a start takes the membership of the log, and forgets nodes and stores that were replaced for good', () => {
  for (const [provenCommitIndex, expected] of [
    [9, ['n3', 'n2']],
    [8, []],
  ] as const) {
    const forgotten: NodeId[] = [];
    const roster = createRoster(
      {
        log: {
          identity: { ...identityOf('n1'), nodeId: n(1) },
          recovered: {
            hardState: { term: 1 as never, votedFor: null },
            base: ORIGIN,
            entries: [],
            memberships: [
              logged({ index: 9, voters: [1, 2], removed: [3], stores: { n2: 'agreed' } }),
            ],
            provenCommitIndex: LogIndex(provenCommitIndex),
            ...{ bootCount: 3, bootIds: bootIdsTo(3), tornBytes: 0, hasTornTail: false },
          },
          durable: { term: Term(1), last: entryId(0, 0) },
          peers: new Map([
            [n(1), remembered({ storeUuid: 'never mind' })],
            [n(2), remembered({ storeUuid: 'before the group agreed' })],
          ]),
          rememberPeer: () => Promise.resolve(),
          notePeer: () => assert.fail('nobody has come yet'),
          forgetPeer: (nodeId) => forgotten.push(nodeId),
        },
        members: foundingMembership([describe(n(1))]).members,
        addresses: { raft: '', grpc: '', http: '' },
      },
      () => assert.fail('nobody has come yet'),
    );
    assert.equal(roster.self.membershipIndex, 9);
    assert.equal(roster.self.bootCount, 3);
    assert.deepEqual(forgotten, expected);
  }
});

test('a later start of a member is trusted when it is remembered durably, which is one write', async () => {
  const { memory, admit, recognise, events } = rosterOf();
  assert.equal(await admit(identityOf('n2')), 'n2');
  const later = identityOf('n2', { bootCount: 2, term: Term(5) });
  const durable: (() => void)[] = [];
  memory.writeLater = () => new Promise((resolve) => durable.push(resolve));
  const verdicts: string[] = [];
  const judging = [admit(later), recognise(later)].map((each) =>
    each.then((verdict) => verdicts.push(verdict)),
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(verdicts, []);
  assert.equal(durable.length, 1);
  durable[0]?.();
  await Promise.all(judging);
  assert.deepEqual(verdicts, ['n2', 'n2']);
  assert.deepEqual(memory.written, ['n2=store-n2/1', 'n2=store-n2/2']);
  assert.equal(memory.peers.get(n(2))?.promise.term, 5);
  assert.deepEqual(events, []);
});

test('an older image is refused with what it lacks, and remembered as refused before it is told so', async () => {
  const memory = new MemoryPeerMemory();
  const promise = { term: Term(5), last: entryId(5, 40), committed: entryId(5, 40) };
  memory.peers.set(n(2), remembered({ promise }));
  const { roster, admit } = rosterOf({}, memory);
  const image = identityOf('n2', { bootCount: 2, term: Term(5), last: entryId(5, 39) });
  const verdict = await roster.admit({ from: image, toNodeId: 'n1' });
  assert.ok(typeof verdict !== 'string');
  assert.match(
    verdict.sentence,
    /^Node n2 comes with term 5 and last entry 39 of term 5, but acknowledged entry 40 .*new id$/,
  );
  assert.equal(memory.peers.get(n(2))?.refusedBootId, image.bootIds[0]);
  assert.equal(memory.peers.get(n(2))?.bootCount, 1, 'it is not the latest start of the store');
  assert.deepEqual(memory.written, ['n2=store-n2/1']);
  // It has caught up through somebody else: what it forgot besides does not come back.
  assert.equal(await admit({ ...image, last: entryId(5, 50) }), 'refused: olderStore');
  assert.deepEqual(memory.written, ['n2=store-n2/1'], 'once');
});

test('a start that cannot be proven to follow the one that was seen is trusted, and said', async () => {
  const { admit, events } = rosterOf();
  assert.equal(await admit(identityOf('n2')), 'n2');
  assert.equal(await admit(identityOf('n2', { bootCount: 40 })), 'n2');
  assert.deepEqual(events, [
    {
      ...{ kind: 'unprovenStart', peer: 'n2', storeUuid: 'store-n2' },
      ...{ bootCount: 40, bootCountSeen: 1 },
    },
  ]);
});

test('a stranger must not come with an earlier start either, as long as it is there', async () => {
  const { memory, admit } = rosterOf();
  const stranger = { membershipIndex: 9, bootCount: 4 };
  assert.equal(await admit(identityOf('n7', stranger)), 'n7');
  assert.equal(await admit(identityOf('n7', { ...stranger, bootCount: 3 })), 'refused: olderStore');
  assert.equal(await admit(identityOf('n7', { ...stranger, bootCount: 5 })), 'n7');
  assert.deepEqual(memory.written, []);
});

test('a founder that was founded otherwise is told so, however far the group has come', async () => {
  const { admit } = rosterOf({ index: 20 });
  const other = identityOf('n2', { voters: ['n1', 'n2'] });
  assert.equal(await admit(other), 'refused: otherConstants');
});
