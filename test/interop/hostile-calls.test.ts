/** Calls that no client makes, to every service of real processes. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { Client, credentials, status as GRPC, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { QueueOffset, Term } from '../../src/base/units.ts';
import { RawClient } from '../../src/broker/grpc/testing/raw-client.ts';
import { encodeReceiptHandle } from '../../src/broker/receipt-handle.ts';
import {
  type BrokerCallClient,
  createBrokerCallClient,
} from '../../src/client/broker-call-client.ts';
import { serviceDefinition } from '../../src/protocol/schema.ts';
import type { BrokerReply, BrokerRequest } from '../../src/protocol/verbs.ts';
import { HostileCluster } from './hostile-cluster.ts';
import { owning } from './owner.ts';
import { rawClient, sendRaw } from './raw-calls.ts';

const MIB = 1024 * 1024;
const TOPIC = 'hostile-calls';
const GROUP = 'hostile-group';
const CALL_MS = 5_000;
/** A gRPC server tells what it stopped at: the size and the limit. */
const TOO_LARGE = /larger than|[0-9]+ vs\.? [0-9]+/;
const SENTENCE_LENGTH_MAX = 400;
const GZIP = 2;

interface Service {
  readonly name: string;
  readonly address: string;
  readonly requestSizeBytesMax: number;
}

