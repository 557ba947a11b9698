import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import {
  ADMIN_FAILURES,
  type AdminCall,
  type AdminReply,
  type AdminRequest,
  type AdminResponse,
  CHANGE_STATES,
} from './admin.ts';
import {
  decodeAdminCall,
  decodeAdminReply,
  encodeAdminCall,
  encodeAdminReply,
} from './admin-codec.ts';
import { ALLOWANCES, CHECK_IDS, CHECK_VERDICTS, STEP_KINDS, STEP_STATUSES } from './admin-plan.ts';
import { CATCHUP_STATES, DEPARTURE_STATES, MEMBER_ROLES, NODE_STATES } from './admin-report.ts';
import { CodecError } from './schema.ts';

const nodeId = fc.constantFrom('n1', 'n2', 'n_3', 'N-4').map(NodeId);
const count = fc.maxSafeNat();
const logIndex = count.map(LogIndex);
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const decimal = fc.double({ noNaN: true, noDefaultInfinity: true });
const flag = fc.boolean();
const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(of, { nil: null });
const listOf = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<readonly T[]> =>
  fc.array(of, { maxLength: 3 });
const kind = <const K extends string>(name: K) => fc.constant(name);

const byNode = fc.record({
  kind: fc.constantFrom('catchup', 'drain', 'undrain', 'snapshot', 'scrub'),
  nodeId,
});
const request: fc.Arbitrary<AdminRequest> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('members', 'health', 'check', 'features', 'unlock', 'rollingRestart'),
  }),
  byNode,
  fc.record({ kind: fc.constantFrom('promote', 'remove'), nodeIds: listOf(nodeId) }),
  fc.record({ kind: kind('events'), afterSequence: count, countMax: fc.nat() }),
  fc.record({ kind: kind('add'), nodeId, raftAddress: text }),
  fc.record({ kind: kind('replace'), oldNodeId: nodeId, newNodeId: nodeId, raftAddress: text }),
  fc.record({ kind: kind('transfer'), to: maybe(nodeId) }),
  fc.record({ kind: kind('finalizeFeatures'), level: fc.nat() }),
  fc.record({
    kind: kind('join'),
    ...{ token: text, nodeId, storeUuid: text, raftAddress: text, clusterId: text, groupId: text },
    diskFreeBytes: maybe(count),
  }),
);
const call: fc.Arbitrary<AdminCall> = fc.record({
  remainingMs: fc.nat(),
  hops: fc.nat(2),
  stale: flag,
  request,
  options: fc.record({
    actor: text,
    dryRun: flag,
    ifConfig: maybe(logIndex),
    ifPlan: maybe(text),
    steal: flag,
    allow: listOf(fc.constantFrom(...ALLOWANCES)),
  }),
});

