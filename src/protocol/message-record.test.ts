import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { viewOf } from '../base/bytes.ts';
import { CorruptionError } from '../base/errors.ts';
import { PhysicalOffset, QueueOffset } from '../base/units.ts';
import { tagsCodeOf } from './java-hash.ts';
import { messageIndexFieldsAt } from './message-index-fields.ts';
import { isPropertyText } from './message-properties.ts';
import {
  BODY_CRC_AT,
  BORN_HOST_AT,
  BORN_TIMESTAMP_AT,
  decodeMessageRecord,
  encodeMessageRecord,
  FLAG_AT,
  isBodyCompressed,
  keysOf,
  MAGIC_AT,
  MESSAGE_OVERHEAD_BYTES,
  messageIdOf,
  PHYSICAL_OFFSET_AT,
  patchPhysicalOffset,
  QUEUE_ID_AT,
  QUEUE_OFFSET_AT,
  type StoredMessage,
  SYS_FLAG,
  SYS_FLAG_AT,
  TOTAL_SIZE_AT,
  tagOf,
} from './message-record.ts';

const MESSAGE: StoredMessage = {
  topic: 'pay',
  queueId: 3,
  queueOffset: QueueOffset(0x1_0000_0002),
  physicalOffset: PhysicalOffset(0),
  flag: -2,
  sysFlag: SYS_FLAG.bodyCompressed,
  bornTimestampMs: 0x18f_0000_0001,
  bornHost: '10.1.2.3:4096',
  storeTimestampMs: 0x18f_0000_0009,
  storeHost: '127.0.0.1:10911',
  reconsumeTimes: 1,
  body: Buffer.from('hello'),
  properties: new Map([
    ['UNIQ_KEY', 'A1'],
    ['TAGS', 't'],
  ]),
};

/** Written by hand from the table in docs/format/records.md. */
const GOLDEN = [
  '00000076', // total size: 91 + 5 + 3 + 19
  'daa320a7', // magic v1
  '3610a686', // CRC-32 of "hello", below 2^31
  '00000003', // queue id
  'fffffffe', // flag
  '0000000100000002', // queue offset
  '0000000000000000', // physical offset, not placed yet
  '00000001', // system flag
  '0000018f00000001', // born timestamp
  '0a01020300001000', // born host
  '0000018f00000009', // store timestamp
  '7f00000100002a9f', // store host
  '00000001', // reconsume times
  '0000000000000000', // prepared transaction offset
  '0000000568656c6c6f', // body
  '03706179', // topic
  '0013', // properties
  '554e49515f4b455901413102', // UNIQ_KEY 01 A1 02
  '54414753017402', // TAGS 01 t 02
].join('');

test('a record has exactly the bytes of the table', () => {
  assert.equal(Buffer.from(encodeMessageRecord(MESSAGE)).toString('hex'), GOLDEN);
  assert.deepEqual(decodeMessageRecord(Buffer.from(GOLDEN, 'hex')), MESSAGE);
});

test('the documented table has no gaps and agrees with the constants', () => {
  const table = readFileSync('docs/format/records.md', 'utf8')
    .split('## Command record')[0]!
    .matchAll(/^\| (\d+) \| (\d+) \| ([a-zA-Z ]+) \|/gm);
  const rows = [...table].map(([, at, size, name]) => ({ at: +at!, size: +size!, name: name! }));
  let next = 0;
  for (const { at, size, name } of rows) {
    assert.equal(at, next, name);
    next = at + size;
  }
  const fixed = {
    'total size': TOTAL_SIZE_AT,
    magic: MAGIC_AT,
    'body CRC': BODY_CRC_AT,
    'queue id': QUEUE_ID_AT,
    flag: FLAG_AT,
    'queue offset': QUEUE_OFFSET_AT,
    'physical offset': PHYSICAL_OFFSET_AT,
    'system flag': SYS_FLAG_AT,
    'born timestamp': BORN_TIMESTAMP_AT,
    'born host': BORN_HOST_AT,
  };
  for (const [name, at] of Object.entries(fixed)) {
    assert.equal(rows.find((row) => row.name === name)?.at, at, name);
  }
  // After the last fixed field: one byte of topic length, two of properties length.
  assert.equal(next + 1 + 2, MESSAGE_OVERHEAD_BYTES);
  assert.equal(PHYSICAL_OFFSET_AT, 28);
});