suite('hostile calls', { timeout: 120_000 }, () => {
  let hostile: HostileCluster;
  let services: readonly Service[];
  before(async () => {
    hostile = await HostileCluster.start();
    const { nodes, nameServer } = hostile.cluster;
    const { grpc, raft } = nodes[1]!;
    services = [
      {
        name: 'apache.rocketmq.v2.MessagingService',
        address: grpc,
        requestSizeBytesMax: 16 * MIB,
      },
      { name: 'mqraft.Broker', address: raft, requestSizeBytesMax: 32 * MIB },
      { name: 'mqraft.Peer', address: raft, requestSizeBytesMax: 32 * MIB },
      { name: 'mqraft.NameServer', address: nameServer, requestSizeBytesMax: 4 * MIB },
    ];
  });
  after(async () => {
    await hostile.close();
  });

  const each = async (act: (service: Service, client: RawClient) => Promise<void>) => {
    for (const service of services) {
      const client = new RawClient(service.address, 'hostile');
      try {
        await act(service, client);
      } finally {
        client.close();
      }
    }
    await hostile.alive();
  };

  test('an unknown method is UNIMPLEMENTED, and its name is in the sentence', async () => {
    await each(async ({ name }, client) => {
      const error = await client.callWithBytes(`/${name}/NoSuchThing`, Buffer.alloc(0));
      equal(error?.code, GRPC.UNIMPLEMENTED, name);
      match(error?.details ?? '', /NoSuchThing/);
    });
  });

  test('bytes that are no message end each method of each service, and nothing else', async () => {
    await each(async ({ name }, client) => {
      for (const { path } of Object.values(serviceDefinition(name))) {
        for (const hex of ['0aff', 'ffffffffffffffffffffffff']) {
          const error = await client.callWithBytes(path, Buffer.from(hex, 'hex'));
          // The peer stream answers with its end; its own tests look at what it logs.
          if (name === 'mqraft.Peer') continue;
          ok(error !== null, `${path} took ${hex}`);
          ok(error.code === GRPC.INTERNAL || error.code === GRPC.INVALID_ARGUMENT, error.message);
        }
      }
    });
  });

  test('any bytes at all are answered', async () => {
    await each(async ({ name }, client) => {
      const paths = Object.values(serviceDefinition(name)).map(({ path }) => path);
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...paths),
          fc.uint8Array({ maxLength: 48 }),
          async (path, bytes) => {
            const error = await client.callWithBytes(path, bytes);
            const isAnswer =
              error === null || [GRPC.INTERNAL, GRPC.INVALID_ARGUMENT].includes(error.code);
            ok(isAnswer, error?.message);
          },
        ),
        { numRuns: 60 },
      );
    });
  });

  test('a request above the limit, plain or after inflating, is RESOURCE_EXHAUSTED', async () => {
    await each(async ({ name, requestSizeBytesMax }, client) => {
      const [first] = Object.values(serviceDefinition(name));
      const plain = await client.callWithBytes(first!.path, Buffer.alloc(requestSizeBytesMax + 1));
      equal(plain?.code, GRPC.RESOURCE_EXHAUSTED, `${name}: ${plain?.message}`);
      match(plain?.details ?? '', TOO_LARGE);
      ok(plain?.details.includes(String(requestSizeBytesMax)), plain?.details);
    });
    for (const { name, address, requestSizeBytesMax } of services) {
      const [first] = Object.values(serviceDefinition(name));
      const error = await inflating(address, first!.path, 4 * requestSizeBytesMax);
      equal(error?.code, GRPC.RESOURCE_EXHAUSTED, `${name}: ${error?.message}`);
      match(error?.details ?? '', TOO_LARGE);
    }
    await hostile.alive();
  });

  test('verbs with absurd values are refused in short, printable sentences', async () => {
    await withCalls(async (ask) => {
      const names = ['x'.repeat(70_000), '', '\0', 'a\u0001b', '__proto__', 'é'.repeat(9_000), '%'];
      for (const name of names) {
        for (const request of absurdRequests(name)) {
          const reply = await ask(request);
          if (reply.kind === 'answer') continue;
          equal(reply.kind, 'failure');
          if (reply.kind !== 'failure') continue;
          const told = `${request.kind}: ${reply.message}`;
          ok(reply.code !== 'internal' && reply.code !== 'timeout', `${reply.code} ${told}`);
          ok(reply.message.length <= SENTENCE_LENGTH_MAX, told.slice(0, 200));
          ok(!/\p{Cc}/u.test(reply.message), JSON.stringify(told));
        }
      }
    });
  });

  test('limits are named with the value that broke them', async () => {
    await withCalls(async (ask) => {
      const expected: readonly (readonly [BrokerRequest, string, RegExp])[] = [
        [{ kind: 'topicPut', topic: 't', queueCount: 0 }, 'badRequest', /is 0, from 1 to 1024/],
        [
          { kind: 'topicPut', topic: 't', queueCount: 4294967295 },
          'badRequest',
          /4294967295.*1024/,
        ],
        [
          { kind: 'groupPut', group: 'g', maxAttempts: 0 },
          'badRequest',
          /given as 0, from 1 to 1000/,
        ],
        [
          { kind: 'topicDescribe', topic: 'x'.repeat(128) },
          'illegalTopic',
          /128 characters, the most is 127/,
        ],
        [
          { kind: 'groupDescribe', group: 'x'.repeat(121) },
          'illegalGroup',
          /121 characters, the most is 120/,
        ],
        [
          { kind: 'ack', group: 'g', topic: 't', handles: [] },
          'badRequest',
          /names 0 messages, from 1 to 1024/,
        ],
        [
          { kind: 'clientSeen', clientId: 'x'.repeat(257) },
          'badRequest',
          /257 characters, from 1 to 256/,
        ],
      ];
      for (const [request, code, words] of expected) {
        const reply = await ask(request);
        ok(reply.kind === 'failure', `${request.kind} was answered with ${reply.kind}`);
        equal(reply.code, code);
        match(reply.message, words);
      }
    });
  });

  test('forged receipt handles touch nothing', async () => {
    await withCalls(async (ask) => {
      await ask({ kind: 'topicPut', topic: TOPIC, queueCount: 4 });
      const handles = [
        forged({ queueId: 4294967295, queueOffset: Number.MAX_SAFE_INTEGER, deliveryId: 'x' }),
        forged({ queueId: 0, queueOffset: 0, deliveryId: 'y'.repeat(255) }),
        forged({ queueId: 0, queueOffset: 0, deliveryId: 'a~999999999999999999999999' }),
      ];
      const group = GROUP;
      const topic = TOPIC;
      for (const handle of [...handles, 'no handle', '', 'A'.repeat(5_000)]) {
        const change = await ask({ kind: 'changeInvisible', group, topic, handle, invisibleMs: 0 });
        ok(change.kind === 'failure' && change.code === 'invalidHandle', JSON.stringify(change));
        const ack = await ask({ kind: 'ack', group, topic, handles: [handle] });
        ok(ack.kind === 'answer' && ack.response.kind === 'acked', JSON.stringify(ack));
        const dead = await ask({ kind: 'deadLetter', group, topic, handle, messageId: 'm' });
        const isInvalid = dead.kind === 'failure' && dead.code === 'invalidHandle';
        ok(dead.kind === 'answer' || isInvalid, JSON.stringify(dead));
      }
      const dlq = await ask({ kind: 'topicDescribe', topic: `%DLQ%${group}` });
      ok(dlq.kind === 'failure' && dlq.code === 'topicNotFound', JSON.stringify(dlq));
    });
  });

  test('a caller that claims to have 49 days is served like any other', async () => {
    await withCalls(async (ask) => {
      const reply = await ask(
        {
          kind: 'receive',
          group: GROUP,
          topic: TOPIC,
          filter: { tags: ['none'] },
          batchSize: 1,
          invisibleMs: 10_000,
          autoRenew: false,
          waitMs: 300,
          clientId: 'patient',
          attemptId: 'once',
        },
        2 ** 32 - 1,
      );
      deepEqual(reply, { kind: 'answer', response: { kind: 'received', messages: [] } });
    });
  });

  test('the name server keeps nothing that is out of bounds, and says which bound', async () => {
    await owning(async (owner) => {
      const { nameServer } = hostile.cluster;
      const client = rawClient(owner, nameServer);
      const { register, routes } = serviceDefinition('mqraft.NameServer');
      const node = { cluster: 'evil', group: 'evil', nodeId: 'evil', term: 1, sequence: 1 };
      const topics = Array.from({ length: 30_001 }, (_, i) => `t${i}`);
      const registrations: readonly (readonly [object, number, RegExp])[] = [
        [{ ...node, cluster: '' }, GRPC.INVALID_ARGUMENT, /cluster: 0 characters, not 1 to 512/],
        [{ ...node, nodeId: '../x' }, GRPC.INVALID_ARGUMENT, /'..\/x' is not a short plain word/],
        [{ ...node, storeUuid: 'x'.repeat(513) }, GRPC.INVALID_ARGUMENT, /store_uuid: 513 char/],
        [{ ...node, topics }, GRPC.RESOURCE_EXHAUSTED, /30001 topics: the limit is 30000/],
      ];
      for (const [registration, code, words] of registrations) {
        const bytes = register!.requestSerialize(registration);
        const error = await client.callWithBytes(register!.path, bytes);
        equal(error?.code, code);
        match(error?.details ?? '', words);
      }
      const question = routes!.requestSerialize({ topics });
      const error = await client.callWithBytes(routes!.path, question);
      match(error?.details ?? '', /30001 topics: the limit is 30000/);
      ok(!hostile.cluster.logOf('namesrv').includes('evil'));
    });
  });

  test('ids whose bytes are not UTF-8 are refused: two of them could look the same', async () => {
    await owning(async (owner) => {
      const client = rawClient(owner, services[0]!.address);
      await sendRaw(client, TOPIC, randomUUID());
      const { requestSerialize, path } = serviceDefinition(services[0]!.name)['sendMessage']!;
      const marker = '~marker~';
      const bytes = requestSerialize({
        messages: [
          {
            topic: { name: TOPIC },
            body: Buffer.from('x'),
            systemProperties: { messageId: marker, messageType: 1, bodyEncoding: 1 },
          },
        ],
      });
      Buffer.from('eda080', 'hex').copy(bytes, bytes.indexOf(marker));
      const before = await hostile.cluster.metrics(hostile.cluster.nodes[1]!.nodeId);
      equal(await client.callWithBytes(path, bytes), null);
      const after = await hostile.cluster.metrics(hostile.cluster.nodes[1]!.nodeId);
      const refusals = 'mqraft_rejected_total{reason="illegalMessageId"}';
      ok(before !== null && after !== null);
      equal((after.get(refusals) ?? 0) - (before.get(refusals) ?? 0), 1);
    });
  });

  test('a telemetry stream that turns to nonsense is ended with an error', async () => {
    await owning(async (owner) => {
      const client = rawClient(owner, services[0]!.address);
      const stream = client.telemetry();
      stream.say({ settings: { clientType: 99 } });
      const { code } = await stream.ended;
      equal(code, GRPC.INVALID_ARGUMENT);
      const [answer] = stream.received;
      equal(answer?.status?.code, 40000);
      match(answer?.status?.message ?? '', /neither those of a producer nor those of a consumer/);
    });
  });

  test('afterwards all is as before: processes, descriptors, memory, logs, and it serves', async () => {
    await hostile.unharmed(TOPIC, ['peer.corrupt_frame']);
  });

  type Ask = (request: BrokerRequest, remainingMs?: number) => Promise<BrokerReply>;

  /** Through a node that may or may not lead. */
  async function withCalls(body: (ask: Ask) => Promise<void>): Promise<void> {
    const calls: BrokerCallClient = createBrokerCallClient(services[1]!.address);
    const { signal } = new AbortController();
    try {
      await body((request, remainingMs = CALL_MS) => {
        const call = { remainingMs, hops: 0, leaderTerm: Term(0), retried: true, request };
        return calls.call(call, signal);
      });
    } finally {
      calls.close();
    }
    await hostile.alive();
  }
});

