import { deepEqual, equal, ok } from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import { choosePorts, isPortFree } from './ports.ts';

const HOST = '127.0.0.1';

/** Really listens; port 0 takes a free one. */
function taken(t: TestContext, host = HOST): Promise<number> {
  const server: Server = createServer();
  t.after(() => server.close());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('No port'));
      else resolve(address.port);
    });
  });
}

test('a port that somebody listens on is not free, on this or on all addresses', async (t) => {
  equal(await isPortFree(HOST, await taken(t)), false);
  equal(await isPortFree(HOST, await taken(t, '0.0.0.0')), false);
});

test('choosePorts() moves what is taken, and only that', async (t) => {
  const port = await taken(t);
  const [free] = await choosePorts(HOST, [port + 20]);
  const ports = await choosePorts(HOST, [port, free!]);
  ok(ports[0]! > port);
  equal(ports[1], free);
  ok(await isPortFree(HOST, ports[0]!));
});

test('choosePorts() does not move onto a port that another one wishes for', async (t) => {
  const port = await taken(t);
  const wishes = [port, port + 1, port + 2, port + 3];
  const ports = await choosePorts(HOST, wishes);
  equal(new Set(ports).size, 4);
  ok(!wishes.includes(ports[0]!), 'the moved one is beyond all wishes');
});

test('choosePorts() gives one port once, also when it is wished for twice', async (t) => {
  const port = await taken(t);
  const [a, b] = await choosePorts(HOST, [port, port]);
  ok(a !== b);
  deepEqual([a, b].includes(port), false);
});
