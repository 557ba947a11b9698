import { deepEqual, equal, rejects } from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { Term } from '../../src/base/units.ts';
import { createBroker } from '../../src/broker/broker.ts';
import { brokerService } from '../../src/broker/broker-service.ts';
import { createGrpcForwardTransport } from '../../src/broker/forward-transport.ts';
import { createGateway } from '../../src/broker/gateway.ts';
import type { BrokerRequest } from '../../src/broker/verbs.ts';
import { createBrokerCallClient } from '../../src/client/broker-call-client.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import { waitFor } from '../replica/wait-for.ts';
import { outgoing, receiveRequest, TOPIC } from './broker-fixture.ts';
import { MemoryReplica } from './memory-replica.ts';

async function openServer(t: TestContext) {
  const replica = await MemoryReplica.open();
  const clock = new ManualClock();
  const broker = createBroker({ replica, clock, autoCreateTopics: true, storeHost: '10.0.0.9:1' });
  const gateway = createGateway({
    replica,
    clock,
    broker,
    transport: createGrpcForwardTransport(),
    ownAddresses: { raft: '', grpc: '', http: '' },
    memberRaftAddress: () => null,
  });
  const server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
  const { definition, implementation } = brokerService(gateway);
  server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const client = createBrokerCallClient(`127.0.0.1:${port}`);
  t.after(() => {
    client.close();
    gateway.close();
    server.forceShutdown();
  });
  return { replica, broker, client, server };
}

const callOf = (request: BrokerRequest) => ({
  remainingMs: 10_000,
  hops: 1,
  leaderTerm: Term(1),
  retried: false,
  request,
});
const noSignal = () => new AbortController().signal;

test('a call over gRPC is answered, refused, or sent on its way', async (t) => {
  const { replica, client } = await openServer(t);
  const send = callOf({ kind: 'send', messages: [outgoing({ body: new Uint8Array(4_000_000) })] });
  deepEqual((await client.call(send, noSignal())).kind, 'notLeader');
  replica.lead();
  const sent = await client.call(send, noSignal());
  equal(sent.kind === 'answer' && sent.response.kind, 'sent');
  const received = await client.call(callOf(receiveRequest()), noSignal());
  equal(
    received.kind === 'answer' &&
      received.response.kind === 'received' &&
      received.response.messages[0]?.body.length,
    4_000_000,
  );
  const refused = await client.call(
    callOf({ kind: 'send', messages: [outgoing({ tag: ' ' })] }),
    noSignal(),
  );
  equal(refused.kind === 'failure' && refused.code, 'illegalTag');
});

test('a caller that cancels ends the poll at the other side', async (t) => {
  const { replica, client, broker } = await openServer(t);
  replica.lead();
  const put = { kind: 'topicPut', topic: TOPIC, queueCount: 1 } as const;
  await client.call(callOf(put), noSignal());
  const leaving = new AbortController();
  const polling = rejects(client.call(callOf(receiveRequest({ waitMs: 9_000 })), leaving.signal), {
    reason: 'cancelled',
  });
  await waitFor('the poll is waiting', () => broker.pollCount === 1);
  leaving.abort();
  await polling;
  await waitFor('the poll has ended', () => broker.pollCount === 0);
});

test('a node that is not there is unreachable, not silent', async (t) => {
  const { client, server } = await openServer(t);
  server.forceShutdown();
  await rejects(client.call(callOf({ kind: 'status' }), noSignal()), { reason: 'unreachable' });
});
