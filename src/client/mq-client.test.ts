import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId, PhysicalOffset, QueueOffset, Term } from '../base/units.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { BrokerError, type BrokerReply, type OutgoingMessage } from '../protocol/verbs.ts';
import { clusterStatus } from './cluster-status.ts';
import { aGroupRoute, aNodeReport, MemoryCluster, MemoryNameServer } from './memory-cluster.ts';
import { MqClient } from './mq-client.ts';
import { NodeDirectory, NoNodesKnown } from './node-directory.ts';

const message: OutgoingMessage = {
  topic: 'orders',
  messageId: '01AB',
  body: new Uint8Array([1]),
  bodyEncoding: 'identity',
  tag: null,
  keys: [],
  userProperties: {},
  bornTimestampMs: 0,
  bornHost: '127.0.0.1:0',
  traceContext: null,
};
const receipt = {
  messageId: '01AB',
  queueId: 2,
  queueOffset: QueueOffset(7),
  physicalOffset: PhysicalOffset(4096),
  duplicate: false,
};
const sent: BrokerReply = { kind: 'answer', response: { kind: 'sent', receipts: [receipt] } };
const busy: BrokerReply = { kind: 'failure', code: 'busy', message: 'The queue is full' };

function aClient(
  answer: (address: string) => BrokerReply = () => sent,
  nameServers = [new MemoryNameServer('ns:1', [aGroupRoute(['n2', 'n1', 'n3'])])],
) {
  const clock = new ManualClock();
  const cluster = new MemoryCluster((_, address) => answer(address));
  const directory = new NodeDirectory({ nameServers, endpoints: [], clock });
  const connect = (address: string) => cluster.connect(address);
  const client = new MqClient({ directory, connect, clock, timeoutMs: 5000 });
  return { clock, cluster, client, nameServers };
}

const askedIn = (cluster: MemoryCluster): string[] => cluster.calls.map(({ address }) => address);

test('send() goes to the leader and returns its receipts', async () => {
  const { client, cluster } = aClient();
  deepEqual(await client.send([message]), [receipt]);
  deepEqual(askedIn(cluster), ['n2:raft']);
  equal(cluster.calls[0]?.call.retried, false);
});

test('a node that is down is passed over, and the next one learns that it is a retry', async () => {
  const { client, cluster } = aClient();
  cluster.down.add('n2:raft');
  deepEqual(await client.send([message]), [receipt]);
  deepEqual(askedIn(cluster), ['n2:raft', 'n1:raft']);
  equal(cluster.calls[1]?.call.retried, true);
  deepEqual(cluster.calls[1]?.call.request, cluster.calls[0]?.call.request);
});

test('a call goes round until a node serves again', async () => {
  let isServing = false;
  const { client, cluster, clock, nameServers } = aClient(() => (isServing ? sent : busy));
  const answer = client.send([message]);
  await clock.advanceSettling(1000);
  ok(cluster.calls.length > 3);
  ok(nameServers[0]!.askedCount > 1, 'routes are asked for again');
  isServing = true;
  await clock.advanceSettling(500);
  deepEqual(await answer, [receipt]);
});

test('at the deadline one unknown outcome makes the whole outcome unknown', async () => {
  const { client, cluster, clock } = aClient(() => busy);
  cluster.down.add('n2:raft');
  const answer = rejects(client.send([message]), (error: unknown) => {
    ok(error instanceof BrokerError);
    equal(error.code, 'timeout');
    return (
      /No answer to send within 5000 ms/.test(error.message) && /n2 \(n2:raft\)/.test(error.message)
    );
  });
  await clock.advanceSettling(6000);
  await answer;
});

test('a call that only ever met busy nodes was surely not done', async () => {
  const { client, clock } = aClient(() => busy);
  const answer = rejects(client.send([message]), { name: 'BrokerError', code: 'busy' });
  await clock.advanceSettling(6000);
  await answer;
});

test('an answer that no other node would change is not asked for twice', async () => {
  const gone: BrokerReply = { kind: 'failure', code: 'topicNotFound', message: 'No topic orders' };
  const { client, cluster } = aClient(() => gone);
  await rejects(client.send([message]), { code: 'topicNotFound', message: 'No topic orders' });
  equal(cluster.calls.length, 1);
});

