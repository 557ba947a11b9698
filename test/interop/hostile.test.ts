/** Bytes and connections that mean no good, on every port of real processes. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { inTime } from './deadline.ts';
import { HostileCluster } from './hostile-cluster.ts';
import { owning } from './owner.ts';
import { pollOnce, pollRequest, rawClient, sendRaw, talk } from './raw-calls.ts';
import { waitFor } from './test-cluster.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SHORT_CONNECTIONS_PER_PORT = 400;
const CONNECTIONS_AT_ONCE = 50;
const DAWDLERS_PER_PORT = 20;
const DAWDLER_TIMEOUT_MS = 20_000;
const CANCELLED_CALLS = 500;
const HANG_UP_TIMEOUT_MS = 20_000;

/** No port may depend on chance in a test: a fixed, well mixed sequence. */
function noise(sizeBytes: number): Buffer {
  let state = 0x9e3779b9;
  return Buffer.from(
    Array.from({ length: sizeBytes }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    }),
  );
}

/** An HTTP/2 frame with whatever in it. */
function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

const repeated = (bytes: Buffer, count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => bytes));
const NOTHING = Buffer.alloc(0);
const SETTINGS = frame(4, 0, 0, NOTHING);
const afterPreface = (...frames: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(PREFACE), SETTINGS, ...frames]);

const ATTACKS: readonly (readonly [what: string, bytes: Uint8Array | string])[] = [
  ['nothing', ''],
  ['a megabyte of zeros', Buffer.alloc(1024 * 1024)],
  ['noise', noise(65_536)],
  ['a TLS hello', Buffer.from('16030100a5010000a10303', 'hex')],
  ['a line of HTTP/1.1 that does not end', `GET /${'x'.repeat(100_000)}`],
  ['two requests of which one lies about its length', smuggling()],
  ['half a preface', PREFACE.slice(0, 15)],
  ['a preface and noise', Buffer.concat([Buffer.from(PREFACE), noise(4_096)])],
  [
    'a frame that claims 16 MB',
    Buffer.concat([Buffer.from(PREFACE), Buffer.from('ffffff000000000001', 'hex')]),
  ],
  ['thousands of pings', afterPreface(repeated(frame(6, 0, 0, Buffer.alloc(8)), 5_000))],
  ['thousands of settings', afterPreface(repeated(SETTINGS, 5_000))],
  [
    'headers that never end',
    afterPreface(frame(1, 0, 1, NOTHING), repeated(frame(9, 0, 1, Buffer.alloc(1_024)), 200)),
  ],
];

function smuggling(): string {
  return 'POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /';
}

