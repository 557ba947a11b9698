/** A machine may come back under its name with another address: names are asked for again. */
import { equal } from 'node:assert/strict';
import dns from 'node:dns';
import { test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { Term } from '../base/units.ts';
import { brokerServiceDefinition } from '../protocol/verb-codec.ts';
import type { BrokerReply } from '../protocol/verbs.ts';
import { BrokerCallFailure, createBrokerCallClient } from './broker-call-client.ts';
import { aNodeReport } from './memory-cluster.ts';

const NAME = 'moving.mq-raft.test';
const DEADLINE_MS = 10_000;

test('a node that moved to another address is found again under its name', async (t) => {
  const [first, second] = ['127.0.0.2', '127.0.0.3'];
  let address = first;
  const lookup = t.mock.method(dns.promises, 'lookup', async (host: string) => {
    equal(host, NAME);
    return [{ address, family: 4 }];
  });
  const old = await serve('old', first, 0);
  const client = createBrokerCallClient(`${NAME}:${old.port}`);
  t.after(() => client.close());
  equal(await whoAnswers(client), 'old');

  old.server.forceShutdown();
  address = second;
  const moved = await serve('moved', second, old.port);
  t.after(() => moved.server.forceShutdown());
  equal(await whoAnswers(client), 'moved');
  equal(lookup.mock.callCount() >= 2, true);
});

type CallClient = ReturnType<typeof createBrokerCallClient>;

/** Asks until somebody answers. */
async function whoAnswers(client: CallClient): Promise<string> {
  const call = {
    hops: 0,
    leaderTerm: Term(0),
    retried: false,
    request: { kind: 'status' },
  } as const;
  const deadlineAtMs = Date.now() + DEADLINE_MS;
  for (;;) {
    try {
      const reply = await client.call({ ...call, remainingMs: 500 }, new AbortController().signal);
      if (reply.kind === 'answer' && reply.response.kind === 'status') {
        return reply.response.status.nodeId;
      }
    } catch (error) {
      if (!(error instanceof BrokerCallFailure) || Date.now() > deadlineAtMs) throw error;
    }
  }
}

async function serve(
  nodeId: string,
  host: string,
  port: number,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server();
  const reply: BrokerReply = {
    kind: 'answer',
    response: { kind: 'status', status: aNodeReport(nodeId) },
  };
  server.addService(brokerServiceDefinition(), {
    call: (_: unknown, callback: (error: null, reply: BrokerReply) => void) =>
      callback(null, reply),
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error === null ? resolve(at) : reject(error),
    );
  });
  return { server, port: bound };
}