test('a node that does not lead and may not forward is passed over', async () => {
  const notLeader: BrokerReply = { kind: 'notLeader', term: Term(4), leader: NodeId('n1') };
  const { client } = aClient((address) => (address === 'n1:raft' ? sent : notLeader));
  deepEqual(await client.send([message]), [receipt]);
});

test('an answer of another kind is a broken broker, not a result', async () => {
  const { client } = aClient();
  await rejects(client.topicList(), { code: 'internal' });
});

test('without any name server the deadline ends the call with who was asked', async () => {
  const nameServer = new MemoryNameServer('ns:1', []);
  nameServer.isUp = false;
  const { client, clock } = aClient(() => sent, [nameServer]);
  const answer = rejects(client.send([message]), (error: unknown) => {
    return error instanceof NoNodesKnown && /No name server answers: .*ns:1/.test(error.message);
  });
  await clock.advanceSettling(6000);
  await answer;
});

test('an abort ends the call at once with its reason, also between rounds', async () => {
  const { client, clock } = aClient(() => busy);
  const abort = new AbortController();
  const answer = rejects(client.send([message], { signal: abort.signal }), /Ctrl-C/);
  await clock.advanceSettling(120);
  abort.abort(new Error('Ctrl-C'));
  await answer;
  equal(clock.timerCount, 0);
});

test('name servers are put together: one that is behind or away does not matter', async () => {
  const behind = new MemoryNameServer('ns:1', [
    aGroupRoute(['n1'], { claimTerm: Term(2), master: NodeId('n1') }),
  ]);
  const current = new MemoryNameServer('ns:2', [aGroupRoute(['n3', 'n2'])]);
  const away = new MemoryNameServer('ns:3', []);
  away.isUp = false;
  const { client } = aClient(() => sent, [behind, current, away]);
  const [group] = await client.directory.groups();
  equal(group?.master, 'n3');
  deepEqual(
    group?.nodes.map(({ nodeId }) => nodeId),
    ['n1', 'n2', 'n3'],
  );
  deepEqual(
    client.directory.nameServerReports.map(({ isReachable }) => isReachable),
    [true, true, false],
  );
});

test('of several groups the one that has the topic is asked', async () => {
  const nameServer = new MemoryNameServer('ns:1', [
    aGroupRoute(['n1'], { group: 'broker-a' }),
    aGroupRoute(['m1'], { group: 'broker-b' }),
  ]);
  nameServer.topics = { orders: 'broker-b' };
  const { client, cluster } = aClient(() => sent, [nameServer]);
  await client.send([message]);
  deepEqual(askedIn(cluster), ['m1:raft']);
});

test('the status shows members that do not answer and those that only peers know', async () => {
  const peer = (nodeId: string) => ({
    nodeId: NodeId(nodeId),
    connected: false,
    raftAddress: `${nodeId}:raft`,
    grpcAddress: `${nodeId}:grpc`,
    httpAddress: null,
    matchIndex: null,
    lagBytes: null,
  });
  const report = aNodeReport('n1', {
    role: 'leader',
    serving: true,
    peers: [peer('n2'), peer('n3')],
  });
  const nameServer = new MemoryNameServer('ns:1', [aGroupRoute(['n1', 'n2'])]);
  const answer: BrokerReply = { kind: 'answer', response: { kind: 'status', status: report } };
  const { client, cluster } = aClient(() => answer, [nameServer]);
  cluster.down.add('n2:raft').add('n3:raft');
  const { groups } = await clusterStatus(client);
  equal(groups[0]?.leader, 'n1');
  deepEqual(
    groups[0]?.nodes.map(({ nodeId, report, why, grpc }) => [nodeId, report !== null, why, grpc]),
    [
      ['n1', true, '', 'n1:grpc'],
      ['n2', false, 'n2:raft refused the connection', 'n2:grpc'],
      ['n3', false, 'n3:raft refused the connection', 'n3:grpc'],
    ],
  );
});

test('close() closes the connections', async () => {
  const { client, cluster } = aClient();
  await client.send([message]);
  client.close();
  equal(cluster.isClosed, true);
});
