import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32 } from '../base/crc32.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { type EntryDesc, entrySizeBytes } from '../raft/entry.ts';
import {
  foundingMembership,
  MEMBER_COUNT_MAX,
  type Membership,
  NODE_IDS_REMOVED_MAX,
} from '../raft/membership.ts';
import { problemOf } from '../raft/membership-change.ts';
import { encodeEntry } from './entry-codec.ts';
import {
  decodeMembership,
  describeMembership,
  encodeMembership,
  MEMBERSHIP_SIZE_BYTES_MAX,
  membershipsIn,
} from './membership-codec.ts';
import { messageCodec } from './schema.ts';

const raw = messageCodec<object>('mqraft.MembershipRecord');
const n = (number: number) => NodeId(`n${number}`);

const founded = foundingMembership([
  { nodeId: n(1), raftAddress: 'a:1' },
  { nodeId: n(2), raftAddress: 'b:1' },
]);

const joint: Membership = {
  members: [
    { nodeId: n(1), storeUuid: 's-1', raftAddress: 'a:1', priority: 7 },
    { nodeId: n(2), storeUuid: null, raftAddress: 'b:1', priority: -3 },
    { nodeId: n(3), storeUuid: 's-3', raftAddress: 'c:1', priority: 2 ** 40 },
    { nodeId: n(4), storeUuid: null, raftAddress: 'd:1', priority: 0 },
  ],
  voters: [n(1), n(3)],
  outgoing: [n(1), n(2)],
  learners: [n(4)],
  removed: [n(9), n(7)],
};

/** Every id has one of the places a membership has for it. */
const memberships: fc.Arbitrary<Membership> = fc
  .array(
    fc.record({
      place: fc.constantFrom('voter', 'outgoing', 'both', 'learner', 'removed'),
      storeUuid: fc.boolean(),
      raftAddress: fc.string({ minLength: 1, maxLength: 20 }),
      priority: fc.maxSafeInteger(),
    }),
    { maxLength: 9 },
  )
  .map((nodes) => {
    const all = nodes.map((node, i) => ({ ...node, nodeId: n(i + 1) }));
    const at = (...places: string[]) =>
      all.filter(({ place }) => places.includes(place)).map(({ nodeId }) => nodeId);
    const voters = [NodeId('n0'), ...at('voter', 'both')];
    const described = all
      .filter(({ place }) => place !== 'removed')
      .map(({ nodeId, storeUuid, raftAddress, priority }) => ({
        ...{ nodeId, raftAddress, priority },
        storeUuid: storeUuid ? `store-${nodeId}` : null,
      }));
    const first = { nodeId: NodeId('n0'), storeUuid: null, raftAddress: 'x', priority: 0 };
    return {
      members: [first, ...described],
      voters,
      outgoing: at('outgoing', 'both'),
      learners: at('learner'),
      removed: at('removed'),
    };
  })
  .filter((membership) => problemOf(membership) === null);

test('a membership survives its encoding, and has the size and CRC that the core is told', () => {
  fc.assert(
    fc.property(memberships, (membership) => {
      const bytes = encodeMembership(membership);
      assert.deepEqual(decodeMembership(bytes), { kind: 'membership', membership });
      const described = { payloadSizeBytes: bytes.length, payloadCrc: crc32(bytes) };
      assert.deepEqual(describeMembership(membership), described);
    }),
    { numRuns: 200 },
  );
});

test('the bytes of format version 1 never change', () => {
  assert.equal(
    Buffer.from(encodeMembership(joint)).toString('hex'),
    '080112100a026e311203732d311a03613a31200e' +
      '120b0a026e321a03623a3120051' +
      '2150a026e331203732d331a03633a31208080808080' +
      '4012090a026e341a03643a31' +
      '1a026e311a026e3322026e3122026e322a026e3432026e3932026e37',
  );
});

test('no damage to a byte turns one membership into another unseen', () => {
  const bytes = encodeMembership(joint);
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const damaged = bytes.slice();
      damaged[at]! ^= mask;
      const decoded = decodeMembership(damaged);
      if (decoded.kind === 'problem') continue;
      // A letter of a name may change; the checksum of the entry guards those. But what is read is
      // always exactly what is written.
      assert.deepEqual(encodeMembership(decoded.membership), damaged);
    }
  }
});

