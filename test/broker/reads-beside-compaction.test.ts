/** Retention takes a message between the look into its queue and the read of the log (H16). */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { advance } from '../../src/base/units.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import type { SegmentExtent } from '../../src/replica/replica.ts';
import { type Fixture, ids, openBroker } from './broker-fixture.ts';

/** Two messages in entries of their own, and from where on the second one is all that is left. */
async function twoMessages(): Promise<Fixture & { readonly goFirst: () => Promise<void> }> {
  const fixture = await openBroker();
  const { replica } = fixture;
  let last: SegmentExtent | null = null;
  replica.onApplied(({ index, payloadOffset, type }) => {
    if (type !== 'data') return;
    const physicalOffset = advance(payloadOffset, -ENTRY_HEADER_SIZE_BYTES);
    last = { firstIndex: index, physicalOffset };
  });
  await fixture.send({ messageId: 'first' });
  await fixture.send({ messageId: 'second' });
  const start = last as SegmentExtent | null;
  ok(start !== null);
  const goFirst = async (): Promise<void> => {
    replica.beforeRead = null;
    const why = { reason: 'age', storeTimestampMs: 0, atMs: 1 } as const;
    const records = encodeCommandRecord({ kind: 'advanceLogStart', ...start, ...why });
    const outcome = await replica.propose({ records, messageRecordAt: [] });
    equal(outcome.kind, 'applied');
  };
  return { ...fixture, goFirst };
}

test('a message that goes between is not delivered, and the next one is', async () => {
  const { replica, receive, ack, goFirst } = await twoMessages();
  replica.beforeRead = goFirst;
  const first = await receive();
  const messages = first.length > 0 ? first : await receive();
  deepEqual(ids(messages), ['second']);
  deepEqual(await ack(...messages.map(({ handle }) => handle)), ['ok']);
  deepEqual(await receive(), []);
});

test('a repeated receive answers with what is left of the first one', async () => {
  const { replica, receive, ack, goFirst } = await twoMessages();
  const given = await receive({ attemptId: 'a1' });
  deepEqual(ids(given), ['first', 'second']);
  replica.beforeRead = goFirst;
  const again = await receive({ attemptId: 'a1' }, { isRetry: true });
  deepEqual(ids(again), ['second']);
  // What is gone needs no acknowledgement, and one harms nobody.
  deepEqual(await ack(...given.map(({ handle }) => handle)), ['ok', 'ok']);
});
