import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { CorruptionError } from '../base/errors.ts';
import { PhysicalOffset, QueueOffset } from '../base/units.ts';
import { type Command, encodeCommandRecord } from './command-record.ts';
import { encodeMessageRecord } from './message-record.ts';
import { recordsOf } from './records.ts';

const COMMAND: Command = { kind: 'topicDelete', topic: 'pay' };
const FIRST = messageRecord(7, 'a');
const LAST = messageRecord(8, 'bc');

test('records follow each other without padding', () => {
  const command = encodeCommandRecord(COMMAND);
  const records = [...recordsOf(concatBytes([FIRST, command, LAST]))];
  assert.deepEqual(
    records.map(({ at, sizeBytes }) => [at, sizeBytes]),
    [
      [0, FIRST.length],
      [FIRST.length, command.length],
      [FIRST.length + command.length, LAST.length],
    ],
  );
  const [first, second, last] = records;
  assert.ok(first?.kind === 'message' && last?.kind === 'message' && second?.kind === 'command');
  assert.equal(first.message.queueOffset, 7);
  assert.equal(last.message.queueOffset, 8);
  assert.deepEqual(second.command, COMMAND);
  assert.deepEqual([...recordsOf(new Uint8Array(0))], []);
});

test('what is no record stops the reader at its place', () => {
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [Buffer.alloc(4), /4 bytes are no record/],
    [Buffer.alloc(64), /unknown kind, magic 0/],
    [Buffer.from('000000184d51433200000000000000000000000000000000', 'hex'), /unknown kind/],
    [LAST.subarray(0, LAST.length - 1), /impossible size/],
  ];
  for (const [bytes, message] of cases) {
    const records = recordsOf(concatBytes([FIRST, bytes]));
    assert.equal(records.next().value?.kind, 'message');
    assert.throws(
      () => records.next(),
      (error) => error instanceof CorruptionError && message.test(error.message),
    );
  }
});

function messageRecord(queueOffset: number, body: string): Uint8Array {
  return encodeMessageRecord({
    topic: 'pay',
    queueId: 0,
    queueOffset: QueueOffset(queueOffset),
    physicalOffset: PhysicalOffset(0),
    flag: 0,
    sysFlag: 0,
    bornTimestampMs: 1,
    bornHost: '10.0.0.1:1',
    storeTimestampMs: 2,
    storeHost: '10.0.0.2:2',
    reconsumeTimes: 0,
    body: Buffer.from(body),
    properties: new Map(),
  });
}
