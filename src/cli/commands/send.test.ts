import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { PhysicalOffset, QueueOffset } from '../../base/units.ts';
import type { BrokerReply, BrokerRequest } from '../../protocol/verbs.ts';
import { answered, failed, MemoryTerminal } from '../memory-environment.ts';

function receiving(duplicate = false) {
  return (request: BrokerRequest): BrokerReply => {
    if (request.kind !== 'send') return failed('topicNotFound', 'not a send');
    const receipts = request.messages.map(({ messageId }) => ({
      messageId,
      queueId: 2,
      queueOffset: QueueOffset(7),
      physicalOffset: PhysicalOffset(4096),
      duplicate,
    }));
    return answered({ kind: 'sent', receipts });
  };
}

test('send prints SEND_OK with where the message is', async () => {
  const terminal = new MemoryTerminal(receiving());
  equal(
    await terminal.run(
      'send',
      'orders',
      'hello',
      '--key',
      'A-1',
      '--tag',
      'paid',
      '--property',
      'a=b=c',
    ),
    0,
  );
  equal(terminal.stdout.text, 'SEND_OK  orders/2@7  msgId=ID1  0.00 ms\n');
  const request = terminal.cluster.calls[0]?.call.request;
  ok(request?.kind === 'send');
  const [message] = request.messages;
  deepEqual(Buffer.from(message!.body).toString(), 'hello');
  deepEqual(
    [message!.tag, message!.keys, message!.userProperties],
    ['paid', ['A-1'], { a: 'b=c' }],
  );
});

test('send -o json gives 64-bit numbers as strings', async () => {
  const terminal = new MemoryTerminal(receiving(true));
  equal(await terminal.run('send', 'orders', 'hello', '-o', 'json'), 0);
  deepEqual(JSON.parse(terminal.stdout.text), {
    apiVersion: 'mq-raft/v1',
    kind: 'sent',
    topic: 'orders',
    messageId: 'ID1',
    queueId: 2,
    queueOffset: '7',
    physicalOffset: '4096',
    duplicate: true,
    tookMs: 0,
  });
});

test('send to a topic that does not exist ends with 3 and the way out', async () => {
  const terminal = new MemoryTerminal(() => failed('topicNotFound', 'No topic orders'));
  equal(await terminal.run('send', 'orders', 'hello'), 3);
  equal(
    terminal.stderr.text,
    'error: Topic orders does not exist\n  to do: npx mq-raft topic create orders\n',
  );
});

test('send without an answer ends with 6: the outcome is unknown', async () => {
  const terminal = new MemoryTerminal(receiving());
  for (const node of ['n1', 'n2', 'n3']) terminal.cluster.down.add(`${node}:raft`);
  equal(await terminal.run('send', 'orders', 'hello', '--timeout', '2s'), 6);
  match(terminal.stderr.text, /^waiting for an answer/);
  match(terminal.stderr.text, /error: send orders: outcome unknown, no answer in time/);
  match(terminal.stderr.text, /why: {3}No answer to send within 2000 ms after \d+ attempts/);
  const ids = terminal.cluster.calls.map(({ call }) =>
    call.request.kind === 'send' ? call.request.messages[0]?.messageId : '',
  );
  deepEqual([...new Set(ids)], ['ID1'], 'every retry has the id of the first');
});

test('send that was refused ends with 4: nothing is stored', async () => {
  const terminal = new MemoryTerminal(() => failed('busy', '1024 proposals wait'));
  equal(await terminal.run('send', 'orders', 'hello', '--timeout', '500ms'), 4);
  match(terminal.stderr.text, /nothing was stored/);
});

test('send --count gives each message an id and ends with a summary', async () => {
  const terminal = new MemoryTerminal(receiving());
  const args = ['--count', '250', '--size', '10', '--in-flight', '8'];
  equal(await terminal.run('send', 'orders', 'abc', ...args), 0);
  const messages = terminal.cluster.calls.map(({ call }) =>
    call.request.kind === 'send' ? call.request.messages[0]! : null,
  );
  equal(new Set(messages.map((each) => each?.messageId)).size, 250);
  equal(Buffer.from(messages[0]!.body).toString(), 'abc.......');
  match(
    terminal.stdout.text,
    /^SEND_OK {2}topic=orders {2}250 messages of 10 bytes\n .*p50 .*p99 .*\n {2}refused 0 {2}outcome unknown 0 {2}duplicates 0\n$/,
  );
});

test('send --count keeps at most the given number under way', async () => {
  let underWay = 0;
  let underWayMax = 0;
  const terminal = new MemoryTerminal(receiving());
  terminal.cluster.answer = async (request) => {
    underWayMax = Math.max(underWayMax, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay--;
    return receiving()(request);
  };
  equal(await terminal.run('send', 'orders', 'x', '--count', '40', '--in-flight', '5'), 0);
  equal(underWayMax, 5);
});

test('send --count counts messages of unknown outcome and ends with 6', async () => {
  const terminal = new MemoryTerminal(receiving());
  let count = 0;
  const lost: BrokerReply = { kind: 'failure', code: 'timeout', message: 'No commit in time' };
  terminal.cluster.answer = (request) => (++count > 3 ? lost : receiving()(request));
  const args = ['--count', '4', '--in-flight', '1', '--timeout', '1s', '-o', 'json'];
  equal(await terminal.run('send', 'orders', 'x', ...args), 6);
  const summary = JSON.parse(terminal.stdout.text);
  deepEqual([summary.sentCount, summary.unknownCount, summary.refusedCount], [3, 1, 0]);
  match(terminal.stderr.text, /1 x No answer to send within 1000 ms/);
});
