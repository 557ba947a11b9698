import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId, PhysicalOffset, QueueOffset, Term } from '../base/units.ts';
import { CodecError } from './schema.ts';
import { type BrokerCall, decodeBrokerCall, encodeBrokerCall } from './verb-codec.ts';
import { decodeBrokerReply, encodeBrokerReply } from './verb-reply-codec.ts';
import {
  BROKER_ERROR_CODES,
  type BrokerReply,
  type BrokerRequest,
  type BrokerResponse,
  INSTALL_PHASES,
  ROOM_LEVELS,
} from './verbs.ts';

const RUNS = { numRuns: 200 };

const word = fc.string({ maxLength: 12 });
const flag = fc.boolean();
const small = fc.nat({ max: 2 ** 31 - 1 });
const big = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 40 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const node = fc.stringMatching(/^[a-z0-9]{1,8}$/).map(NodeId);
const offset = big.map(QueueOffset);
const index = big.map(LogIndex);
/** Through entries, as the decoder does: a property may be named `__proto__`. */
const userProperties = fc
  .array(fc.tuple(fc.oneof(word, fc.constant('__proto__')), word), { maxLength: 3 })
  .map((pairs) => Object.fromEntries(pairs) as Readonly<Record<string, string>>);

function kinded<K extends string, T extends object>(
  kind: K,
  fields: { [P in keyof T]: fc.Arbitrary<T[P]> },
) {
  return fc.record({ kind: fc.constant(kind), ...fields }, { noNullPrototype: true });
}
const plain = { noNullPrototype: true };

const contents = {
  topic: word,
  messageId: word,
  body: bytes,
  bodyEncoding: fc.constantFrom('identity', 'gzip'),
  tag: maybe(word),
  keys: fc.array(word, { maxLength: 3 }),
  userProperties,
  bornTimestampMs: big,
  bornHost: word,
  traceContext: maybe(word),
};
const request = fc.oneof(
  kinded('send', { messages: fc.array(fc.record(contents, plain), { maxLength: 3 }) }),
  kinded('receive', {
    group: word,
    topic: word,
    filter: fc.record({ tags: fc.array(word, { maxLength: 3 }) }, plain),
    batchSize: small,
    invisibleMs: big,
    autoRenew: flag,
    waitMs: small,
    clientId: word,
    attemptId: word,
  }),
  kinded('ack', { group: word, topic: word, handles: fc.array(word, { maxLength: 3 }) }),
  kinded('changeInvisible', { group: word, topic: word, handle: word, invisibleMs: big }),
  kinded('deadLetter', { group: word, topic: word, handle: word, messageId: word }),
  kinded('topicPut', { topic: word, queueCount: small }),
  kinded('topicDelete', { topic: word }),
  kinded('topicDescribe', { topic: word }),
  kinded('topicList', {}),
  kinded('groupPut', { group: word, maxAttempts: small }),
  kinded('groupDescribe', { group: word }),
  kinded('clientSeen', { clientId: word }),
  kinded('clientGone', { clientId: word }),
  kinded('status', {}),
) as fc.Arbitrary<BrokerRequest>;

