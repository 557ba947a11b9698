import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32 } from '../base/crc32.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { type EntryDesc, entrySizeBytes } from '../raft/entry.ts';
import type { Message } from '../raft/messages.ts';
import { encodeEntry, headerCrcOf } from './entry-codec.ts';
import { decodePeerFrame, encodePeerFrame, type PeerContent } from './peer-codec.ts';
import { messageCodec } from './schema.ts';

const entryId = { term: Term(3), index: LogIndex(41) };

const messages: readonly Message[] = [
  { kind: 'preVoteRequest', term: Term(7), last: entryId },
  { kind: 'preVoteReply', term: Term(7), granted: true },
  { kind: 'voteRequest', term: Term(2 ** 53 - 1), last: { term: Term(0), index: LogIndex(0) } },
  { kind: 'voteReply', term: Term(7), granted: false },
  {
    kind: 'appendRequest',
    term: Term(7),
    prev: entryId,
    entries: [],
    commitIndex: LogIndex(2 ** 40),
  },
  { kind: 'appendAccepted', term: Term(7), matchIndex: LogIndex(0) },
  { kind: 'appendRejected', term: Term(7), rejected: entryId, hint: entryId },
  { kind: 'heartbeat', term: Term(7), commitIndex: LogIndex(5) },
  { kind: 'heartbeatReply', term: Term(7), lastIndex: LogIndex(9), durableIndex: LogIndex(8) },
];

const identity = {
  protocolVersion: 1,
  clusterId: 'c',
  groupId: 'g',
  nodeId: 'n1',
  storeUuid: '0f',
  bootCount: 3,
  segmentSizeBytes: 2 ** 30,
  voters: ['n1', 'n2'],
  addresses: { raft: 'h:1', grpc: 'h:2', http: '' },
};

const handshakes: readonly PeerContent[] = [
  { kind: 'hello', hello: { from: identity, toNodeId: 'n2' } },
  { kind: 'welcome', from: identity },
  { kind: 'refused', code: 'otherStore', sentence: 'No' },
];

/** Entries that follow `entryId`: data, filler, noop. */
function makeEntries(payloads: readonly Uint8Array[]): { descs: EntryDesc[]; bytes: Uint8Array[] } {
  const descs: EntryDesc[] = [];
  const bytes: Uint8Array[] = [];
  let prevHeaderCrc = 77;
  let at = 4096;
  for (const [i, payload] of payloads.entries()) {
    const type = payload.length > 0 ? 'data' : i % 2 === 0 ? 'filler' : 'noop';
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

const append = (entries: readonly EntryDesc[]): PeerContent => ({
  kind: 'message',
  message: {
    kind: 'appendRequest',
    term: Term(4),
    prev: entryId,
    entries,
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

function encodeRaw(body: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  head[7] = 1;
  const frame = { sequence: 1, crc: crc32(body, crc32(head)), body, entries: new Uint8Array(0) };
  return messageCodec<typeof frame>('mqraft.PeerFrame').encode(frame);
}

const long = 'x'.repeat(257);
const foreign: readonly (readonly [string, PeerContent])[] = [
  ['an endless node id', { kind: 'welcome', from: { ...identity, nodeId: long } }],
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
