/** Round trips, and bytes of whoever comes along. */
import { deepEqual, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { foundingMembership } from '../raft/membership.ts';
import { backupMethods, decodeBackupChunk, encodeBackupChunk } from './backup-codec.ts';
import { CodecError } from './schema.ts';

const RUNS = 200;
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true });
const aCount = fc.nat(Number.MAX_SAFE_INTEGER);
const aName = fc.string({ maxLength: 20 });
const aSnapshot = record({
  index: aCount,
  term: aCount,
  start: aCount,
  offset: aCount,
  chunks: fc.integer({ min: 2, max: 2 ** 31 }),
}).map(({ index, term, start, offset, chunks }) => ({
  appliedIndex: LogIndex(index),
  appliedTerm: Term(term),
  logStart: { index: LogIndex(start), offset: PhysicalOffset(offset) },
  sha256: 'ab'.repeat(32),
  chunkCount: chunks,
}));
const membership = foundingMembership([{ nodeId: NodeId('n1'), raftAddress: 'n1:1' }]);
const aLogged = aCount.map((index) => ({ index: LogIndex(index), membership }));
const aBase = fc.oneof(
  fc.constant({ desc: null, headerCrc: 0 }),
  record({ index: fc.integer({ min: 1, max: 2 ** 40 }), headerCrc: fc.nat(2 ** 32 - 1) }).map(
    ({ index, headerCrc }) => ({
      desc: {
        last: { index: LogIndex(index), term: Term(3) },
        endOffset: PhysicalOffset(4096),
        membership: { index: LogIndex(1), membership },
      },
      headerCrc,
    }),
  ),
);
const { mark, begin, snapshot, entries } = backupMethods();

test('law: every message comes back as it was', () => {
  fc.assert(
    fc.property(
      record({
        clusterId: aName,
        groupId: aName,
        nodeId: aName,
        committedIndex: fc.option(aCount.map(LogIndex)),
      }),
      (value) => {
        deepEqual(mark.responseDeserialize(mark.responseSerialize(value)), value);
      },
    ),
  );
  fc.assert(
    fc.property(
      record({ holder: aName, firstIndex: aCount, snapshot: fc.option(aSnapshot) }),
      (value) => {
        deepEqual(begin.requestDeserialize(begin.requestSerialize(value)), value);
      },
    ),
  );
  const anOffer = record({
    clusterId: aName,
    groupId: aName,
    nodeId: aName,
    segmentSizeBytes: aCount,
    version: aName,
    base: aBase,
    snapshot: aSnapshot,
    committedIndex: aCount.map(LogIndex),
    foundation: aLogged,
  });
  fc.assert(
    fc.property(anOffer, (value) => {
      deepEqual(begin.responseDeserialize(begin.responseSerialize(value)), value);
    }),
  );
  fc.assert(
    fc.property(
      record({
        holder: aName,
        snapshot: aSnapshot,
        number: fc.nat(2 ** 31),
        bytesPerSecond: aCount,
      }),
      (value) => {
        deepEqual(snapshot.requestDeserialize(snapshot.requestSerialize(value)), value);
      },
    ),
  );
  const aPull = record({
    holder: aName,
    first: fc.integer({ min: 1, max: 2 ** 50 }),
    more: fc.nat(2 ** 50),
    prevHeaderCrc: fc.nat(2 ** 32 - 1),
    bytesPerSecond: aCount,
  }).map(({ first, more, ...rest }) => ({ ...rest, firstIndex: first, lastIndex: first + more }));
  fc.assert(
    fc.property(aPull, (value) => {
      deepEqual(entries.requestDeserialize(entries.requestSerialize(value)), value);
    }),
  );
});

test('law: a chunk in which one bit was flipped is no chunk, or the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), (bytes, place) => {
      const message = Uint8Array.from(encodeBackupChunk(bytes));
      const bit = place % (message.length * 8);
      message[bit >> 3] = message[bit >> 3]! ^ (1 << (bit & 7));
      try {
        deepEqual(Uint8Array.from(decodeBackupChunk(message)), bytes);
      } catch (error) {
        ok(error instanceof CodecError, String(error));
      }
    }),
    { numRuns: RUNS },
  );
  throws(() => decodeBackupChunk(new Uint8Array(0)), CodecError);
});

test('law: arbitrary bytes are a message or a CodecError', () => {
  const decoders = [
    mark.responseDeserialize,
    begin.requestDeserialize,
    begin.responseDeserialize,
    snapshot.requestDeserialize,
    entries.requestDeserialize,
    entries.responseDeserialize,
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      for (const decode of decoders) {
        try {
          decode(Buffer.from(bytes));
        } catch (error) {
          ok(error instanceof CodecError, String(error));
        }
      }
    }),
    { numRuns: RUNS },
  );
});
