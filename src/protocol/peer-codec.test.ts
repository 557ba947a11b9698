import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32 } from '../base/crc32.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { type EntryDesc, entrySizeBytes } from '../raft/entry.ts';
import { foundingMembership, type LoggedMembership, type Membership } from '../raft/membership.ts';
import type { Message } from '../raft/messages.ts';
import { encodeEntry, headerCrcOf } from './entry-codec.ts';
import { encodeMembership } from './membership-codec.ts';
import { decodePeerFrame, encodePeerFrame, type PeerContent } from './peer-codec.ts';
import { messageCodec } from './schema.ts';

const entryId = { term: Term(3), index: LogIndex(41) };

const membership: Membership = {
  ...foundingMembership([
    { nodeId: NodeId('n1'), raftAddress: 'a:1' },
    { nodeId: NodeId('n2'), raftAddress: 'b:1' },
  ]),
  removed: [NodeId('n3')],
};

const messages: readonly Message[] = [
  { kind: 'preVoteRequest', term: Term(7), last: entryId },
  { kind: 'preVoteReply', term: Term(7), granted: true, last: entryId, hasTornTail: true },
  {
    kind: 'voteRequest',
    term: Term(2 ** 53 - 1),
    last: { term: Term(0), index: LogIndex(0) },
    isTransfer: true,
  },
  { kind: 'voteReply', term: Term(7), granted: false },
  {
    kind: 'appendRequest',
    term: Term(7),
    prev: entryId,
    entries: [],
    memberships: [],
    commitIndex: LogIndex(2 ** 40),
  },
  { kind: 'appendAccepted', term: Term(7), matchIndex: LogIndex(0) },
  { kind: 'appendRejected', term: Term(7), rejected: entryId, hint: entryId },
  { kind: 'heartbeat', term: Term(7), round: 2 ** 40, commitIndex: LogIndex(5) },
  {
    kind: 'heartbeatReply',
    term: Term(7),
    round: 12,
    lastIndex: LogIndex(9),
    durableIndex: LogIndex(8),
    isDiskStalled: true,
  },
  { kind: 'campaignNow', term: Term(7) },
  {
    kind: 'installSnapshot',
    term: Term(7),
    snapshot: {
      last: entryId,
      endOffset: PhysicalOffset(2 ** 40),
      membership: { index: LogIndex(12), membership },
    },
  },
];

const identity = {
  protocolVersion: 2,
  clusterId: 'c',
  groupId: 'g',
  nodeId: 'n1',
  storeUuid: '0f',
  bootCount: 3,
  bootIds: ['00000000000000a3', '00000000000000a2'],
  term: Term(9),
  last: { term: Term(8), index: LogIndex(77) },
  segmentSizeBytes: 2 ** 30,
  membershipIndex: 17,
  voters: ['n1', 'n2'],
  addresses: { raft: 'h:1', grpc: 'h:2', http: '' },
};

const handshakes: readonly PeerContent[] = [
  { kind: 'hello', hello: { from: identity, toNodeId: 'n2' } },
  { kind: 'welcome', from: identity },
  { kind: 'refused', code: 'otherStore', sentence: 'No' },
];

interface TestEntries {
  readonly descs: readonly EntryDesc[];
  readonly bytes: Uint8Array[];
}

/** Entries that follow `entryId`: data (or what `full` says), filler, noop. */
function makeEntries(
  payloads: readonly Uint8Array[],
  full: 'data' | 'config' = 'data',
): TestEntries {
  const descs: EntryDesc[] = [];
  const bytes: Uint8Array[] = [];
  let prevHeaderCrc = 77;
  let at = 4096;
  for (const [i, payload] of payloads.entries()) {
    const type = payload.length > 0 ? full : i % 2 === 0 ? 'filler' : 'noop';
    const sizeBytes = type === 'filler' ? 4096 : entrySizeBytes(payload.length);
    const desc: EntryDesc = {
      index: LogIndex(42 + i),
      term: Term(4),
      type,
      physicalOffset: PhysicalOffset(at),
      sizeBytes,
      payloadSizeBytes: payload.length,
      payloadCrc: crc32(payload),
    };
    const encoded = encodeEntry({ ...desc, leaderCommit: LogIndex(40), prevHeaderCrc }, payload);
    prevHeaderCrc = headerCrcOf(encoded);
    at += sizeBytes;
    descs.push(desc);
    bytes.push(encoded);
  }
  return { descs, bytes };
}

const append = (
  entries: readonly EntryDesc[],
  memberships: readonly LoggedMembership[] = [],
): PeerContent => ({
  kind: 'message',
  message: {
    kind: 'appendRequest',
    term: Term(4),
    prev: entryId,
    entries,
    memberships,
    commitIndex: LogIndex(41),
  },
});

for (const message of messages) {
  test(`a ${message.kind} survives the wire`, () => {
    const content: PeerContent = { kind: 'message', message };
    const decoded = decodePeerFrame(encodePeerFrame(5, content, []), 5);
    assert.deepEqual(decoded, { kind: 'frame', content, entries: [] });
  });
}

