import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32 } from '../base/crc32.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryType, entrySizeBytes } from '../raft/entry.ts';
import {
  chainCrcOf,
  decodeEntryHeader,
  ENTRY_HEADER_LAYOUT,
  type EntryFields,
  encodeEntry,
  headerCrcOf,
  verifyEntry,
} from './entry-codec.ts';

const aU64 = fc.nat({ max: Number.MAX_SAFE_INTEGER - 2 ** 33 });

const anEntry = fc
  .record({
    type: fc.constantFrom<EntryType>('data', 'noop', 'config', 'filler'),
    payload: fc.uint8Array({ maxLength: 70 }),
    index: aU64.map((n) => n + 1),
    term: aU64,
    physicalOffset: aU64,
    leaderCommit: aU64,
    prevHeaderCrc: fc.nat({ max: 2 ** 32 - 1 }),
    fillerUnits: fc.integer({ min: 8, max: 10_000 }),
  })
  .map((raw) => {
    const payload = raw.type === 'filler' ? new Uint8Array(0) : raw.payload;
    const fields: EntryFields = {
      index: LogIndex(raw.index),
      term: Term(raw.term),
      type: raw.type,
      physicalOffset: PhysicalOffset(raw.physicalOffset),
      sizeBytes: raw.type === 'filler' ? raw.fillerUnits * 8 : entrySizeBytes(payload.length),
      payloadSizeBytes: payload.length,
      payloadCrc: crc32(payload),
      leaderCommit: LogIndex(Math.min(raw.leaderCommit, raw.index - 1)),
      prevHeaderCrc: raw.prevHeaderCrc,
    };
    return { fields, payload };
  });

test('an entry comes back as it was encoded', () => {
  fc.assert(
    fc.property(anEntry, ({ fields, payload }) => {
      const bytes = encodeEntry(fields, payload);
      const result = verifyEntry(bytes);
      assert.equal(result.kind, 'entry');
      if (result.kind !== 'entry') return;
      const { leaderCommit, prevHeaderCrc, ...desc } = fields;
      assert.deepEqual(result.header.desc, desc);
      assert.equal(result.header.leaderCommit, leaderCommit);
      assert.equal(result.header.chainCrc, chainCrcOf(bytes, prevHeaderCrc));
      assert.equal(result.header.headerCrc, headerCrcOf(bytes));
      assert.deepEqual(
        bytes.subarray(ENTRY_HEADER_SIZE_BYTES, ENTRY_HEADER_SIZE_BYTES + payload.length),
        payload,
      );
    }),
    { numRuns: 200 },
  );
});

test('every flipped bit is found', () => {
  fc.assert(
    fc.property(anEntry, ({ fields, payload }) => {
      const bytes = encodeEntry(fields, payload);
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const damaged = bytes.slice();
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        assert.notEqual(verifyEntry(damaged).kind, 'entry', `bit ${bit}`);
      }
    }),
    { numRuns: 15 },
  );
});

test('any bytes are decoded to an entry or a problem, never to an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 220 }), (bytes, at) => {
      assert.notEqual(decodeEntryHeader(bytes, at).kind, 'header');
      assert.notEqual(verifyEntry(bytes).kind, 'entry');
    }),
  );
});

/** A header with one field changed and a right CRC, as a hostile peer would send it. */
function forged(name: string, value: readonly number[]): Uint8Array {
  const payload = new Uint8Array(16);
  const fields: EntryFields = {
    index: LogIndex(5),
    term: Term(2),
    type: 'data',
    physicalOffset: PhysicalOffset(4096),
    sizeBytes: entrySizeBytes(payload.length),
    payloadSizeBytes: payload.length,
    payloadCrc: crc32(payload),
    leaderCommit: LogIndex(4),
    prevHeaderCrc: 0,
  };
  const bytes = encodeEntry(fields, payload);
  const field = ENTRY_HEADER_LAYOUT.find((candidate) => candidate.name === name);
  assert.ok(field);
  bytes.set(value, field.at + field.sizeBytes - value.length);
  new DataView(bytes.buffer).setUint32(60, crc32(bytes.subarray(0, 60)));
  return bytes;
}

const forgeries = [
  { name: 'payloadSize', value: [0xff, 0xff, 0xff, 0xff], kind: 'badLength' },
  { name: 'totalSize', value: [0xff, 0xff, 0xff, 0xf8], kind: 'badLength' },
  { name: 'totalSize', value: [0, 0, 0, 0], kind: 'badLength' },
  { name: 'index', value: [0, 0, 0, 0, 0, 0, 0, 0], kind: 'badLength' },
  { name: 'index', value: [0xff, 0, 0, 0, 0, 0, 0, 0], kind: 'badLength' },
  { name: 'physicalOffset', value: [0, 0x1f, 255, 255, 255, 255, 255, 248], kind: 'badLength' },
  { name: 'leaderCommit', value: [5], kind: 'badLength' },
  { name: 'type', value: [0], kind: 'unknownType' },
  { name: 'type', value: [9], kind: 'unknownType' },
  { name: 'flags', value: [1], kind: 'unknownType' },
  { name: 'version', value: [2], kind: 'unknownType' },
  { name: 'reserved', value: [1], kind: 'unknownType' },
  { name: 'magic', value: [0x30], kind: 'badMagic' },
] as const;

for (const { name, value, kind } of forgeries) {
  test(`a header with ${name} = ${value.join(' ')} and a right CRC is refused as ${kind}`, () => {
    assert.equal(verifyEntry(forged(name, value)).kind, kind);
  });
}

test('an entry that is cut short or followed by more is no entry', () => {
  fc.assert(
    fc.property(anEntry, ({ fields, payload }) => {
      const bytes = encodeEntry(fields, payload);
      for (let size = 0; size < bytes.length; size++) {
        assert.equal(verifyEntry(bytes.subarray(0, size)).kind, 'tooShort');
      }
      assert.equal(verifyEntry(new Uint8Array([...bytes, 0])).kind, 'badLength');
    }),
    { numRuns: 30 },
  );
});

test('entries that differ in one bit of term, place or payload CRC have different header CRCs', () => {
  // The header CRC is what a successor chains to; a weak combination of the two CRCs shows here.
  const base: EntryFields = {
    index: LogIndex(77),
    term: Term(3),
    type: 'data',
    physicalOffset: PhysicalOffset(8192),
    sizeBytes: entrySizeBytes(0),
    payloadSizeBytes: 0,
    payloadCrc: 0,
    leaderCommit: LogIndex(0),
    prevHeaderCrc: 12345,
  };
  const seen = new Set<number>();
  let count = 0;
  for (let value = 0; value < 20_000; value++) {
    for (const fields of [
      { ...base, term: Term(4 + value) },
      { ...base, payloadCrc: 1 + Math.imul(value, 0x9e3779b1) },
    ]) {
      const bytes = encodeEntry(
        { ...fields, payloadCrc: fields.payloadCrc >>> 0 },
        new Uint8Array(0),
      );
      seen.add(headerCrcOf(bytes));
      count += 1;
    }
  }
  // With 32 good bits, 40,000 values collide less than once on average; with 16 bits nearly all do.
  assert.ok(count - seen.size < 20, `${count - seen.size} of ${count} collide`);
});
