import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, Term } from '../base/units.ts';
import {
  decodeRepairFrame,
  decodeRepairRead,
  encodeRepairFrame,
  encodeRepairRead,
  splitEntries,
} from './repair-codec.ts';
import { CodecError } from './schema.ts';

const read = {
  clusterId: 'c',
  groupId: 'g',
  nodeId: 'n1',
  segmentSizeBytes: 8192,
  firstIndex: 3,
  lastIndex: 9,
  fromEnd: true,
  sizeBytesMax: 1024,
};

test('questions and frames come back as they went', () => {
  assert.deepEqual(decodeRepairRead(encodeRepairRead(read)), read);
  const head = {
    nodeId: 'n1',
    storeUuid: 'u',
    committed: { index: LogIndex(7), term: Term(2) },
    sizeBytes: 100,
    isUnderRepair: true,
    firstIndex: LogIndex(4),
  };
  for (const frame of [
    { kind: 'head', head } as const,
    { kind: 'entries', bytes: new Uint8Array([1, 2, 3]) } as const,
  ]) {
    assert.deepEqual(decodeRepairFrame(encodeRepairFrame(frame)), frame);
  }
});

test('a range that is none, and names that are too long, are refused', () => {
  for (const change of [{ firstIndex: 0 }, { lastIndex: 2 }, { clusterId: 'x'.repeat(300) }]) {
    assert.throws(() => decodeRepairRead(encodeRepairRead({ ...read, ...change })), CodecError);
  }
});

test('any bytes are a question, a frame, entries, or a problem', () => {
  const isExpected = (decode: () => unknown): void => {
    try {
      decode();
    } catch (error) {
      assert.ok(error instanceof CodecError, String(error));
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      isExpected(() => decodeRepairRead(bytes));
      isExpected(() => decodeRepairFrame(bytes));
      isExpected(() => splitEntries(bytes));
    }),
    { numRuns: 300 },
  );
});
