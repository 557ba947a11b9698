import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { viewOf } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { CorruptionError } from '../base/errors.ts';
import { LogIndex, NodeId, PhysicalOffset, QueueOffset } from '../base/units.ts';
import type { AdminDeed } from './admin-command.ts';
import {
  COMMAND_HEADER_SIZE_BYTES,
  type Command,
  decodeCommandRecord,
  encodeCommandRecord,
} from './command-record.ts';

/** As decoders make them. */
const PLAIN = { noNullPrototype: true } as const;
const aName = fc.string({ unit: 'grapheme', maxLength: 20 });
const anOffset = fc.oneof(fc.maxSafeNat(), fc.constant(0)).map(QueueOffset);
const aTimeMs = fc.oneof(fc.maxSafeNat(), fc.constant(0));
const aU32 = fc.nat(2 ** 31 - 1);

const aCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('topicPut' as const),
      topic: aName,
      queueCount: aU32,
      permission: aU32,
      messageTypes: fc.array(aU32, { maxLength: 4 }),
      atMs: aTimeMs,
    },
    PLAIN,
  ),
  fc.record({ kind: fc.constant('topicDelete' as const), topic: aName }, PLAIN),
  fc.record(
    {
      kind: fc.constant('groupPut' as const),
      group: aName,
      maxAttempts: aU32,
      fifo: fc.boolean(),
      atMs: aTimeMs,
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant('deliver' as const),
      group: aName,
      topic: aName,
      clientId: aName,
      autoRenew: fc.boolean(),
      attemptId: aName,
      atMs: aTimeMs,
      invisibleUntilMs: aTimeMs,
      queues: fc.array(
        fc.record(
          {
            queueId: aU32,
            nextOffset: anOffset,
            deliveries: fc.array(
              fc.record({ queueOffset: anOffset, attempt: aU32, deliveryId: aName }, PLAIN),
              { maxLength: 3 },
            ),
          },
          PLAIN,
        ),
        { maxLength: 3 },
      ),
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant('acknowledge' as const),
      group: aName,
      topic: aName,
      deliveries: fc.array(
        fc.record({ queueId: aU32, queueOffset: anOffset, deliveryId: aName }, PLAIN),
        {
          maxLength: 3,
        },
      ),
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant('changeInvisible' as const),
      group: aName,
      topic: aName,
      queueId: aU32,
      queueOffset: anOffset,
      deliveryId: aName,
      invisibleUntilMs: aTimeMs,
      newDeliveryId: fc.option(aName.filter((name) => name !== '')),
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant('offsetSave' as const),
      group: aName,
      topic: aName,
      queueId: aU32,
      queueOffset: anOffset,
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant('advanceLogStart' as const),
      physicalOffset: fc.maxSafeNat().map(PhysicalOffset),
      firstIndex: fc.maxSafeNat().map(LogIndex),
      reason: aName,
      storeTimestampMs: aTimeMs,
      atMs: aTimeMs,
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant('topicRetentionPut' as const),
      topic: aName,
      minRetentionMs: aTimeMs,
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant('admin' as const),
      line: fc.record(
        {
          ...{ atMs: aTimeMs, actor: aName, action: aName, phase: aName, planHash: aName },
          ...{ configIndex: aTimeMs.map(LogIndex), details: aName },
        },
        PLAIN,
      ),
      deed: aDeed(),
    },
    PLAIN,
  ),
  fc.record({ kind: fc.constant('checkpoint' as const), atMs: aTimeMs }, PLAIN),
  fc.record(
    {
      kind: fc.constant('checkpointClaim' as const),
      index: fc.maxSafeNat().map(LogIndex),
      headerCrc: fc.nat(2 ** 32 - 1),
      stateDigest: aDigest(8),
      firstIndex: fc.maxSafeNat().map(LogIndex),
      rangeDigest: aDigest(32),
    },
    PLAIN,
  ),
);

function aDeed(): fc.Arbitrary<AdminDeed> {
  const of = <const K extends string>(kind: K) => fc.constant(kind);
  const nodeId = fc.constantFrom('n1', 'N_2').map(NodeId);
  const tokenHash = fc.uint8Array({ maxLength: 32 });
  return fc.oneof(
    fc.record({ kind: of('note') }, PLAIN),
    fc.record({ kind: of('takeLock'), operationId: aName, steal: fc.boolean() }, PLAIN),
    fc.record({ kind: of('releaseLock'), operationId: aName }, PLAIN),
    fc.record({ kind: fc.constantFrom('drain', 'undrain'), nodeId }, PLAIN),
    fc.record({ kind: of('issueToken'), nodeId, tokenHash, expiresAtMs: aTimeMs }, PLAIN),
    fc.record({ kind: of('useToken'), nodeId, tokenHash, storeUuid: aName }, PLAIN),
    fc.record({ kind: of('retire'), nodeId, storeUuid: aName, raftAddress: aName }, PLAIN),
    fc.record({ kind: of('setFeatureLevel'), level: fc.nat(99) }, PLAIN),
  );
}

function aDigest(sizeBytes: number): fc.Arbitrary<string> {
  return fc
    .uint8Array({ minLength: sizeBytes, maxLength: sizeBytes })
    .map((bytes) => Buffer.from(bytes).toString('hex'));
}

test('decode() gives back every command', () => {
  fc.assert(
    fc.property(aCommand, (command) => {
      assert.deepEqual(decodeCommandRecord(encodeCommandRecord(command)), command);
    }),
  );
});

test('a command has exactly the bytes of the table', () => {
  const bytes = encodeCommandRecord({ kind: 'topicDelete', topic: 'pay' });
  const body = '1205' + '0a03706179'; // field 2, 5 bytes; topic, field 1, 3 bytes
  const crc = crc32(Buffer.from(body, 'hex')).toString(16).padStart(8, '0');
  const golden = `4d514331${'00000017'}${crc}${'00000001'}${body}`;
  assert.equal(Buffer.from(bytes).toString('hex'), golden);
});

test('a changed byte anywhere is corruption', () => {
  fc.assert(
    fc.property(aCommand, fc.nat(), fc.integer({ min: 1, max: 255 }), (command, pick, flip) => {
      const bytes = encodeCommandRecord(command);
      bytes[pick % bytes.length]! ^= flip;
      assert.throws(() => decodeCommandRecord(bytes), CorruptionError);
    }),
  );
});

test('a command of a later program is refused', () => {
  const unknownField = Buffer.from('fa0100', 'hex'); // field 31, empty
  const bytes = Buffer.concat([
    encodeCommandRecord({ kind: 'topicDelete', topic: '' }).subarray(0, COMMAND_HEADER_SIZE_BYTES),
    unknownField,
  ]);
  viewOf(bytes).setUint32(4, bytes.length);
  viewOf(bytes).setUint32(8, crc32(unknownField));
  assert.throws(() => decodeCommandRecord(bytes), /a kind this program does not know/);

  viewOf(bytes).setUint32(12, 2);
  assert.throws(() => decodeCommandRecord(bytes), /a version this program cannot read/);
});

test('numbers beyond 2^53 are refused', () => {
  // topic_put { at_ms: 2^63 - 1 }
  const body = Buffer.from('0a0a28ffffffffffffffff7f', 'hex');
  const header = encodeCommandRecord({ kind: 'topicDelete', topic: '' });
  const bytes = Buffer.concat([header.subarray(0, COMMAND_HEADER_SIZE_BYTES), body]);
  viewOf(bytes).setUint32(4, bytes.length);
  viewOf(bytes).setUint32(8, crc32(body));
  assert.throws(() => decodeCommandRecord(bytes), /a number out of range/);
});
