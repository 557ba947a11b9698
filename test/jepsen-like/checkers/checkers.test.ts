/**
 * Each checker can fail, and fails for nothing else: every anomaly has a history made by hand that must be
 * rejected for it, and its near miss, which differs in one thing and must be accepted.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Evidence } from '../history/evidence.ts';
import { CHECKERS, verdictsOn } from './check-run.ts';
import {
  ack,
  ended,
  evidence,
  NODES,
  operation,
  readOffset,
  receive,
  replica,
  send,
  status,
  stored,
} from './made-evidence.ts';
import type { AnomalyKind } from './verdict.ts';

interface Case {
  readonly kind: AnomalyKind;
  readonly what: string;
  readonly bad: Partial<Omit<Evidence, 'folder' | 'plan'>>;
  readonly nearMiss: Partial<Omit<Evidence, 'folder' | 'plan'>>;
}

const ofOffsets = { workload: 'offsets' };
const put = (when: object) =>
  operation({ verb: 'topicPut', topic: 'x' }, { workload: 'admin', ...when });
const remove = (when: object) =>
  operation({ verb: 'topicDelete', topic: 'x' }, { workload: 'admin', ...when });
const describe = (exists: boolean, when: object) =>
  operation(
    { verb: 'topicDescribe', topic: 'x', queues: exists ? [] : null },
    { workload: 'admin', ...when },
  );
const healthy = evidence().summary;
const sendWithoutPlace = operation({
  ...{ verb: 'send', topic: 't', producer: 'p' },
  ...{ messages: [{ id: 'a', sequence: 0 }], receipts: [] },
});
/** Message 0 lies before the log start, message 1 at it. */
const AT_1001 = { index: 4, physicalOffset: 1_001 };
const keptFrom1001 = NODES.map((node) => replica(node, { logStart: AT_1001, firstIndex: 4 }));

