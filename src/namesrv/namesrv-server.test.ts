import { deepEqual, equal, rejects } from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { NodeId, Term } from '../base/units.ts';
import { NameServerClient, NameServerUnavailable } from '../client/name-server-client.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import type { Registration } from '../protocol/namesrv-codec.ts';
import { SCAN_INTERVAL_MS, SILENCE_MS_MAX, TOPIC_COUNT_MAX } from './limits.ts';
import { type NameServerEvent, startNameServer } from './namesrv-server.ts';

const TIMEOUT_MS = 5_000;

const registration: Registration = {
  cluster: 'dev',
  group: 'broker-a',
  nodeId: NodeId('n1'),
  storeUuid: 'uuid-n1',
  term: Term(7),
  claimsLeadership: true,
  addresses: { raft: '127.0.0.1:10912', grpc: '127.0.0.1:8081', http: '127.0.0.1:9910' },
  topics: ['orders'],
  topicsVersion: 12,
  sequence: 2 ** 45,
};

async function aNameServer(t: TestContext) {
  const clock = new ManualClock();
  const events: NameServerEvent[] = [];
  const onEvent = (event: NameServerEvent): void => void events.push(event);
  const server = await startNameServer({ listenAddress: '127.0.0.1:0', clock, onEvent });
  const client = new NameServerClient(server.address);
  t.after(async () => {
    client.close();
    await server.close();
  });
  return { clock, events, server, client };
}

test('what a broker registers comes back as a route, over the wire', async (t) => {
  const { client, clock } = await aNameServer(t);
  deepEqual(await client.register(registration, TIMEOUT_MS), { kind: 'recorded' });
  await clock.advanceSettling(40);
  const { topics, groups } = await client.routes(['orders', 'gone'], TIMEOUT_MS);
  const want = {
    cluster: 'dev',
    group: 'broker-a',
    master: 'n1',
    claimTerm: 7,
    topicsVersion: 12,
    nodes: [
      {
        nodeId: 'n1',
        storeUuid: 'uuid-n1',
        term: 7,
        addresses: registration.addresses,
        silentMs: 40,
      },
    ],
  };
  deepEqual(groups, [want]);
  deepEqual(topics, [
    { topic: 'orders', groups: [want] },
    { topic: 'gone', groups: [] },
  ]);
  deepEqual(await client.groups(TIMEOUT_MS), [want]);
});

test('refusals of claims and old sequences reach the broker', async (t) => {
  const { client, events } = await aNameServer(t);
  await client.register(registration, TIMEOUT_MS);
  const rival = { ...registration, nodeId: NodeId('n2'), storeUuid: 'uuid-n2' };
  const refused = await client.register(rival, TIMEOUT_MS);
  deepEqual(refused, {
    kind: 'claimRefused',
    why: 'sameTerm',
    highestTerm: 7,
    highestNodeId: 'n1',
  });
  deepEqual(await client.register(registration, TIMEOUT_MS), {
    kind: 'stale',
    sequenceSeen: registration.sequence,
  });
  deepEqual(
    events.map(({ kind }) => kind),
    ['nodeJoined', 'masterChanged', 'nodeJoined', 'claimRefused'],
  );
});

test('a node leaves when it says so', async (t) => {
  const { client, events } = await aNameServer(t);
  await client.register(registration, TIMEOUT_MS);
  const leave = { ...registration, sequence: registration.sequence + 1 };
  equal(await client.unregister(registration, TIMEOUT_MS), false);
  equal(await client.unregister(leave, TIMEOUT_MS), true);
  deepEqual(await client.groups(TIMEOUT_MS), []);
  deepEqual(events.at(-1), {
    kind: 'nodeLeft',
    node: { cluster: 'dev', group: 'broker-a', nodeId: 'n1' },
    why: 'unregistered',
  });
});

test('a silent node is gone after two minutes and one scan', async (t) => {
  const { client, clock, events } = await aNameServer(t);
  await client.register(registration, TIMEOUT_MS);
  await clock.advanceSettling(SILENCE_MS_MAX + SCAN_INTERVAL_MS);
  deepEqual(await client.groups(TIMEOUT_MS), []);
  equal(events.at(-1)?.kind, 'nodeLeft');
});

test('nonsense is refused by name, not recorded', async (t) => {
  const { client } = await aNameServer(t);
  const nameless = { ...registration, cluster: '' };
  await rejects(client.register(nameless, TIMEOUT_MS), (error: unknown) => {
    return error instanceof NameServerUnavailable && /cluster: 0 characters/.test(error.message);
  });
  const long = { ...registration, storeUuid: 'x'.repeat(513) };
  await rejects(client.register(long, TIMEOUT_MS), /store_uuid: 513 characters, not 0 to 512/);
  const far = { ...registration.addresses, grpc: 'x'.repeat(513) };
  await rejects(
    client.register({ ...registration, addresses: far }, TIMEOUT_MS),
    /grpc address: 513 characters/,
  );
  deepEqual(await client.groups(TIMEOUT_MS), []);
});

test('a question about more topics than a node may have is refused with both numbers', async (t) => {
  const { client } = await aNameServer(t);
  const topics = Array.from({ length: TOPIC_COUNT_MAX + 1 }, (_, i) => `t${i}`);
  await rejects(client.routes(topics, TIMEOUT_MS), /30001 topics: the limit is 30000/);
});

test('a taken address is said in one sentence, a closed server can be closed again', async (t) => {
  const { server, clock } = await aNameServer(t);
  await rejects(
    startNameServer({ listenAddress: server.address, clock }),
    (error: unknown) => error instanceof Error && /Cannot listen on 127.0.0.1/.test(error.message),
  );
  await Promise.all([server.close(), server.close()]);
});