for (const content of handshakes) {
  test(`a ${content.kind} survives the wire`, () => {
    const decoded = decodePeerFrame(encodePeerFrame(0, content, []), 0);
    assert.deepEqual(decoded, { kind: 'frame', content, entries: [] });
  });
}

test('entries arrive as the bytes that were sent, with descriptors read from them', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 }), (payloads) => {
      const { descs, bytes } = makeEntries(payloads);
      const frame = encodePeerFrame(1, append(descs), bytes);
      const decoded = decodePeerFrame(frame, 1);
      frame.fill(0); // the socket reuses its buffer
      assert.equal(decoded.kind, 'frame');
      if (decoded.kind !== 'frame') return;
      assert.deepEqual(decoded.content, append(descs));
      assert.deepEqual(
        decoded.entries.map((entry) => Buffer.from(entry.bytes)),
        bytes.map((entry) => Buffer.from(entry)),
      );
    }),
    { numRuns: 50 },
  );
});

test('memberships are read from the config entries, not sent beside them', () => {
  const payloads = [encodeMembership(membership), new Uint8Array(0)];
  const { descs, bytes } = makeEntries(payloads, 'config');
  const sent = encodePeerFrame(1, append(descs, []), bytes);
  const decoded = decodePeerFrame(sent, 1);
  assert.ok(decoded.kind === 'frame');
  assert.deepEqual(decoded.content, append(descs, [{ index: descs[0]!.index, membership }]));
});

test('no damage to a byte of a frame changes what arrives, and none throws', () => {
  const { descs, bytes } = makeEntries([new Uint8Array([1, 2, 3]), new Uint8Array(0)]);
  const frame = encodePeerFrame(1, append(descs), bytes);
  const whole = decodePeerFrame(frame, 1);
  let refused = 0;
  for (let at = 0; at < frame.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const damaged = frame.slice();
      damaged[at]! ^= mask;
      const decoded = decodePeerFrame(damaged, 1);
      // protobuf readers ignore the wire type of known fields: such damage has no effect.
      if (decoded.kind === 'frame') assert.deepEqual(decoded, whole, `byte ${at} mask ${mask}`);
      else refused++;
    }
  }
  assert.ok(refused > frame.length * 2.9);
});

test('no cut frame gets through, and random bytes do not throw', () => {
  const { descs, bytes } = makeEntries([new Uint8Array([1, 2, 3])]);
  const frame = encodePeerFrame(1, append(descs), bytes);
  for (let end = 0; end < frame.length; end++) {
    assert.equal(decodePeerFrame(frame.subarray(0, end), 1).kind, 'problem', `cut at ${end}`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      assert.equal(decodePeerFrame(noise, 1).kind, 'problem');
    }),
    { numRuns: 200 },
  );
});

test('whatever a sender puts into a frame with the right checksums, nothing throws', () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.uint8Array({ maxLength: 100 }).map((noise) => snapshotBody({ membership: noise })),
    fc
      .record({
        last: fc.anything(),
        membershipIndex: fc.integer(),
        endOffset: fc.maxSafeInteger(),
      })
      .map(({ last, ...more }) =>
        snapshotBody({ ...more, last: typeof last === 'object' ? last : null }),
      ),
  );
  fc.assert(
    fc.property(body, fc.uint8Array({ minLength: 1, maxLength: 60 }), (bytes, payload) => {
      assert.ok(decodePeerFrame(encodeRaw(bytes), 1).kind);
      const { descs, bytes: entries } = makeEntries([payload], 'config');
      assert.equal(decodePeerFrame(encodePeerFrame(1, append(descs), entries), 1).kind, 'problem');
    }),
    { numRuns: 300 },
  );
});

test('a frame out of sequence is a problem', () => {
  const frame = encodePeerFrame(4, handshakes[2]!, []);
  assert.equal(decodePeerFrame(frame, 5).kind, 'problem');
  assert.equal(decodePeerFrame(frame, 3).kind, 'problem');
  assert.equal(decodePeerFrame(frame, 4).kind, 'frame');
});