function forged(place: { queueId: number; queueOffset: number; deliveryId: string }): string {
  const { queueId, queueOffset, deliveryId } = place;
  const offset = QueueOffset(queueOffset);
  return encodeReceiptHandle({
    group: GROUP,
    topic: TOPIC,
    queueId,
    queueOffset: offset,
    deliveryId,
  });
}

/** Every verb, with the text wherever a text may be and numbers at their ends. */
function absurdRequests(text: string): readonly BrokerRequest[] {
  const most = Number.MAX_SAFE_INTEGER;
  const message = {
    topic: text,
    messageId: text,
    body: Buffer.from('b'),
    bodyEncoding: 'identity',
    tag: text,
    keys: [text],
    userProperties: { [text]: text },
    bornTimestampMs: most,
    bornHost: text,
    traceContext: text,
  } as const;
  const poll = {
    kind: 'receive',
    group: text,
    topic: text,
    filter: { tags: [text] },
    batchSize: 2 ** 32 - 1,
    invisibleMs: most,
    autoRenew: false,
    waitMs: 0,
    clientId: text,
    attemptId: text,
  } as const;
  return [
    { kind: 'topicDescribe', topic: text },
    { kind: 'topicDelete', topic: text },
    { kind: 'topicPut', topic: text, queueCount: 2 ** 32 - 1 },
    { kind: 'groupDescribe', group: text },
    { kind: 'groupPut', group: text, maxAttempts: 2 ** 32 - 1 },
    poll,
    { ...poll, group: 'g', invisibleMs: 0, autoRenew: true },
    { ...poll, group: 'g', topic: TOPIC },
    { kind: 'ack', group: text, topic: text, handles: [text] },
    { kind: 'changeInvisible', group: text, topic: text, handle: text, invisibleMs: most },
    { kind: 'deadLetter', group: text, topic: text, handle: text, messageId: text },
    { kind: 'clientSeen', clientId: text },
    { kind: 'clientGone', clientId: text },
    { kind: 'send', messages: [message] },
    { kind: 'send', messages: [{ ...message, topic: TOPIC, bornHost: '10.0.0.1:1' }] },
    { kind: 'send', messages: [] },
  ];
}

/** Zeros that are small on the wire. */
function inflating(address: string, path: string, sizeBytes: number): Promise<ServiceError | null> {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.default_compression_algorithm': GZIP,
  });
  const pass = (bytes: Buffer) => bytes;
  const deadline = Date.now() + CALL_MS;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, pass, pass, Buffer.alloc(sizeBytes), { deadline }, (error) => {
      client.close();
      resolve(error);
    });
  });
}
