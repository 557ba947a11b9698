/** A hole in what a group has kept is found, whatever has expired before it. */
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lostOf, unexpiredOf } from './retention-audit.ts';

interface Plan {
  readonly messageId: string;
  readonly begunAtMs: number;
  readonly acknowledgedAtMs: number;
}

/** Sends in the order of the log, which is some moment between begin and acknowledgement. */
const plans: fc.Arbitrary<readonly Plan[]> = fc
  .array(fc.record({ before: fc.nat(30), after: fc.nat(30) }), { minLength: 2, maxLength: 40 })
  .map((all) =>
    all.map(({ before, after }, i) => ({
      messageId: `${i}`,
      begunAtMs: 10 * i - before,
      acknowledgedAtMs: 10 * i + after,
    })),
  );

test('whatever the beginning of the log loses is no loss', () => {
  fc.assert(
    fc.property(plans, fc.nat(39), (sent, at) => {
      const first = Math.min(at, sent.length - 1);
      deepEqual(
        lostOf(sent, (messageId) => Number(messageId) >= first),
        [],
      );
    }),
  );
});

test('a message that is gone behind one that was acknowledged before it began is a loss', () => {
  fc.assert(
    fc.property(plans, fc.nat(39), fc.nat(39), (sent, from, hole) => {
      const first = from % sent.length;
      fc.pre(first < sent.length - 1);
      const isThere = (messageId: string): boolean =>
        Number(messageId) >= first && Number(messageId) !== hole;
      const gone = sent[hole];
      const isBehind = sent.some(
        ({ messageId, acknowledgedAtMs }) =>
          isThere(messageId) && gone !== undefined && acknowledgedAtMs < gone.begunAtMs,
      );
      equal(lostOf(sent, isThere).includes(`${hole}`), isBehind);
    }),
  );
});

test('of a log that has lost everything all has expired, but for what is known to be kept', () => {
  const sent = [0, 1, 9].map((i) => ({ messageId: `${i}`, begunAtMs: i, acknowledgedAtMs: i + 2 }));
  deepEqual(
    lostOf(sent, () => false),
    [],
  );
  deepEqual(
    unexpiredOf(sent, (messageId) => messageId === '1'),
    sent.slice(1),
  );
});
