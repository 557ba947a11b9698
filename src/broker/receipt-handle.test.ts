import { deepEqual, equal, match, notEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { QueueOffset } from '../base/units.ts';
import { decodeReceiptHandle, encodeReceiptHandle, successorOf } from './receipt-handle.ts';

const name = fc.stringMatching(/^[%|a-zA-Z0-9_-]{1,120}$/);
const handle = fc.record(
  {
    group: name,
    topic: name,
    queueId: fc.nat({ max: 2 ** 32 - 1 }),
    queueOffset: fc.maxSafeNat().map(QueueOffset),
    deliveryId: fc.stringMatching(/^[a-z0-9]{1,8}\.[a-z0-9]{1,8}$/),
  },
  { noNullPrototype: true },
);

test('a handle comes back as it was made, in short plain ASCII', () => {
  fc.assert(
    fc.property(handle, (made) => {
      const text = encodeReceiptHandle(made);
      match(text, /^[A-Za-z0-9_-]{1,1024}$/);
      deepEqual(decodeReceiptHandle(text), made);
    }),
    { numRuns: 200 },
  );
});

test('a handle with any character changed, cut or added is refused', () => {
  const made = {
    group: 'g',
    topic: 't',
    queueId: 1,
    queueOffset: QueueOffset(9),
    deliveryId: '3.7',
  };
  const text = encodeReceiptHandle(made);
  for (let at = 0; at < text.length; at++) {
    const other = text[at] === 'A' ? 'B' : 'A';
    equal(decodeReceiptHandle(text.slice(0, at) + other + text.slice(at + 1)), null);
    equal(decodeReceiptHandle(text.slice(0, at)), null);
  }
  equal(decodeReceiptHandle(`${text}A`), null);
});

test('the id after a change follows from the one before and is another', () => {
  equal(successorOf('3.7'), '3.7~1');
  equal(successorOf('3.7~1'), '3.7~2');
  notEqual(successorOf('3.7~9'), successorOf('3.7~10'));
});
