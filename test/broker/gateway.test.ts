import { deepEqual, equal, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId, PhysicalOffset, QueueOffset, Term } from '../../src/base/units.ts';
import { createBroker } from '../../src/broker/broker.ts';
import type { ForwardTransport } from '../../src/broker/forward-transport.ts';
import { createGateway, type Gateway } from '../../src/broker/gateway.ts';
import { GATEWAY_LIMITS } from '../../src/broker/limits.ts';
import type { BrokerReply, BrokerRequest } from '../../src/broker/verbs.ts';
import { BrokerCallFailure } from '../../src/client/broker-call-client.ts';
import { ManualClock } from '../../src/io/memory/manual-clock.ts';
import type { BrokerCall } from '../../src/protocol/verb-codec.ts';
import { outgoing, receiveRequest } from './broker-fixture.ts';
import { MemoryReplica } from './memory-replica.ts';

const n2 = NodeId('n2');
const n3 = NodeId('n3');
const addresses = { raft: 'self:1', grpc: 'self:2', http: 'self:3' };
const SEND: BrokerRequest = { kind: 'send', messages: [outgoing({ messageId: 'x' })] };
const SENT: BrokerReply = {
  kind: 'answer',
  response: {
    kind: 'sent',
    receipts: [
      {
        messageId: 'x',
        queueId: 0,
        queueOffset: QueueOffset(7),
        physicalOffset: PhysicalOffset(7),
        duplicate: false,
      },
    ],
  },
};

/** The network: every call waits until the test answers it. */
class TestTransport implements ForwardTransport {
  readonly calls: {
    readonly address: string;
    readonly call: BrokerCall;
    readonly signal: AbortSignal;
    readonly answer: (reply: BrokerReply) => void;
    readonly fail: () => void;
  }[] = [];

  call(address: string, call: BrokerCall, signal: AbortSignal): Promise<BrokerReply> {
    return new Promise((answer, reject) => {
      const fail = () => reject(new BrokerCallFailure('unreachable', 'broken'));
      this.calls.push({ address, call, signal, answer, fail });
    });
  }

  close(): void {}
}

interface Node {
  readonly gateway: Gateway;
  readonly replica: MemoryReplica;
  readonly transport: TestTransport;
  readonly clock: ManualClock;
  call(request: BrokerRequest, timeoutMs?: number, signal?: AbortSignal): Promise<unknown>;
}

async function openNode(): Promise<Node> {
  const replica = await MemoryReplica.open();
  const clock = new ManualClock();
  const transport = new TestTransport();
  const broker = createBroker({
    replica,
    clock,
    autoCreateTopics: true,
    storeHost: '10.0.0.9:10911',
  });
  const gateway = createGateway({
    replica,
    clock,
    broker,
    transport,
    ownAddresses: addresses,
    memberRaftAddress: (nodeId) => `${nodeId}:1`,
  });
  return {
    gateway,
    replica,
    transport,
    clock,
    call: (request, timeoutMs = 2_000, signal = new AbortController().signal) =>
      gateway.call(request, {
        deadlineAtMonotonicMs: clock.monotonicMs() + timeoutMs,
        signal,
      }),
  };
}

test('a leader serves here', async () => {
  const { replica, call, transport } = await openNode();
  replica.lead();
  deepEqual(((await call(SEND)) as { kind: string }).kind, 'sent');
  equal(transport.calls.length, 0);
});

test('a follower forwards to the leader and relays the answer', async () => {
  const { replica, call, transport, clock } = await openNode();
  replica.setLeader(n2);
  const calling = call(SEND);
  await clock.advanceSettling(10);
  const [sent] = transport.calls;
  equal(sent?.address, 'n2:1');
  deepEqual([sent.call.hops, sent.call.retried, sent.call.remainingMs], [1, false, 2_000]);
  sent.answer(SENT);
  deepEqual(await calling, SENT.response);
});

test('an error of the leader is the error of the call', async () => {
  const { replica, call, transport, clock, gateway } = await openNode();
  replica.setLeader(n2);
  const calling = rejects(call(SEND), { code: 'bodyTooLarge', message: 'too large' });
  await clock.advanceSettling(0);
  transport.calls[0]?.answer({ kind: 'failure', code: 'bodyTooLarge', message: 'too large' });
  await calling;
  equal(gateway.waitingCount, 0);
});

test('without a leader a call waits, and goes on the moment there is one', async () => {
  const { replica, call, transport, clock, gateway } = await openNode();
  const calling = call(SEND);
  await clock.advanceSettling(1_500);
  equal(gateway.waitingCount, 1);
  replica.setLeader(n3);
  await clock.advanceSettling(0);
  equal(transport.calls[0]?.address, 'n3:1');
  equal(transport.calls[0]?.call.remainingMs, 500);
  transport.calls[0]?.answer(SENT);
  deepEqual(await calling, SENT.response);
});