/** Frames with a right CRC whose content is wrong all the same. */
const lies: readonly (readonly [string, () => Uint8Array])[] = [
  [
    'entries that do not follow prev',
    () => {
      const { descs, bytes } = makeEntries([new Uint8Array([1]), new Uint8Array([2])]);
      return encodePeerFrame(1, append(descs), bytes.slice(1));
    },
  ],
  [
    'entries whose chain is broken',
    () => {
      const first = makeEntries([new Uint8Array([1]), new Uint8Array([2])]);
      const other = makeEntries([new Uint8Array([9]), new Uint8Array([2])]);
      return encodePeerFrame(1, append(first.descs), [first.bytes[0]!, other.bytes[1]!]);
    },
  ],
  [
    'an entry whose payload rotted before it was sent',
    () => {
      const { descs, bytes } = makeEntries([new Uint8Array([1, 2, 3])]);
      bytes[0]![65]! ^= 1;
      return encodePeerFrame(1, append(descs), bytes);
    },
  ],
  [
    'an entry of a later term than the message',
    () => {
      const { bytes } = makeEntries([new Uint8Array([1])]);
      const content = append([]);
      assert.ok(content.kind === 'message');
      const message = { ...content.message, term: Term(3) } as Message;
      return encodePeerFrame(1, { kind: 'message', message }, bytes);
    },
  ],
  [
    'entries on a message that has none',
    () => {
      const { bytes } = makeEntries([new Uint8Array([1])]);
      return encodePeerFrame(1, { kind: 'message', message: messages[7]! }, bytes);
    },
  ],
  [
    'a config entry that is no membership',
    () => {
      const { descs, bytes } = makeEntries([new Uint8Array([1, 2, 3])], 'config');
      return encodePeerFrame(1, append(descs), bytes);
    },
  ],
  [
    'a config entry without a voter',
    () => {
      const nobody = messageCodec<object>('mqraft.MembershipRecord').encode({ formatVersion: 1 });
      const { descs, bytes } = makeEntries([nobody], 'config');
      return encodePeerFrame(1, append(descs), bytes);
    },
  ],
  ['a snapshot without a membership', () => encodeRaw(snapshotBody({ membership: undefined }))],
  [
    'a snapshot whose membership does not decode',
    () => encodeRaw(snapshotBody({ membership: new Uint8Array([8, 1]) })),
  ],
  [
    'a snapshot whose membership comes after its end',
    () => encodeRaw(snapshotBody({ membershipIndex: 42 })),
  ],
  ['a snapshot without an end', () => encodeRaw(snapshotBody({ last: undefined }))],
  ['no content', () => encodeRaw(new Uint8Array(0))],
  [
    'a term beyond 2^53',
    () => {
      // field 17 (heartbeat), length 11: term = 2^63
      const varint = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
      return encodeRaw(new Uint8Array([0x8a, 0x01, 0x0b, 0x08, ...varint]));
    },
  ],
];

function snapshotBody(changed: object): Uint8Array {
  const whole = { last: entryId, membershipIndex: 41, membership: encodeMembership(membership) };
  const snapshot = { endOffset: 4096, ...whole, ...changed };
  const body = { installSnapshot: { term: 7, snapshot } };
  return messageCodec<object>('mqraft.PeerBody').encode(body);
}

test('an identity of another version is understood without what ours has, so that it is refused in words', () => {
  const from = { ...identity, protocolVersion: 1, bootIds: [] };
  const frame = decodePeerFrame(encodePeerFrame(1, { kind: 'welcome', from }, []), 1);
  assert.deepEqual(frame.kind === 'frame' && frame.content, { kind: 'welcome', from });
});

test('the snapshot that the ones below spoil is a good one', () => {
  assert.equal(decodePeerFrame(encodeRaw(snapshotBody({})), 1).kind, 'frame');
});

function encodeRaw(body: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  head[7] = 1;
  const frame = { sequence: 1, crc: crc32(body, crc32(head)), body, entries: new Uint8Array(0) };
  return messageCodec<typeof frame>('mqraft.PeerFrame').encode(frame);
}

const long = 'x'.repeat(257);
const foreign: readonly (readonly [string, PeerContent])[] = [
  ['a node id that is no plain word', { kind: 'welcome', from: { ...identity, nodeId: 'n 1' } }],
  ['no node id', { kind: 'welcome', from: { ...identity, nodeId: '' } }],
  ['an endless node id', { kind: 'welcome', from: { ...identity, nodeId: long } }],
  ['an endless store', { kind: 'welcome', from: { ...identity, storeUuid: 'x'.repeat(37) } }],
  ['no start', { kind: 'welcome', from: { ...identity, bootIds: [] } }],
  ['more starts than it had', { kind: 'welcome', from: { ...identity, bootCount: 1 } }],
  ['a start that is no id', { kind: 'welcome', from: { ...identity, bootIds: ['0'.repeat(15)] } }],
  ['a log of a later term', { kind: 'welcome', from: { ...identity, term: Term(7) } }],
  ['an endless voter', { kind: 'welcome', from: { ...identity, voters: [long] } }],
  ['endless voters', { kind: 'welcome', from: { ...identity, voters: Array(65).fill('n') } }],
  ['an endless address', { kind: 'hello', hello: { from: withAddress(long), toNodeId: 'n2' } }],
  ['an endless callee', { kind: 'hello', hello: { from: identity, toNodeId: long } }],
];
for (const [name, content] of foreign) {
  test(`an identity with ${name} is refused: it would be repeated in logs and answers`, () => {
    assert.equal(decodePeerFrame(encodePeerFrame(1, content, []), 1).kind, 'problem');
  });
}

function withAddress(grpc: string): typeof identity {
  return { ...identity, addresses: { ...identity.addresses, grpc } };
}

for (const [name, makeFrame] of lies) {
  test(`a frame with ${name} is refused`, () => {
    assert.equal(decodePeerFrame(makeFrame(), 1).kind, 'problem');
  });
}
