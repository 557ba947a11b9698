import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { QueueOffset } from '../../base/units.ts';
import type { BrokerRequest, TopicDescription } from '../../protocol/verbs.ts';
import { answered, MemoryTerminal } from '../memory-environment.ts';

const AT_MS = Date.UTC(2026, 10, 20, 10, 3, 11, 482);

const orders: TopicDescription = {
  topic: 'orders',
  queueCount: 2,
  permission: 6,
  messageTypes: [1],
  createdAtMs: AT_MS,
  queues: [
    { queueId: 0, minOffset: QueueOffset(2), nextOffset: QueueOffset(12) },
    { queueId: 1, minOffset: QueueOffset(0), nextOffset: QueueOffset(2 ** 40) },
  ],
};

test('topic create says what there is now', async () => {
  const asked: BrokerRequest[] = [];
  const terminal = new MemoryTerminal((request) => {
    asked.push(request);
    if (request.kind === 'topicPut') return answered({ kind: 'topicPut', created: true });
    return answered({ kind: 'topic', topic: orders });
  });
  equal(await terminal.run('topic', 'create', 'orders', '--queues', '2'), 0);
  deepEqual(asked[0], { kind: 'topicPut', topic: 'orders', queueCount: 2 });
  equal(terminal.stdout.text, 'topic orders created, 2 queues\n');
});

test('topic describe shows the queues', async () => {
  const terminal = new MemoryTerminal(() => answered({ kind: 'topic', topic: orders }));
  equal(await terminal.run('topic', 'describe', 'orders'), 0);
  equal(
    terminal.stdout.text,
    `topic orders, 2 queues, 1099511627786 messages, read+write
created 2026-11-20T10:03:11.482Z

  queue  first           next       messages
      0      2             12             10
      1      0  1099511627776  1099511627776
`,
  );
});

test('topic list shows all, as text and as JSON', async () => {
  const answer = () => answered({ kind: 'topicList', topics: [orders] });
  const terminal = new MemoryTerminal(answer);
  equal(await terminal.run('topic', 'list'), 0);
  equal(
    terminal.stdout.text,
    `  topic   queues       messages  permission  created
  orders       2  1099511627786  read+write  2026-11-20T10:03:11.482Z
`,
  );
  const json = new MemoryTerminal(answer);
  await json.run('topic', 'list', '-o', 'json');
  const list = JSON.parse(json.stdout.text);
  equal(list.topics[0].queues[1].nextOffset, '1099511627776');
});

test('topic list of an empty cluster prints no data and shows the way', async () => {
  const terminal = new MemoryTerminal(() => answered({ kind: 'topicList', topics: [] }));
  equal(await terminal.run('topic', 'list'), 0);
  equal(terminal.stdout.text, '');
  match(terminal.stderr.text, /mq-raft topic create orders/);
});