suite('hostile bytes and connections', { timeout: 180_000 }, () => {
  let hostile: HostileCluster;
  before(async () => {
    hostile = await HostileCluster.start();
  });
  after(async () => {
    await hostile.close();
  });

  for (const [what, bytes] of ATTACKS) {
    test(`${what}: hung up on at every port, and everything goes on`, async () => {
      const talks = hostile.ports.map(async ([name, address]) => {
        const hungUp = `${name} to hang up on ${what}`;
        await inTime(hungUp, talk(address, bytes), HANG_UP_TIMEOUT_MS);
      });
      await Promise.all(talks);
      await hostile.alive();
    });
  }

  test('thousands of connections that close at once, with and without a reset', async () => {
    for (const [, address] of hostile.ports) {
      for (let done = 0; done < SHORT_CONNECTIONS_PER_PORT; done += CONNECTIONS_AT_ONCE) {
        await Promise.all(
          Array.from({ length: CONNECTIONS_AT_ONCE }, (_, i) => touch(address, i % 2 === 0)),
        );
      }
    }
    await hostile.alive();
  });

  test('connections that stop after a byte or a legal greeting hold nobody up, and are cut', async () => {
    await owning(async (owner) => {
      const { nodes, nameServer } = hostile.cluster;
      // Clients on flaky networks get a longer patience on the port for messages: not waited for.
      const patient = nodes.map(({ grpc }) => grpc);
      const quick = [nameServer, ...nodes.flatMap(({ raft, http }) => [raft, http])];
      const dawdlers = await Promise.all([...patient, ...quick].map((each) => dawdle(each)));
      owner.after(async () => {
        for (const { sockets } of dawdlers) for (const socket of sockets) socket.destroy();
      });
      await hostile.alive();
      const client = rawClient(owner, nodes[0]!.grpc);
      await sendRaw(client, 'hostile-dawdlers', 'while others dawdle');
      const watched = dawdlers.slice(patient.length);
      const openAt = () => watched.filter(({ sockets }) => sockets.some(({ closed }) => !closed));
      await waitFor(
        'dawdlers to be cut',
        async () => (openAt().length === 0 ? true : null),
        DAWDLER_TIMEOUT_MS,
      ).catch((error: unknown) => {
        const where = openAt().map(({ address }) => address);
        throw new Error(`not cut at ${where.join()} of ${JSON.stringify(hostile.ports)}`, {
          cause: error,
        });
      });
    });
  });

  test('polls that are cancelled by the hundred keep no message: the next one gets it', async () => {
    await owning(async (owner) => {
      const [node] = hostile.cluster.nodes;
      const client = rawClient(owner, node!.grpc);
      await client.call('queryRoute', { topic: { name: 'hostile-cancel' } });
      const request = pollRequest('hostile-cancel', 'nobody', { waitMs: 15_000 });
      const cancels = Array.from({ length: CANCELLED_CALLS }, () =>
        client.startAndForget('receiveMessage', request),
      );
      // Behind them on the same connection: when it is answered, the polls have arrived.
      await client.call('heartbeat', {});
      for (const cancel of cancels) cancel();
      await sendRaw(rawClient(owner, node!.grpc), 'hostile-cancel', 'first');
      const { messages } = await pollOnce(rawClient(owner, node!.grpc), request);
      deepEqual(
        messages.map(({ systemProperties }) => systemProperties?.messageId),
        ['first'],
      );
      await hostile.alive();
    });
  });

  test('a session that opens streams and resets them at once does no harm', async () => {
    const session = connectHttp2(`http://${hostile.cluster.nodes[0]!.grpc}`);
    session.on('error', () => undefined);
    const path = '/apache.rocketmq.v2.MessagingService/ReceiveMessage';
    for (let i = 0; i < CANCELLED_CALLS && !session.destroyed; i++) {
      const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers' });
      stream.on('error', () => undefined);
      stream.close();
    }
    session.destroy();
    await hostile.alive();
  });

  test('an http request for anything else than a page is refused in words', async () => {
    const { http } = hostile.cluster.nodes[0]!;
    const refusals = [
      ['/nowhere', 'GET', 404, /Served are \/livez, \/readyz and \/metrics/],
      ['/metrics', 'DELETE', 405, /Only GET is served here/],
      ['/%', 'GET', 404, /Not here/],
    ] as const;
    for (const [path, method, status, words] of refusals) {
      const signal = AbortSignal.timeout(HANG_UP_TIMEOUT_MS);
      const response = await fetch(`http://${http}${path}`, { method, signal });
      equal(response.status, status, path);
      ok(words.test(await response.text()), path);
    }
  });

  test('afterwards all is as before: processes, descriptors, memory, logs, and it serves', async () => {
    await hostile.unharmed('hostile-after');
  });
});

/** Opens a connection and leaves. */
async function touch(address: string, withReset: boolean): Promise<void> {
  const socket = open(address);
  socket.on('connect', () => (withReset ? socket.resetAndDestroy() : socket.destroy()));
  await inTime(`${address} to let go`, once(socket, 'close'));
}

async function dawdle(address: string) {
  const sockets = Array.from({ length: DAWDLERS_PER_PORT }, () => open(address));
  for (const socket of sockets) socket.resume();
  const connects = Promise.all(sockets.map((socket) => once(socket, 'connect')));
  await inTime(`connections to ${address}`, connects);
  for (const [i, socket] of sockets.entries()) {
    if (i % 2 === 0) socket.write('P');
    else socket.end(afterPreface());
  }
  return { address, sockets };
}

function open(address: string): Socket {
  const cut = address.lastIndexOf(':');
  const socket = connect(Number(address.slice(cut + 1)), address.slice(0, cut));
  // A reset is one way of being cut.
  return socket.on('error', () => undefined);
}
