/** One official client in a process of its own; see official.ts. Ends when its standard input ends. */
import { createRequire } from 'node:module';
import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs';
import { crc32 } from '../../../src/base/crc32.ts';
import type { Action, Delivery, Outcome } from '../history/operation.ts';
import { bodyFor, readBody } from './body.ts';
import type { OfficialLine } from './official.ts';

const TOPIC = 'official';
const GROUP = 'official-consumers';
const INVISIBLE_MS = 10_000;
const AWAIT_MS = 1_000;
const PAUSE_MS = 20;
const SIZE_BYTES = 300;

const quiet = (): void => undefined;
const quietLogger = { debug: quiet, info: quiet, warn: quiet, error: quiet, close: quiet };
// Parts of the client ignore the logger they are given and open a log file in the home directory,
// with a timer that keeps the process alive for ever. Nothing else of it is touched.
createRequire(import.meta.url)('rocketmq-client-nodejs/dist/client/Logger.js').getDefaultLogger =
  () => quietLogger;

const [role, endpoints = '', name = ''] = process.argv.slice(2);
let isStopping = false;
process.stdin.resume();
process.stdin.on('end', () => {
  isStopping = true;
  // What is under way shall not hold us long.
  setTimeout(() => process.exit(0), AWAIT_MS * 3).unref();
});

let life = 0;

function tell(startedAtMs: number, outcome: Outcome, error: string | null, action: Action): void {
  const client = `${name}.${life}`;
  const line: OfficialLine = {
    ...{ client, tookMs: performance.now() - startedAtMs, outcome, error, action },
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
  // Whatever was asked may be under way for ever.
  if (outcome === 'info') life++;
}

async function produce(): Promise<void> {
  const producer = new Producer({
    ...{ endpoints, topic: TOPIC, logger: quietLogger as never, namespace: '' },
  });
  await producer.startup();
  for (let sequence = 0; !isStopping; sequence++) {
    const startedAtMs = performance.now();
    const producerName = `${name}.${life}`;
    // The client mints the id of the message, so the body has one of ours.
    const id = `${name}-${sequence}`;
    const action = {
      ...{ verb: 'send' as const, topic: TOPIC, producer: producerName },
      messages: [{ id, sequence }],
    };
    try {
      const body = bodyFor({ id, producer: producerName, sequence }, SIZE_BYTES);
      await producer.send({ topic: TOPIC, tag: 'jepsen', body: Buffer.from(body) });
      // Its receipt does not name the queue: where the message is, the receivers tell.
      tell(startedAtMs, 'ok', null, { ...action, receipts: [] });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      tell(startedAtMs, 'info', error.message.slice(0, 200), { ...action, receipts: [] });
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function consume(): Promise<void> {
  const consumer = new SimpleConsumer({
    ...{ endpoints, namespace: '', consumerGroup: GROUP, awaitDuration: AWAIT_MS },
    ...{ subscriptions: new Map([[TOPIC, '*']]), logger: quietLogger as never },
  });
  await consumer.startup();
  while (!isStopping) {
    const startedAtMs = performance.now();
    const action = { verb: 'receive' as const, topic: TOPIC, group: GROUP, final: false };
    try {
      const views = await consumer.receive(16, INVISIBLE_MS);
      const deliveries = views.map(({ body, deliveryAttempt }): Delivery => {
        const words = readBody(body);
        return {
          ...{ id: words?.id ?? '', bodyCrc: crc32(body), intact: words !== null },
          // The client does not tell the place.
          ...{ queueId: -1, queueOffset: -1, attempt: deliveryAttempt ?? 1 },
        };
      });
      tell(startedAtMs, 'ok', null, { ...action, deliveries });
      for (const view of views) await consumer.ack(view);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      tell(startedAtMs, 'info', error.message.slice(0, 200), { ...action, deliveries: [] });
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

await (role === 'producer' ? produce() : consume());
process.exit(0);