const CASES: readonly Case[] = [
  {
    kind: 'lost-write',
    what: 'an acknowledged message is passed over by a reader; one that was never acknowledged may be missing',
    bad: {
      operations: [
        send([['a', 0, 0]]),
        send([['b', 1, 1]], { from: 2 }),
        receive([['b', 1]], { from: 4 }),
      ],
    },
    nearMiss: {
      operations: [
        send([['a', 0, 0]], { outcome: 'info', client: 'q' }),
        send([['b', 1, 0]], { from: 2 }),
        receive([['b', 0]], { from: 4 }),
      ],
    },
  },
  {
    kind: 'unseen',
    what: 'an acknowledged message above everything read; it may be read by anybody',
    bad: {
      operations: [send([['a', 0, 0]]), send([['b', 1, 1]], { from: 2 }), receive([['a', 0]])],
    },
    nearMiss: {
      operations: [
        send([['a', 0, 0]]),
        send([['b', 1, 1]], { from: 2 }),
        receive([['a', 0]], { from: 4 }),
        receive([['b', 1]], { from: 6, group: 'other' }),
      ],
    },
  },
  {
    kind: 'expired-unread',
    what: 'the group has removed what nobody was given; it may remove what somebody was',
    bad: {
      operations: [
        send([['a', 0, 0]]),
        send([['b', 1, 1]], { from: 2 }),
        receive([['b', 1]], { from: 4 }),
      ],
      replicas: keptFrom1001,
      places: stored('b', 1),
    },
    nearMiss: {
      operations: [
        send([['a', 0, 0]]),
        send([['b', 1, 1]], { from: 2 }),
        receive(
          [
            ['a', 0],
            ['b', 1],
          ],
          { from: 4 },
        ),
      ],
      replicas: keptFrom1001,
      places: stored('b', 1),
    },
  },
  {
    kind: 'unseen',
    what: 'a client that tells no places: what it sent is gone; once the group has removed something it may be',
    bad: { operations: [sendWithoutPlace] },
    nearMiss: { operations: [sendWithoutPlace], replicas: keptFrom1001 },
  },
  {
    kind: 'lost-write',
    what: 'a message behind the log start is missing; one before it is on no disk, and was read',
    bad: {
      operations: [
        send([['b', 1, 1]]),
        send([['c', 2, 2]], { from: 2 }),
        receive([['c', 2]], { from: 4 }),
      ],
      replicas: keptFrom1001,
      places: stored('c', 2),
    },
    nearMiss: {
      operations: [
        send([['a', 0, 0]]),
        send([['c', 2, 2]], { from: 2 }),
        receive([['a', 0]], { from: 3 }),
        receive([['c', 2]], { from: 4, group: 'final' }),
      ],
      replicas: keptFrom1001,
      places: stored('c', 2),
    },
  },
  {
    kind: 'duplicate',
    what: 'one message in two places; the same place told twice',
    bad: {
      operations: [
        send([['a', 0, 0]]),
        send([['a', 0, 1]], { from: 2, client: 'q' }),
        receive(
          [
            ['a', 0],
            ['a', 1],
          ],
          { from: 4 },
        ),
      ],
    },
    nearMiss: {
      operations: [
        send([['a', 0, 0]]),
        send([['a', 0, 0]], { from: 2, client: 'q', duplicate: true }),
        receive([['a', 0]], { from: 4 }),
        receive([['a', 0, 2]], { from: 6 }),
      ],
    },
  },
  {
    kind: 'inconsistent-offsets',
    what: 'two messages in one place; the same offset in two queues',
    bad: {
      operations: [
        send([['a', 0, 0]]),
        send([['b', 1, 0]], { from: 2, client: 'q' }),
        receive([['a', 0]], { from: 4 }),
        receive([['b', 0, 2]], { from: 6, group: 'h' }),
      ],
    },
    nearMiss: {
      operations: [
        send([['a', 0, 0]]),
        send([['b', 1, 0, 1]], { from: 2, client: 'q' }),
        receive(
          [
            ['a', 0],
            ['b', 0, 1, 1],
          ],
          { from: 4 },
        ),
      ],
    },
  },
  {
    kind: 'aborted-read',
    what: 'a refused message is delivered; one whose outcome was open may be',
    bad: {
      operations: [send([['a', 0, 0]], { outcome: 'fail' }), receive([['a', 0]], { from: 4 })],
    },
    nearMiss: {
      operations: [send([['a', 0, 0]], { outcome: 'info' }), receive([['a', 0]], { from: 4 })],
    },
  },
  {
    kind: 'phantom',
    what: 'a message that nobody sent',
    bad: { operations: [receive([['a', 0]])] },
    nearMiss: { operations: [send([['a', 0, 0]], { outcome: 'info' }), receive([['a', 0]])] },
  },
  {
    kind: 'damaged-body',
    what: 'a body that is not what was sent',
    bad: { operations: [send([['a', 0, 0]]), receive([['a', 0]], { from: 2, intact: false })] },
    nearMiss: { operations: [send([['a', 0, 0]]), receive([['a', 0]], { from: 2 })] },
  },
  {
    kind: 'torn-batch',
    what: 'half of an open request is there; all of it, or nothing, may be',
    bad: {
      operations: [
        send(
          [
            ['a', 0, 0],
            ['b', 1, 1],
          ],
          { outcome: 'info' },
        ),
        receive([['a', 0]], { from: 2 }),
      ],
    },
    nearMiss: {
      operations: [
        send(
          [
            ['a', 0, 0],
            ['b', 1, 1],
          ],
          { outcome: 'info' },
        ),
        receive(
          [
            ['a', 0],
            ['b', 1],
          ],
          { from: 2 },
        ),
      ],
    },
  },
  {
    kind: 'int-poll-skip',
    what: 'a gap within one answer; not when what is between had been handed out before',
    bad: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
          ['c', 2, 2],
        ]),
        receive(
          [
            ['a', 0],
            ['c', 2],
          ],
          { from: 2 },
        ),
        receive([['b', 1, 2]], { from: 4 }),
      ],
    },
    nearMiss: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
          ['c', 2, 2],
        ]),
        receive([['b', 1]], { from: 2 }),
        receive(
          [
            ['a', 0, 2],
            ['c', 2],
          ],
          { from: 4 },
        ),
      ],
    },
  },
  {
    kind: 'int-nonmonotonic-poll',
    what: 'one answer goes back',
    bad: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
        ]),
        receive(
          [
            ['b', 1],
            ['a', 0],
          ],
          { from: 2 },
        ),
      ],
    },
    nearMiss: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
        ]),
        receive(
          [
            ['b', 1],
            ['a', 0, 2],
          ],
          { from: 2 },
        ),
      ],
    },
  },
  {
    kind: 'nonmonotonic-poll',
    what: 'a later poll is given an older message for the first time; polls that overlap may',
    bad: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
        ]),
        receive([['b', 1]], { from: 2 }),
        receive([['a', 0]], { from: 4 }),
      ],
    },
    nearMiss: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
        ]),
        receive([['b', 1]], { from: 2, to: 5 }),
        receive([['a', 0]], { from: 4 }),
      ],
    },
  },
  {
    kind: 'poll-skip',
    what: 'a group never gets a message between others; it may be on its way to a poll without answer',
    bad: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
          ['c', 2, 2],
        ]),
        receive([['a', 0]], { from: 2 }),
        receive([['c', 2]], { from: 4 }),
        receive(
          [
            ['a', 0],
            ['b', 1],
            ['c', 2],
          ],
          { from: 6, group: 'other' },
        ),
      ],
    },
    nearMiss: {
      operations: [
        send([
          ['a', 0, 0],
          ['b', 1, 1],
          ['c', 2, 2],
        ]),
        receive([['a', 0]], { from: 2 }),
        receive([], { from: 3, outcome: 'info' }),
        receive([['c', 2]], { from: 4 }),
        receive(
          [
            ['a', 0],
            ['b', 1],
            ['c', 2],
          ],
          { from: 6, group: 'other' },
        ),
      ],
    },
  },
  {
    kind: 'int-nonmonotonic-send',
    what: 'the messages of one request change places; in another queue they may stand anywhere',
    bad: {
      operations: [
        send([
          ['a', 0, 1],
          ['b', 1, 0],
        ]),
        receive(
          [
            ['b', 0],
            ['a', 1],
          ],
          { from: 2 },
        ),
      ],
    },
    nearMiss: {
      operations: [
        send([
          ['a', 0, 1],
          ['b', 1, 0, 1],
        ]),
        receive(
          [
            ['a', 1],
            ['b', 0, 1, 1],
          ],
          { from: 2 },
        ),
      ],
    },
  },
  {
    kind: 'nonmonotonic-send',
    what: 'a later send of one producer gets an earlier place; that of a duplicate was fixed before',
    bad: {
      operations: [
        send([['a', 0, 1]]),
        send([['b', 1, 0]], { from: 2 }),
        receive(
          [
            ['b', 0],
            ['a', 1],
          ],
          { from: 4 },
        ),
      ],
    },
    nearMiss: {
      operations: [
        send([['b', 1, 0]], { from: 0, client: 'q' }),
        send([['a', 0, 1]], { from: 2 }),
        send([['b', 1, 0]], { from: 4, duplicate: true }),
        receive(
          [
            ['b', 0],
            ['a', 1],
          ],
          { from: 6 },
        ),
      ],
    },
  },
  {
    kind: 'order',
    what: 'an open send of a producer lands before what it sent earlier; two producers have no order',
    bad: {
      operations: [
        send([['a', 0, 1]]),
        send([['b', 1, 0]], { from: 2, outcome: 'info' }),
        receive(
          [
            ['b', 0],
            ['a', 1],
          ],
          { from: 4 },
        ),
      ],
    },
    nearMiss: {
      operations: [
        send([['a', 0, 1]]),
        send([['b', 1, 0]], { from: 2, outcome: 'info', client: 'q' }),
        receive(
          [
            ['b', 0],
            ['a', 1],
          ],
          { from: 4 },
        ),
      ],
    },
  },
  {
    kind: 'acked-redelivered',
    what: 'given out again after its acknowledgement; a poll that began before may still bring it',
    bad: {
      operations: [
        send([['a', 0, 0]]),
        receive([['a', 0]], { from: 2 }),
        ack(0, { from: 4 }),
        receive([['a', 0, 2]], { from: 6 }),
      ],
    },
    nearMiss: {
      operations: [
        send([['a', 0, 0]]),
        receive([['a', 0]], { from: 2 }),
        ack(0, { from: 4, to: 8 }),
        receive([['a', 0, 2]], { from: 6, to: 9 }),
      ],
    },
  },
  {
    kind: 'place-changed',
    what: 'a place has another message on one replica; or a delivery other bytes than the disks',
    bad: { places: [...stored('a', 0).slice(1), ...stored('b', 0).slice(0, 1)] },
    nearMiss: { places: [...stored('a', 0), ...stored('b', 1)] },
  },
  {
    kind: 'place-changed',
    what: 'a delivery had other bytes than the disks hold',
    bad: {
      operations: [send([['a', 0, 0]]), receive([['a', 0]], { from: 2, bodyCrc: 8 })],
      places: stored('a', 0),
    },
    nearMiss: {
      operations: [send([['a', 0, 0]]), receive([['a', 0]], { from: 2 })],
      places: stored('a', 0),
    },
  },
  {
    kind: 'queue-not-in-log',
    what: 'a consume queue points at nothing',
    bad: {
      replicas: [
        replica('n1', { damages: ['queue t/0@3 points at 77, the log has it at no place'] }),
      ],
    },
    nearMiss: { replicas: [replica('n1')] },
  },
  {
    kind: 'damaged-log',
    what: 'a log that is damaged at the end',
    bad: { replicas: [replica('n1', { damages: ['payload of entry 3'] })] },
    nearMiss: { replicas: [replica('n1')] },
  },
  {
    kind: 'too-few-copies',
    what: 'acknowledged and on one disk of three; two of three are enough',
    bad: {
      operations: [send([['a', 0, 0]]), receive([['a', 0]], { from: 2 })],
      places: stored('a', 0).slice(0, 1),
    },
    nearMiss: {
      operations: [send([['a', 0, 0]]), receive([['a', 0]], { from: 2 })],
      places: stored('a', 0).slice(0, 2),
    },
  },
  {
    kind: 'too-few-copies',
    what: 'the group keeps what lies at the log start; what lies before it may be gone everywhere',
    bad: {
      operations: [send([['b', 1, 1]]), receive([['b', 1]], { from: 2 })],
      replicas: keptFrom1001,
      places: [],
    },
    nearMiss: {
      operations: [send([['a', 0, 0]]), receive([['a', 0]], { from: 2 })],
      replicas: keptFrom1001,
      places: [],
    },
  },
  {
    kind: 'digests-differ',
    what: 'two logs differ in the same hundred, wherever they begin; that the one lacks its beginning is no difference',
    bad: {
      replicas: [
        replica('n1'),
        replica('n2', { firstIndex: 4, digests: [{ index: 9, digest: 6 }] }),
      ],
    },
    nearMiss: { replicas: [replica('n1'), replica('n2', { firstIndex: 4, digests: [] })] },
  },
  {
    kind: 'replicas-differ',
    what: 'at rest, and not equal; after a run that did not come to rest they may differ',
    bad: { replicas: [replica('n1'), replica('n2', { lastIndex: 8, digests: [] })] },
    nearMiss: { replicas: [replica('n1'), replica('n2')] },
  },
  {
    kind: 'replicas-differ',
    what: 'they do not agree where the log begins; whose files go further back has only not removed them yet',
    bad: { replicas: [...keptFrom1001.slice(1), replica('n1')] },
    nearMiss: {
      replicas: [...keptFrom1001.slice(1), replica('n1', { logStart: AT_1001, firstIndex: 2 })],
    },
  },
  {
    kind: 'offset-not-linearizable',
    what: 'progress is read that has been overtaken; while the acknowledgement runs both are right',
    bad: {
      operations: [ack(0, { from: 2, ...ofOffsets }), readOffset(0, { from: 4, ...ofOffsets })],
    },
    nearMiss: {
      operations: [
        ack(0, { from: 2, to: 6, ...ofOffsets }),
        readOffset(0, { from: 4, ...ofOffsets }),
      ],
    },
  },
  {
    kind: 'offset-not-linearizable',
    what: 'an open acknowledgement takes effect once, and not back again',
    bad: {
      operations: [
        ack(0, { from: 2, outcome: 'info', ...ofOffsets }),
        readOffset(1, { from: 4, ...ofOffsets }),
        readOffset(0, { from: 6, client: 'd', ...ofOffsets }),
      ],
    },
    nearMiss: {
      operations: [
        ack(0, { from: 2, outcome: 'info', ...ofOffsets }),
        readOffset(0, { from: 4, ...ofOffsets }),
        readOffset(1, { from: 6, client: 'd', ...ofOffsets }),
      ],
    },
  },
  {
    kind: 'offset-not-linearizable',
    what: 'progress goes past a message that is held; it stays there until that one is acknowledged, then takes both',
    bad: {
      operations: [ack(1, { from: 2, ...ofOffsets }), readOffset(2, { from: 4, ...ofOffsets })],
    },
    nearMiss: {
      operations: [
        ack(1, { from: 2, ...ofOffsets }),
        readOffset(0, { from: 4, ...ofOffsets }),
        ack(0, { from: 6, ...ofOffsets }),
        readOffset(2, { from: 8, client: 'd', ...ofOffsets }),
      ],
    },
  },
  {
    kind: 'offset-regressed',
    what: 'a reader sees less than an earlier one; overlapping readers may',
    bad: { operations: [readOffset(5, { from: 0 }), readOffset(4, { from: 2 })] },
    nearMiss: { operations: [readOffset(5, { from: 0, to: 3 }), readOffset(4, { from: 2 })] },
  },
  {
    kind: 'offset-beyond-end',
    what: 'progress behind the last message',
    bad: { operations: [readOffset(2)], places: stored('a', 0) },
    nearMiss: { operations: [readOffset(1)], places: stored('a', 0) },
  },
  {
    kind: 'topics-not-linearizable',
    what: 'a topic that was made is not there; unless somebody is deleting it',
    bad: { operations: [put({ from: 0 }), describe(false, { from: 2 })] },
    nearMiss: {
      operations: [
        put({ from: 0 }),
        remove({ from: 1, outcome: 'info', client: 'd' }),
        describe(false, { from: 2 }),
      ],
    },
  },
  {
    kind: 'node-ended',
    what: 'a process ended unasked; one that was killed did not',
    bad: { nodes: [ended(null)] },
    nearMiss: { nodes: [ended('killed')] },
  },
  {
    kind: 'term-regressed',
    what: 'a store forgets its term; another store has terms of its own',
    bad: { statuses: [status('n1', 5), status('n1', 4)] },
    nearMiss: {
      statuses: [
        status('n1', 5),
        status('n1', 0, { storeUuid: 'empty', appliedIndex: 0, commitIndex: 0 }),
      ],
    },
  },
  {
    kind: 'two-leaders',
    what: 'two leaders of one term; of two terms there may be two at once',
    bad: { statuses: [status('n1', 5, { role: 'leader' }), status('n2', 5, { role: 'leader' })] },
    nearMiss: {
      statuses: [status('n1', 5, { role: 'leader' }), status('n2', 6, { role: 'leader' })],
    },
  },
  {
    kind: 'store-changed',
    what: 'a node takes part with another directory; with an empty one it may wait',
    bad: { statuses: [status('n1', 5), status('n1', 6, { storeUuid: 'empty' })] },
    nearMiss: {
      statuses: [status('n1', 5), status('n1', 6, { storeUuid: 'empty', appliedIndex: 0 })],
    },
  },
  {
    kind: 'not-recovered',
    what: 'what is healed does not come back',
    bad: { summary: { ...healthy, problems: ['no send was acknowledged'] } },
    nearMiss: { summary: healthy },
  },
];

