import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import { foundingMembership } from '../raft/membership.ts';
import { CodecError } from './schema.ts';
import {
  decodeSnapshotAsk,
  decodeSnapshotChunk,
  decodeSnapshotOffer,
  decodeSnapshotRead,
  encodeSnapshotAsk,
  encodeSnapshotChunk,
  encodeSnapshotOffer,
  encodeSnapshotRead,
} from './snapshot-codec.ts';

const big = fc.maxSafeNat();
const word = fc.string({ maxLength: 20 });
const caller = fc.record(
  {
    ...{ clusterId: word, groupId: word, nodeId: word, storeUuid: word, bootId: word },
    ...{ segmentSizeBytes: big, toNodeId: word },
  },
  { noNullPrototype: true },
);
const snapshot = fc.record(
  {
    appliedIndex: big.map(LogIndex),
    appliedTerm: big.map(Term),
    logStart: fc.record(
      { index: big.map(LogIndex), offset: big.map(PhysicalOffset) },
      { noNullPrototype: true },
    ),
    sha256: fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((b) => Buffer.from(b).toString('hex')),
    chunkCount: fc.integer({ min: 2, max: 2 ** 32 - 1 }),
  },
  { noNullPrototype: true },
);
const { membership } = {
  membership: foundingMembership([{ nodeId: NodeId('n1'), raftAddress: 'a:1' }]),
};
const base = fc.option(
  fc.record(
    { last: fc.integer({ min: 5, max: 100 }), end: big, crc: fc.nat({ max: 2 ** 32 - 1 }) },
    { noNullPrototype: true },
  ),
  { nil: null },
);

test('what is said about snapshots comes back as it was', () => {
  fc.assert(
    fc.property(caller, snapshot, base, big, (from, file, stood, term) => {
      const offer = {
        ...{ caller: from, snapshot: file, term: Term(term) },
        base:
          stood === null
            ? { desc: null, headerCrc: 0 }
            : {
                desc: {
                  last: { index: LogIndex(stood.last), term: Term(2) },
                  endOffset: PhysicalOffset(stood.end),
                  membership: { index: LogIndex(5), membership },
                },
                headerCrc: stood.crc,
              },
      };
      const decoded = decodeSnapshotOffer(encodeSnapshotOffer(offer));
      deepEqual(JSON.parse(JSON.stringify(decoded)), JSON.parse(JSON.stringify(offer)));
      const read = { caller: from, snapshot: file, number: file.chunkCount - 1 };
      deepEqual(decodeSnapshotRead(encodeSnapshotRead(read)), read);
      deepEqual(decodeSnapshotAsk(encodeSnapshotAsk({ caller: from })), { caller: from });
    }),
  );
});

test('a chunk travels as it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (chunk) => {
      deepEqual(new Uint8Array(decodeSnapshotChunk(encodeSnapshotChunk(chunk))), chunk);
    }),
  );
});

test('whatever comes is a message or a CodecError', () => {
  const decoders = [
    decodeSnapshotOffer,
    decodeSnapshotRead,
    decodeSnapshotAsk,
    decodeSnapshotChunk,
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of decoders) {
        try {
          decode(bytes);
        } catch (error) {
          if (!(error instanceof CodecError)) throw error;
        }
      }
    }),
  );
  for (const decode of decoders) throws(() => decode(new Uint8Array(0)), CodecError);
});