test('noise and cut bytes are problems and do not throw', () => {
  const bytes = encodeMembership(joint);
  for (let end = 0; end < bytes.length; end++) {
    const decoded = decodeMembership(bytes.subarray(0, end));
    if (decoded.kind === 'membership') assert.notDeepEqual(decoded.membership, joint);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      assert.equal(decodeMembership(noise).kind, 'problem');
    }),
    { numRuns: 300 },
  );
});

const wire = (changed: object) =>
  raw.encode({
    formatVersion: 1,
    members: [{ nodeId: 'n1', raftAddress: 'a:1' }],
    voters: ['n1'],
    ...changed,
  });

const wrongs: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['another format version', wire({ formatVersion: 2 }), /format version is 2/],
  ['no format version', wire({ formatVersion: undefined }), /format version is 0/],
  ['no voter', wire({ voters: [], learners: ['n1'] }), /no voter/],
  ['a voter nobody described', wire({ voters: ['n1', 'n2'] }), /n2 of the voters/],
  ['a member twice', wire({ voters: ['n1', 'n1'] }), /twice/],
  ['a removed member', wire({ removed: ['n1'] }), /removed once/],
  ['a node id that is no word', wire({ voters: ['n 1'] }), /not a node id/],
  ['a removed node id that is no word', wire({ removed: [''] }), /not a node id/],
  [
    'an address that is too long',
    wire({ members: [{ nodeId: 'n1', raftAddress: 'x'.repeat(257) }] }),
    /257 characters/,
  ],
  [
    'a default that is spelled out',
    wire({ members: [{ nodeId: 'n1', raftAddress: 'a:1', priority: 0 }] }),
    /canonical/,
  ],
  ['an unknown field', new Uint8Array([...wire({}), 0x78, 0x01]), /canonical/],
  ['endless voters', wire({ voters: Array(33).fill('n1') }), /33 nodes/],
  ['endless removals', wire({ removed: Array(257).fill('n2') }), /257 nodes/],
  ['endless bytes', new Uint8Array(MEMBERSHIP_SIZE_BYTES_MAX + 1), /bytes/],
];

for (const [name, bytes, problem] of wrongs) {
  test(`a membership with ${name} is a problem`, () => {
    const decoded = decodeMembership(bytes);
    assert.equal(decoded.kind, 'problem');
    if (decoded.kind === 'problem') assert.match(decoded.problem, problem);
  });
}

test('the largest membership fits', () => {
  const idOf = (prefix: string, i: number) => NodeId(`${prefix}${i}`.padStart(64, prefix));
  const nodeIds = Array.from({ length: MEMBER_COUNT_MAX }, (_, i) => idOf('m', i)).sort();
  const largest: Membership = {
    members: nodeIds.map((nodeId, i) => ({
      nodeId,
      storeUuid: `${i}`.padStart(256, '\uffff'),
      raftAddress: '\uffff'.repeat(256),
      priority: Number.MAX_SAFE_INTEGER,
    })),
    voters: nodeIds,
    outgoing: nodeIds,
    learners: [],
    removed: Array.from({ length: NODE_IDS_REMOVED_MAX }, (_, i) => idOf('r', i)),
  };
  assert.deepEqual(decodeMembership(encodeMembership(largest)), {
    kind: 'membership',
    membership: largest,
  });
});

/** An entry of the given type; only what decoding looks at is real. */
function entryOf(index: number, type: EntryDesc['type'], payload: Uint8Array) {
  const desc: EntryDesc = {
    index: LogIndex(index),
    term: Term(1),
    type,
    physicalOffset: PhysicalOffset(4096),
    sizeBytes: entrySizeBytes(payload.length),
    payloadSizeBytes: payload.length,
    payloadCrc: crc32(payload),
  };
  const fields = { ...desc, leaderCommit: LogIndex(0), prevHeaderCrc: 0 };
  return { desc, bytes: encodeEntry(fields, payload) };
}

test('of entries the memberships are read with their indexes, the others are left alone', () => {
  const noise = new Uint8Array([1, 2, 3]);
  const entries = [
    entryOf(4, 'config', encodeMembership(founded)),
    entryOf(5, 'data', noise),
    entryOf(6, 'noop', new Uint8Array(0)),
    entryOf(7, 'config', encodeMembership(joint)),
  ];
  assert.deepEqual(membershipsIn(entries), {
    kind: 'memberships',
    memberships: [
      { index: 4, membership: founded },
      { index: 7, membership: joint },
    ],
  });
  const bad = membershipsIn([...entries, entryOf(8, 'config', noise)]);
  assert.equal(bad.kind, 'problem');
  if (bad.kind === 'problem') assert.match(bad.problem, /entry 8/);
});