const topic = fc.record(
  {
    topic: word,
    queueCount: small,
    permission: small,
    messageTypes: fc.array(small, { maxLength: 2 }),
    createdAtMs: big,
    queues: fc.array(fc.record({ queueId: small, minOffset: offset, nextOffset: offset }, plain), {
      maxLength: 2,
    }),
  },
  plain,
);
const group = fc.record(
  {
    group: word,
    maxAttempts: small,
    fifo: flag,
    createdAtMs: big,
    queues: fc.array(
      fc.record(
        {
          topic: word,
          queueId: small,
          consumerOffset: offset,
          nextOffset: offset,
          inFlightCount: small,
          lag: big,
        },
        plain,
      ),
      { maxLength: 2 },
    ),
  },
  plain,
);
const status = fc.record(
  {
    nodeId: node,
    clusterId: word,
    groupId: word,
    storeUuid: word,
    role: fc.constantFrom('follower', 'preCandidate', 'candidate', 'leader'),
    term: big.map(Term),
    leader: maybe(node),
    serving: flag,
    lastIndex: index,
    durableIndex: index,
    commitIndex: index,
    appliedIndex: index,
    peers: fc.array(
      fc.record(
        {
          nodeId: node,
          connected: flag,
          raftAddress: maybe(word),
          grpcAddress: maybe(word),
          httpAddress: maybe(word),
          matchIndex: maybe(index),
          lagBytes: maybe(big),
        },
        plain,
      ),
      { maxLength: 2 },
    ),
    disk: fc.record(
      {
        syncCount: big,
        writtenBytes: big,
        oldestPendingMs: small,
        syncMsP50: maybe(fc.constant(0.25)),
        syncMsP99: maybe(fc.constant(1.5)),
        room: maybe(
          fc.record(
            {
              level: fc.constantFrom(...ROOM_LEVELS),
              totalBytes: big,
              freeBytes: big,
              reserveBytes: big,
            },
            plain,
          ),
        ),
      },
      plain,
    ),
    log: maybe(
      fc.record(
        {
          firstIndex: index,
          keptBytes: big,
          install: maybe(
            fc.record(
              { phase: fc.constantFrom(...INSTALL_PHASES), index: maybe(index), percent: small },
              plain,
            ),
          ),
        },
        plain,
      ),
    ),
    scrub: maybe(
      fc.record(
        {
          passCount: big,
          findingCount: big,
          readBytes: big,
          passDoneBytes: big,
          passTotalBytes: big,
          bytesPerSecond: small,
          lastFinishedAtMs: maybe(big),
          isLate: flag,
          damage: maybe(word),
        },
        plain,
      ),
    ),
    checkpoints: fc.record(
      { lastIndex: maybe(index), agreedIndex: maybe(index), divergence: maybe(word) },
      plain,
    ),
  },
  plain,
);
const receipt = fc.record(
  {
    messageId: word,
    queueId: small,
    queueOffset: offset,
    physicalOffset: big.map(PhysicalOffset),
    duplicate: flag,
  },
  plain,
);
const delivered = fc.record(
  {
    ...contents,
    storeTimestampMs: big,
    storeHost: word,
    queueId: small,
    queueOffset: offset,
    attempt: small,
    handle: word,
    invisibleMs: big,
    deadLetterOf: maybe(fc.record({ topic: word, messageId: word }, plain)),
  },
  plain,
);
const outcome = fc.constantFrom('ok', 'staleHandle', 'invalidHandle');
const response = fc.oneof(
  kinded('sent', { receipts: fc.array(receipt, { maxLength: 3 }) }),
  kinded('received', { messages: fc.array(delivered, { maxLength: 2 }) }),
  kinded('acked', { outcomes: fc.array(outcome, { maxLength: 3 }) }),
  kinded('invisibleChanged', { handle: word }),
  kinded('deadLettered', {}),
  kinded('topicPut', { created: flag }),
  kinded('topicDeleted', { existed: flag }),
  kinded('topic', { topic }),
  kinded('topicList', { topics: fc.array(topic, { maxLength: 2 }) }),
  kinded('groupPut', { created: flag }),
  kinded('group', { group }),
  kinded('noted', {}),
  kinded('status', { status }),
) as fc.Arbitrary<BrokerResponse>;
const reply = fc.oneof(
  kinded('answer', { response }),
  kinded('failure', { code: fc.constantFrom(...BROKER_ERROR_CODES), message: word }),
  kinded('notLeader', { term: big.map(Term), leader: maybe(node) }),
) as fc.Arbitrary<BrokerReply>;

/** Bodies come back as Buffer; what counts is the bytes. */
function comparable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, item: unknown) =>
      item instanceof Uint8Array ? Array.from(item) : item,
    ),
  );
}
/** Buffer.toJSON runs before the replacer sees the value, hence the plain copy. */
function withPlainBodies<T extends object>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      item instanceof Uint8Array
        ? new Uint8Array(item)
        : Array.isArray(item)
          ? item.map((each) =>
              typeof each === 'object' && each !== null ? withPlainBodies(each) : each,
            )
          : typeof item === 'object' && item !== null
            ? withPlainBodies(item)
            : item,
    ]),
  ) as T;
}

test('a call survives the way to bytes and back', () => {
  fc.assert(
    fc.property(request, small, fc.nat(3), big, flag, (verb, remainingMs, hops, term, retried) => {
      const call: BrokerCall = {
        remainingMs,
        hops,
        leaderTerm: Term(term),
        retried,
        request: verb,
      };
      const back = decodeBrokerCall(encodeBrokerCall(call));
      deepEqual(comparable(withPlainBodies(back)), comparable(call));
    }),
    RUNS,
  );
});

test('a reply survives the way to bytes and back', () => {
  fc.assert(
    fc.property(reply, (sent) => {
      const back = decodeBrokerReply(encodeBrokerReply(sent));
      deepEqual(comparable(withPlainBodies(back)), comparable(sent));
    }),
    RUNS,
  );
});

test('arbitrary bytes are refused as such or decoded, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (input) => {
      for (const decode of [decodeBrokerCall, decodeBrokerReply]) {
        try {
          decode(input);
        } catch (error) {
          if (!(error instanceof CodecError)) throw error;
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('a call without a verb and a reply without an answer are refused', () => {
  throws(() => decodeBrokerCall(new Uint8Array()), CodecError);
  throws(() => decodeBrokerReply(new Uint8Array()), CodecError);
});