const quorum = fc.record({
  voters: listOf(nodeId),
  live: listOf(nodeId),
  needed: fc.nat(9),
  tolerates: fc.integer({ min: -9, max: 9 }),
});
const plan = fc.record({
  hash: text,
  configIndex: logIndex,
  action: text,
  steps: listOf(
    fc.record({
      kind: fc.constantFrom(...STEP_KINDS),
      sentence: text,
      status: fc.constantFrom(...STEP_STATUSES),
      quorums: listOf(quorum),
      bytes: maybe(count),
    }),
  ),
});
const checks = listOf(
  fc.record({
    id: fc.constantFrom(...CHECK_IDS),
    verdict: fc.constantFrom(...CHECK_VERDICTS),
    subject: maybe(nodeId),
    ...{ observed: text, limit: text, remedy: text },
  }),
);
const catchup = fc.record({
  nodeId,
  state: fc.constantFrom(...CATCHUP_STATES),
  lagBytes: count,
  logBytes: count,
  bytesPerSecond: maybe(decimal),
  remainingMs: maybe(count),
});
const health = fc.record({
  ...{ nodeId, storeUuid: text, version: text, zone: text, featureLevelMax: fc.nat() },
  state: fc.constantFrom(...NODE_STATES),
  ...{ uptimeMs: count, wallMs: count, term: count.map(Term), lastIndex: logIndex },
  ...{ durableIndex: logIndex, commitIndex: logIndex, appliedIndex: logIndex },
  ...{ logSizeBytes: count, diskFreeBytes: maybe(count), diskTotalBytes: maybe(count) },
  ...{ syncMsP50: maybe(decimal), syncMsP99: maybe(decimal), isDiskStalled: flag },
  ...{ loopDelayMsP99: maybe(decimal), swapUsedBytes: maybe(count), repair: text },
  ...{ scrubFinishedAtMs: maybe(count), refused: text },
  bootCount: count,
  departure: maybe(
    fc.record({
      state: fc.constantFrom(...DEPARTURE_STATES),
      userCount: fc.nat(),
    }),
  ),
});
const members = fc.record({
  ...{ clusterId: text, groupId: text, answeredBy: nodeId, isFromLeader: flag },
  ...{ term: count.map(Term), leader: maybe(nodeId), configIndex: logIndex, isCommitted: flag },
  ...{ voters: listOf(nodeId), outgoing: listOf(nodeId) },
  ...{ learners: listOf(nodeId), removed: listOf(nodeId) },
  members: listOf(
    fc.record({
      nodeId,
      role: fc.constantFrom(...MEMBER_ROLES),
      ...{ storeUuid: maybe(text), raftAddress: text, priority: fc.maxSafeInteger() },
      ...{ isDrained: flag, isJoining: flag, isConnected: flag, isLive: maybe(flag) },
      ...{ matchIndex: maybe(logIndex), lagBytes: maybe(count), zone: maybe(text) },
    }),
  ),
  lock: maybe(fc.record({ operationId: text, owner: text, action: text, takenAtMs: count })),
  featureLevel: fc.nat(),
});
const event = fc.record({
  ...{ sequence: count, logIndex, atMs: count, actor: text, action: text, phase: text },
  ...{ planHash: text, configIndex: logIndex, details: text },
});
const grant = fc.record({
  ...{ clusterId: text, groupId: text, segmentSizeBytes: count },
  founders: listOf(fc.record({ nodeId, raftAddress: text })),
  ...{ configIndex: logIndex, logSizeBytes: count },
});
const memberHealth = fc.record({
  ...{ nodeId, health: maybe(health), silence: text },
  ...{ clockSkewMs: maybe(decimal), roundTripMs: maybe(decimal) },
});
const response: fc.Arbitrary<AdminResponse> = fc.oneof(
  fc.record({ kind: kind('members'), report: members }),
  fc.record({ kind: kind('health'), health }),
  fc.record({
    kind: kind('check'),
    report: fc.record({ checks, members: listOf(memberHealth) }),
  }),
  fc.record({
    kind: kind('events'),
    report: fc.record({ events: listOf(event), lastSequence: count }),
  }),
  fc.record({ kind: kind('catchup'), report: catchup }),
  fc.record({
    kind: kind('features'),
    report: fc.record({
      ...{ level: fc.nat(), levelMax: fc.nat() },
      nodes: listOf(fc.record({ nodeId, levelMax: maybe(fc.nat()), version: text })),
    }),
  }),
  fc.record({ kind: fc.constantFrom('planned', 'refused'), plan, checks }),
  fc.record({
    kind: kind('changed'),
    state: fc.constantFrom(...CHANGE_STATES),
    ...{ sentence: text, phase: text, configIndex: logIndex, plan, checks },
    progress: maybe(catchup),
    ticket: maybe(
      fc.record({
        ...{ clusterId: text, groupId: text, nodeId, raftAddress: text },
        ...{ joinAddresses: listOf(text), token: text, expiresAtMs: count },
      }),
    ),
  }),
  fc.record({ kind: kind('granted'), grant }),
);
const reply: fc.Arbitrary<AdminReply> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: kind('answer'), response }) },
  fc.record({
    kind: kind('failure'),
    code: fc.constantFrom(...ADMIN_FAILURES),
    message: text,
  }),
  fc.record({ kind: kind('notLeader'), term: count.map(Term), leader: maybe(nodeId) }),
);

/** Arbitraries make objects without prototype now and then; what is compared are the values. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('what is asked arrives as it was asked', () => {
  fc.assert(
    fc.property(call, (asked) => {
      deepEqual(plain(decodeAdminCall(encodeAdminCall(asked))), plain(asked));
    }),
  );
});

test('what is answered arrives as it was answered', () => {
  fc.assert(
    fc.property(reply, (said) => {
      deepEqual(plain(decodeAdminReply(encodeAdminReply(said))), plain(said));
    }),
    { numRuns: 300 },
  );
});

test('whatever bytes come, they are a call, or a CodecError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const decode of [decodeAdminCall, decodeAdminReply]) {
        try {
          decode(bytes);
        } catch (error) {
          if (!(error instanceof CodecError)) throw error;
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test('an empty call asks for nothing', () => {
  throws(() => decodeAdminCall(new Uint8Array(0)), CodecError);
  throws(() => decodeAdminReply(new Uint8Array(0)), CodecError);
});
