import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { QueueOffset } from '../../base/units.ts';
import type { BrokerReply, BrokerRequest, DeliveredMessage } from '../../protocol/verbs.ts';
import { Interrupted } from '../environment.ts';
import { answered, failed, MemoryTerminal } from '../memory-environment.ts';

const AT_MS = Date.UTC(2026, 10, 20, 10, 3, 11, 482);

function aMessage(changes: Partial<DeliveredMessage> = {}): DeliveredMessage {
  return {
    topic: 'orders',
    messageId: '01AB',
    body: Buffer.from('hello'),
    bodyEncoding: 'identity',
    tag: 'paid',
    keys: ['A-1'],
    userProperties: { source: 'shop' },
    bornTimestampMs: AT_MS,
    bornHost: '127.0.0.1:0',
    storeTimestampMs: AT_MS + 2,
    storeHost: '127.0.0.1:8081',
    traceContext: null,
    queueId: 2,
    queueOffset: QueueOffset(0),
    attempt: 1,
    handle: 'handle-1',
    invisibleMs: 30_000,
    deadLetterOf: null,
    ...changes,
  };
}

/** Hands out the messages once, and says ok to every acknowledgement. */
function handingOut(...messages: DeliveredMessage[]) {
  const left = [...messages];
  return (request: BrokerRequest): BrokerReply => {
    if (request.kind === 'ack') return answered({ kind: 'acked', outcomes: ['ok'] });
    if (request.kind !== 'receive') return failed('topicNotFound', 'neither receive nor ack');
    return answered({ kind: 'received', messages: left.splice(0, request.batchSize) });
  };
}

test('consume prints a message, acknowledges it and stops at --max', async () => {
  const terminal = new MemoryTerminal(handingOut(aMessage(), aMessage()));
  equal(await terminal.run('consume', 'orders', '--group', 'demo', '--max', '1'), 0);
  equal(
    terminal.stdout.text,
    'orders/2@0  2026-11-20T10:03:11.482Z  key=A-1 tag=paid  hello  (acked)\n',
  );
  equal(terminal.stderr.text, '1 message consumed by group demo\n');
  const last = terminal.cluster.calls.at(-1)?.call.request;
  deepEqual(last, { kind: 'ack', group: 'demo', topic: 'orders', handles: ['handle-1'] });
});

test('a long body is cut to the line on a terminal, and whole in a pipe', async () => {
  const body = Buffer.from(`hello ${'x'.repeat(2000)}`);
  const shown = async (isTty: boolean) => {
    const terminal = new MemoryTerminal(handingOut(aMessage({ body })), { isTty });
    terminal.variables = { NO_COLOR: '1' };
    await terminal.run('consume', 'orders', '--group', 'demo', '--max', '1');
    return terminal.stdout.text;
  };
  match(await shown(true), / {2}hello x+… \(2006 bytes\) {2}\(acked\)\n$/);
  equal((await shown(true)).includes('x'.repeat(80)), false);
  equal((await shown(false)).includes(body.toString()), true);
});

test('consume --until-empty takes all and stops', async () => {
  const messages = Array.from({ length: 40 }, (_, i) => aMessage({ queueOffset: QueueOffset(i) }));
  const terminal = new MemoryTerminal(handingOut(...messages));
  equal(await terminal.run('consume', 'orders', '--group', 'demo', '--until-empty'), 0);
  equal(terminal.stdout.text.split('(acked)\n').length, 41);
});

test('consume shows bytes that are no text, escapes and retries without harm', async () => {
  const terminal = new MemoryTerminal(
    handingOut(
      aMessage({ body: new Uint8Array([0xff, 0xfe]), tag: null, keys: [] }),
      aMessage({ body: Buffer.from('a\u001b[31m\nb'), attempt: 3 }),
      aMessage({ body: gzipSync('zipped'), bodyEncoding: 'gzip' }),
    ),
  );
  equal(await terminal.run('consume', 'orders', '--group', 'demo', '--max', '3'), 0);
  const [binary, escaped, zipped] = terminal.stdout.text.split('\n');
  match(binary!, /Z {2}<2 bytes, not text> {2}\(acked\)$/);
  match(escaped!, /tag=paid attempt=3 {2}a\\x1b\[31m\\nb {2}\(acked\)$/);
  match(zipped!, / {2}zipped {2}\(acked\)$/);
});

test('consume -o json prints one line for each message', async () => {
  const terminal = new MemoryTerminal(handingOut(aMessage()));
  equal(await terminal.run('consume', 'orders', '--group', 'demo', '--max', '1', '-o', 'json'), 0);
  deepEqual(JSON.parse(terminal.stdout.text), {
    apiVersion: 'mq-raft/v1',
    kind: 'message',
    topic: 'orders',
    queueId: 2,
    queueOffset: '0',
    messageId: '01AB',
    keys: ['A-1'],
    tag: 'paid',
    properties: { source: 'shop' },
    attempt: 1,
    bornAt: '2026-11-20T10:03:11.482Z',
    storedAt: '2026-11-20T10:03:11.484Z',
    body: 'hello',
  });
});

test('consume creates a group that does not exist and says so', async () => {
  const serve = handingOut(aMessage());
  let exists = false;
  const terminal = new MemoryTerminal((request) => {
    if (request.kind === 'groupPut') {
      exists = true;
      return answered({ kind: 'groupPut', created: true });
    }
    return exists ? serve(request) : failed('groupNotFound', 'No group demo');
  });
  equal(await terminal.run('consume', 'orders', '--group', 'demo', '--max', '1'), 0);
  match(terminal.stderr.text, /^group demo did not exist and was created\n/);
});

test('consume with --timeout gives up with 6 when too little comes', async () => {
  const terminal = new MemoryTerminal(handingOut(aMessage()));
  terminal.cluster.answer = async (request) => {
    const reply = handingOut()(request);
    if (request.kind === 'receive') {
      await new Promise<void>((resolve) => {
        terminal.clock.setTimer(request.waitMs, resolve);
      });
    }
    return reply;
  };
  const args = ['--group', 'demo', '--max', '2', '--timeout', '3s'];
  equal(await terminal.run('consume', 'orders', ...args), 6);
  match(
    terminal.stderr.text,
    /error: No more messages within 3000 ms\n {2}why: {3}0 messages of 2/,
  );
});

test('consume says when a message was not acknowledged', async () => {
  const serve = handingOut(aMessage());
  const terminal = new MemoryTerminal((request) =>
    request.kind === 'ack'
      ? answered({ kind: 'acked', outcomes: ['staleHandle'] })
      : serve(request),
  );
  await terminal.run('consume', 'orders', '--group', 'demo', '--max', '1');
  match(terminal.stdout.text, /\(not acked: it was delivered again meanwhile\)\n$/);
});

test('Ctrl-C ends consume with 130 and the count', async () => {
  const terminal = new MemoryTerminal(handingOut(aMessage()));
  const serve = terminal.cluster.answer;
  terminal.cluster.answer = (request, address) => {
    if (request.kind === 'ack') terminal.interrupt.abort(new Interrupted());
    return serve(request, address);
  };
  equal(await terminal.run('consume', 'orders', '--group', 'demo'), 130);
  equal(terminal.stderr.text, '1 message consumed by group demo\n');
});