test('a node that was removed lets nobody wait: the last leader answers, or says who leads', async () => {
  const { replica, call, transport, clock, gateway } = await openNode();
  replica.setLeader(n2);
  const first = call(SEND);
  await clock.advanceSettling(0);
  transport.calls[0]?.answer(SENT);
  await first;
  replica.setLeader(null);
  const calling = call(SEND);
  await clock.advanceSettling(0);
  equal(gateway.waitingCount, 1);
  replica.beRemoved();
  await clock.advanceSettling(0);
  equal(gateway.waitingCount, 0);
  equal(transport.calls[1]?.address, 'n2:1');
  transport.calls[1]?.answer({ kind: 'notLeader', term: Term(9), leader: n3 });
  await clock.advanceSettling(GATEWAY_LIMITS.retryPauseMs);
  equal(transport.calls[2]?.address, 'n3:1');
  transport.calls[2]?.answer(SENT);
  deepEqual(await calling, SENT.response);
});

test('a node that was removed and knows nobody refuses at once', async () => {
  const { replica, call, clock } = await openNode();
  const calling = rejects(call(SEND), { code: 'timeout', message: /removed from its group/ });
  await clock.advanceSettling(0);
  replica.beRemoved();
  await clock.advanceSettling(0);
  await calling;
  equal(clock.timerCount, 0);
});

test('a call that finds no leader until its deadline times out, and says so', async () => {
  const { call, clock, gateway } = await openNode();
  const calling = rejects(call(SEND), { code: 'timeout', message: /no leader/ });
  await clock.advanceSettling(2_000);
  await calling;
  equal(gateway.waitingCount, 0);
  equal(clock.timerCount, 0);
});

test('a node that wins the election serves the calls that waited', async () => {
  const { replica, call, clock } = await openNode();
  const calling = call(SEND);
  await clock.advanceSettling(100);
  replica.lead();
  deepEqual(((await calling) as { kind: string }).kind, 'sent');
});

test('a forward to a node that lost the lead is given up at once and goes to the next', async () => {
  const { replica, call, transport, clock } = await openNode();
  replica.setLeader(n2);
  const calling = call(SEND);
  await clock.advanceSettling(0);
  replica.setLeader(null);
  equal(transport.calls[0]?.signal.aborted, true);
  await clock.advanceSettling(300);
  replica.setLeader(n3);
  await clock.advanceSettling(0);
  deepEqual([transport.calls[1]?.address, transport.calls[1]?.call.retried], ['n3:1', true]);
  transport.calls[1]?.answer(SENT);
  deepEqual(await calling, SENT.response);
});

test('a broken connection or a contradiction is tried again after a moment', async () => {
  const { replica, call, transport, clock } = await openNode();
  replica.setLeader(n2);
  const calling = call(SEND);
  await clock.advanceSettling(0);
  transport.calls[0]?.fail();
  await clock.advanceSettling(GATEWAY_LIMITS.retryPauseMs - 1);
  equal(transport.calls.length, 1);
  await clock.advanceSettling(1);
  transport.calls[1]?.answer({ kind: 'notLeader', term: Term(1), leader: null });
  await clock.advanceSettling(GATEWAY_LIMITS.retryPauseMs);
  transport.calls[2]?.answer(SENT);
  deepEqual(await calling, SENT.response);
});

test('a write whose leader falls here is asked again, and stored once', async () => {
  const { replica, call, clock } = await openNode();
  replica.lead();
  await call({ kind: 'topicPut', topic: 'payments', queueCount: 1 });
  replica.commitMode = 'held';
  const calling = call(SEND);
  await clock.advanceSettling(0);
  replica.loseLeadership(null, 'survive');
  replica.commitMode = 'auto';
  await clock.advanceSettling(0);
  replica.lead();
  const { receipts } = (await calling) as { receipts: { queueOffset: number }[] };
  equal(receipts[0]?.queueOffset, 0);
  equal(replica.state.queueRange('payments', 0).next, 1);
});

test('a write that does not commit in time is reported as unknown', async () => {
  const { replica, call, clock } = await openNode();
  replica.lead();
  await call({ kind: 'topicPut', topic: 'payments', queueCount: 1 });
  replica.commitMode = 'held';
  const calling = rejects(call(SEND), { code: 'timeout', message: /unknown/ });
  await clock.advanceSettling(2_000);
  await calling;
});

