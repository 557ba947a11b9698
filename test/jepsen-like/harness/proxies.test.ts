/** A relay passes what it gets, and each direction can be cut, slowed and healed for itself. */
import { equal, ok } from 'node:assert/strict';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { CLIENTS } from './network.ts';
import { ProxyNetwork } from './proxies.ts';

const NODES = ['n1', 'n2'];
const SILENCE_MS = 150;
const DELAY_MS = 120;
const DEADLINE_MS = 5_000;

suite('ProxyNetwork', () => {
  let network: ProxyNetwork;
  let server: Server;
  let client: Socket;
  let there = '';
  let back = '';
  let accepted: Socket | null = null;

  before(async () => {
    network = await ProxyNetwork.create(NODES);
    const port = Number(network.addressesOf('n1').raft.split(':')[1]);
    server = createServer((socket) => {
      accepted = socket;
      socket.on('data', (bytes: Buffer) => {
        there += bytes.toString();
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const [host, relay] = network.forClients('n1').raft.split(':');
    client = createConnection({ host: host!, port: Number(relay) });
    client.on('data', (bytes: Buffer) => {
      back += bytes.toString();
    });
    client.write('a');
    await until(() => there === 'a' && accepted !== null);
  });
  after(async () => {
    client.destroy();
    server.close();
    await network.close();
  });

  test('both directions pass', async () => {
    accepted?.write('b');
    await until(() => back === 'b');
  });

  test('a cut direction is silent, the other one is not, and healing brings what waited', async () => {
    await network.block(CLIENTS, 'n1');
    client.write('c');
    accepted?.write('d');
    await until(() => back === 'bd');
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    equal(there, 'a');
    await network.heal(CLIENTS, 'n1');
    await until(() => there === 'ac');
  });

  test('a cut between nodes does not touch clients', async () => {
    await network.block('n2', 'n1');
    client.write('e');
    await until(() => there === 'ace');
    await network.healAll();
  });

  test('a slow way is slow', async () => {
    await network.worsen(CLIENTS, 'n1', { lossPercent: 0, bytesPerSecond: 0, delayMs: DELAY_MS });
    const sentAtMs = performance.now();
    client.write('f');
    await until(() => there === 'acef');
    ok(performance.now() - sentAtMs >= DELAY_MS - 1);
    equal(network.lacks({ lossPercent: 1, bytesPerSecond: 0, delayMs: 0 }) === null, false);
  });
});

async function until(isSo: () => boolean): Promise<void> {
  const deadlineAtMs = performance.now() + DEADLINE_MS;
  while (!isSo()) {
    ok(performance.now() < deadlineAtMs, 'in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