function kindsIn(parts: Case['bad']): readonly AnomalyKind[] {
  const verdicts = verdictsOn(evidence(parts));
  return [...new Set(verdicts.flatMap(({ anomalies }) => anomalies.map(({ kind }) => kind)))];
}

suite('checkers', () => {
  for (const { kind, what, bad, nearMiss } of CASES) {
    test(`${kind}: ${what}`, () => {
      ok(kindsIn(bad).includes(kind), `found ${kindsIn(bad).join(', ')} instead`);
      deepEqual(kindsIn(nearMiss), [], 'the near miss is innocent');
    });
  }

  test('a run in which nothing happened is innocent', () => {
    deepEqual(kindsIn({}), []);
  });

  test('a checker that says yes to everything would be seen', () => {
    for (const [name, check] of Object.entries(CHECKERS)) {
      const accused = CASES.filter(({ bad }) => check(evidence(bad)).valid === false);
      ok(accused.length > 0, `${name} has never accused anybody`);
    }
  });

  test('what is told is bounded, what is counted is not', () => {
    const operations = Array.from({ length: 100 }, (_, i) => send([[`m${i}`, i, i]], { from: i }));
    const [messages] = verdictsOn(evidence({ operations }));
    equal(messages?.counts['unseen'], 100);
    equal(messages?.anomalies.length, 20);
  });
});