test('a caller that goes away cancels its forward', async () => {
  const { replica, call, transport, clock } = await openNode();
  replica.setLeader(n2);
  const leaving = new AbortController();
  const calling = rejects(call(SEND, 2_000, leaving.signal), { code: 'timeout' });
  await clock.advanceSettling(0);
  leaving.abort();
  await calling;
  equal(transport.calls[0]?.signal.aborted, true);
});

test('a caller that went away before the call leaves nothing behind', async () => {
  const { call, clock, gateway } = await openNode();
  await rejects(call(SEND, 2_000, AbortSignal.abort()), { code: 'timeout' });
  deepEqual([clock.timerCount, gateway.waitingCount], [0, 0]);
});

test('a long poll that moves to another leader keeps its waiting time and its name', async () => {
  const { replica, call, transport, clock } = await openNode();
  replica.setLeader(n2);
  const calling = rejects(call(receiveRequest({ waitMs: 20_000 }), 23_000), { code: 'timeout' });
  await clock.advanceSettling(8_000);
  replica.setLeader(n3);
  await clock.advanceSettling(0);
  const [first, second] = transport.calls.map(({ call: { request } }) => request);
  equal(first?.kind === 'receive' && first.waitMs, 20_000);
  equal(second?.kind === 'receive' && second.waitMs, 12_000);
  equal(
    first?.kind === 'receive' && first.attemptId,
    second?.kind === 'receive' && second.attemptId,
  );
  await clock.advanceSettling(15_000);
  await calling;
});

test('a forwarded call is never forwarded again', async () => {
  const { replica, gateway, transport } = await openNode();
  replica.setLeader(n3);
  const call = { remainingMs: 1_000, hops: 1, leaderTerm: Term(1), retried: false, request: SEND };
  const reply = await gateway.answer(call, new AbortController().signal);
  deepEqual(reply, { kind: 'notLeader', term: 1, leader: 'n3' });
  equal(transport.calls.length, 0);
});

test('a direct call from the command line is forwarded like any other', async () => {
  const { replica, gateway, transport, clock } = await openNode();
  replica.setLeader(n3);
  const call = { remainingMs: 1_000, hops: 0, leaderTerm: Term(0), retried: false, request: SEND };
  const answering = gateway.answer(call, new AbortController().signal);
  await clock.advanceSettling(0);
  transport.calls[0]?.answer(SENT);
  deepEqual(await answering, SENT);
});

test('a call that claims to have weeks is bounded, not cut short', async () => {
  const { gateway, replica, transport, clock } = await openNode();
  replica.setLeader(n2);
  const { signal } = new AbortController();
  const call = { remainingMs: 2 ** 32 - 1, hops: 0, leaderTerm: Term(0), retried: false };
  const answering = gateway.answer({ ...call, request: SEND }, signal);
  await clock.advanceSettling(10);
  const [sent] = transport.calls;
  equal(sent?.call.remainingMs, GATEWAY_LIMITS.callMsMax);
  sent?.answer(SENT);
  deepEqual(await answering, SENT);
});

test('status is answered by the asked node, leader or not', async () => {
  const { replica, gateway } = await openNode();
  replica.setLeader(n3);
  const request = { kind: 'status' } as const;
  const call = { remainingMs: 1_000, hops: 0, leaderTerm: Term(0), retried: false, request };
  const reply = await gateway.answer(call, new AbortController().signal);
  equal(reply.kind === 'answer' && reply.response.kind === 'status', true);
});

test('only so many calls wait for a leader', async () => {
  const { call, gateway, clock } = await openNode();
  const waiting = Array.from({ length: GATEWAY_LIMITS.waitingCallsMax }, () =>
    call({ kind: 'topicList' }, 100).catch((error: unknown) => (error as { code: string }).code),
  );
  await rejects(call({ kind: 'topicList' }), { code: 'busy' });
  gateway.close();
  deepEqual(new Set(await Promise.all(waiting)), new Set(['timeout']));
  equal(clock.timerCount, 0);
});

test('live nodes are this one first, then the connected peers', async () => {
  const { replica, gateway } = await openNode();
  replica.addresses.set(n2, { raft: 'b:1', grpc: 'b:2', http: 'b:3' });
  replica.addresses.set(n3, { raft: 'c:1', grpc: 'c:2', http: 'c:3' });
  replica.connected.add(n3);
  deepEqual(gateway.local.liveNodes(), [
    { nodeId: 'n1', grpcAddress: 'self:2', isLeaving: false },
    { nodeId: 'n3', grpcAddress: 'c:2', isLeaving: false },
  ]);
  gateway.beginStopping();
  equal(gateway.local.isLeaving(), true);
  deepEqual(
    gateway.local.liveNodes().map(({ isLeaving }) => isLeaving),
    [true, false],
  );
  equal(gateway.local.topic('none'), null);
});
