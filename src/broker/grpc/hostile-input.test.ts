import { equal, notEqual, ok } from 'node:assert/strict';
import { connect as connectSocket } from 'node:net';
import { test } from 'node:test';
import { status as GRPC_STATUS } from '@grpc/grpc-js';
import fc from 'fast-check';
import { CODE } from './status-codes.ts';
import type { RawClient } from './testing/raw-client.ts';
import { addressPartsOf, setUp } from './testing/set-up.ts';

const PATH = '/apache.rocketmq.v2.MessagingService';

/** What a socket reads until the other side closes it. */
function talk(address: string, bytes: Uint8Array | string): Promise<string> {
  const { host, port } = addressPartsOf(address);
  return new Promise((resolve) => {
    const heard: Buffer[] = [];
    const socket = connectSocket(port, host, () => socket.end(bytes));
    socket.on('data', (chunk) => heard.push(chunk));
    // A reset is one way of hanging up.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(heard).toString('latin1')));
  });
}

async function stillServes(client: RawClient): Promise<void> {
  const answer = await client.call('heartbeat', {});
  equal(answer.status?.code, CODE.ok);
}

const GARBAGE: readonly { readonly what: string; readonly bytes: Uint8Array | string }[] = [
  { what: 'nothing', bytes: '' },
  { what: 'HTTP/1.1', bytes: 'GET / HTTP/1.1\r\nhost: x\r\n\r\n' },
  { what: 'zeros', bytes: Buffer.alloc(10_000) },
  { what: 'a TLS hello', bytes: Buffer.from('16030100a5010000a10303', 'hex') },
  { what: 'half a preface', bytes: 'PRI * HTTP/2.0\r\n\r\nSM' },
  {
    what: 'a preface and a frame that claims 16 MB',
    bytes: Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.from('ffffff000000000001', 'hex'),
    ]),
  },
];
for (const { what, bytes } of GARBAGE) {
  test(`${what} on the port is hung up on, and the endpoint goes on`, async (t) => {
    const { endpoint, connect } = await setUp(t);
    await talk(endpoint.address, bytes);
    await stillServes(connect('c'));
  });
}

test('an unknown method is UNIMPLEMENTED', async (t) => {
  const { connect } = await setUp(t);
  const client = connect('c');
  const error = await client.callWithBytes(`${PATH}/NoSuchThing`, Buffer.alloc(0));
  equal(error?.code, GRPC_STATUS.UNIMPLEMENTED);
  await stillServes(client);
});

const METHODS = ['SendMessage', 'QueryRoute', 'AckMessage', 'Heartbeat', 'ReceiveMessage'];

test('bytes that are no message end the call with a gRPC error or a refusal', async (t) => {
  const { connect } = await setUp(t);
  const client = connect('c');
  for (const method of METHODS) {
    const error = await client.callWithBytes(`${PATH}/${method}`, Buffer.from('0aff', 'hex'));
    notEqual(error, null, method);
  }
  await stillServes(client);
});

test('no bytes at all crash a call', async (t) => {
  const { connect, endpoint } = await setUp(t);
  const client = connect('c');
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...METHODS),
      fc.uint8Array({ maxLength: 60 }),
      async (method, bytes) => {
        const error = await client.callWithBytes(`${PATH}/${method}`, bytes);
        ok(error === null || error.code === GRPC_STATUS.INTERNAL, error?.message);
      },
    ),
    { numRuns: 150 },
  );
  equal(endpoint.counts.unexpectedErrors, 0);
  await stillServes(client);
});

test('a message beyond the limit is RESOURCE_EXHAUSTED', async (t) => {
  const { connect } = await setUp(t);
  const client = connect('c');
  const error = await client.callWithBytes(`${PATH}/SendMessage`, Buffer.alloc(17 * 1024 * 1024));
  equal(error?.code, GRPC_STATUS.RESOURCE_EXHAUSTED);
  await stillServes(client);
});

test('bytes that are no command end a telemetry stream, and nothing else', async (t) => {
  const { connect, endpoint, until } = await setUp(t);
  const client = connect('c');
  const error = await client.callWithBytes(`${PATH}/Telemetry`, Buffer.from('12ff', 'hex'));
  ok(error !== null);
  await until(() => endpoint.clients().streamCount === 0, 'the stream was released');
  await stillServes(client);
});

test('a client id of any length and a property named __proto__ do no harm', async (t) => {
  const { connect } = await setUp(t);
  const long = await connect('x'.repeat(1_000)).call('heartbeat', {});
  equal(long.status?.code, CODE.badRequest);
  const userProperties = Object.fromEntries([
    ['__proto__', 'polluted'],
    ['constructor', 'y'],
  ]);
  const message = {
    topic: { name: 'orders' },
    body: Buffer.from('b'),
    systemProperties: { messageId: 'm', messageType: 1 },
    userProperties,
  };
  const client = connect('c');
  const answer = await client.call('sendMessage', { messages: [message] });
  equal(answer.status?.code, CODE.ok);
  equal(({} as { polluted?: string }).polluted, undefined);
  await stillServes(client);
});