const aText = fc.string({ unit: 'grapheme', maxLength: 40 }).filter(isPropertyText);
/** As decoders make them. */
const PLAIN = { noNullPrototype: true } as const;
const aPort = fc.nat(65_535);
const aHost = fc.oneof(
  fc.tuple(fc.ipV4(), aPort).map(([ip, port]) => `${ip}:${port}`),
  fc.constantFrom('[2001:db8::1:0:0:1]:8081', '[::1]:1', '[fe80::]:0', '[1:2:3:4:5:6:7:8]:65535'),
);
const aMessage: fc.Arbitrary<StoredMessage> = fc.record(
  {
    topic: fc.oneof(aText, fc.string({ minLength: 127, maxLength: 140 })).map((text) => `t${text}`),
    queueId: fc.nat(1000),
    queueOffset: fc.maxSafeNat().map(QueueOffset),
    physicalOffset: fc.maxSafeNat().map(PhysicalOffset),
    flag: fc.integer(),
    sysFlag: fc.constantFrom(0, 1, 8),
    bornTimestampMs: fc.maxSafeNat(),
    bornHost: aHost,
    storeTimestampMs: fc.maxSafeNat(),
    storeHost: aHost,
    reconsumeTimes: fc.integer(),
    body: fc.uint8Array({ maxLength: 200 }),
    properties: fc
      .array(
        fc.tuple(
          fc.oneof(
            fc.constantFrom('UNIQ_KEY', 'TAGS', 'KEYS'),
            aText.map((t) => `p${t}`),
          ),
          aText,
        ),
        { maxLength: 5 },
      )
      .map((pairs) => new Map(pairs)),
  },
  PLAIN,
);

/** UTF-8 bytes as characters. */
function latin1Of(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function placed(message: StoredMessage, padding = 0): Buffer {
  const record = encodeMessageRecord(message);
  const bytes = Buffer.alloc(padding + record.length + padding);
  bytes.set(record, padding);
  patchPhysicalOffset(bytes, padding, message.physicalOffset);
  return bytes;
}

test('decode() gives back every message, wherever it lies', () => {
  fc.assert(
    fc.property(aMessage, fc.nat(20), (message, padding) => {
      const decoded = decodeMessageRecord(placed(message, padding), padding);
      const hostBits = SYS_FLAG.bornHostIpv6 | SYS_FLAG.storeHostIpv6;
      assert.equal((decoded.sysFlag & SYS_FLAG.bornHostIpv6) !== 0, message.bornHost[0] === '[');
      assert.equal((decoded.sysFlag & SYS_FLAG.storeHostIpv6) !== 0, message.storeHost[0] === '[');
      const body = new Uint8Array(decoded.body);
      assert.deepEqual({ ...decoded, body, sysFlag: decoded.sysFlag & ~hostBits }, message);
    }),
  );
});

test('the index fields are those of the whole message', () => {
  fc.assert(
    fc.property(aMessage, fc.nat(20), (message, padding) => {
      const bytes = placed(message, padding);
      const fields = messageIndexFieldsAt(bytes, viewOf(bytes), padding);
      const id = messageIdOf(message);
      const { topic, queueId, queueOffset, physicalOffset, storeTimestampMs } = message;
      assert.deepEqual(fields, {
        ...{ topic, queueId, queueOffset, physicalOffset, storeTimestampMs },
        sizeBytes: encodeMessageRecord(message).length,
        tagsCode: tagsCodeOf(tagOf(message)),
        messageIdBinary: id === null ? null : latin1Of(id),
        keysBinary: keysOf(message).map(latin1Of),
      });
    }),
  );
});

test('a changed body byte, a wrong size and a cut record are corruption', () => {
  fc.assert(
    fc.property(aMessage, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, pick, flip) => {
      const bytes = placed(message);
      assert.throws(
        () => decodeMessageRecord(bytes.subarray(0, pick % bytes.length)),
        CorruptionError,
      );

      const sizes = Buffer.from(bytes);
      sizes.writeUInt32BE(bytes.length - 1 - (pick % bytes.length), 0);
      assert.throws(() => decodeMessageRecord(sizes), CorruptionError);

      if (message.body.length === 0) return;
      const bodyAt = decodeMessageRecord(bytes).body.byteOffset - bytes.byteOffset;
      const at = bodyAt + (pick % message.body.length);
      bytes[at]! ^= flip;
      assert.throws(() => decodeMessageRecord(bytes), CorruptionError);
    }),
  );
});

test('no single changed byte makes decode() fail otherwise than by corruption', () => {
  const bytes = placed(MESSAGE);
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(bytes);
      changed[at] = value;
      try {
        decodeMessageRecord(changed);
      } catch (error) {
        assert.ok(error instanceof CorruptionError, `byte ${at}: ${error}`);
      }
    }
  }
});

test('well-known properties are read as they mean', () => {
  const properties = new Map([['KEYS', ' a b  a ']]);
  assert.deepEqual(keysOf({ ...MESSAGE, properties }), ['a', 'b']);
  assert.equal(messageIdOf(MESSAGE), 'A1');
  assert.equal(tagOf(MESSAGE), 't');
  assert.equal(isBodyCompressed(MESSAGE), true);
  assert.equal(messageIdOf({ ...MESSAGE, properties }), null);
});
