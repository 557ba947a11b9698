/**
 * Every command once: what it prints for people, the kind of its JSON, its exit code, and what it says when the
 * group has no leader. A new command does not pass before it has its row. Help is in completion.test.ts, what is
 * special about a command in its own test.
 */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { LogIndex, NodeId, PhysicalOffset, QueueOffset } from '../base/units.ts';
import type { AdminRequest, AdminResponse } from '../protocol/admin.ts';
import type { CatchupReport } from '../protocol/admin-report.ts';
import type {
  BrokerReply,
  BrokerRequest,
  DeliveredMessage,
  TopicDescription,
} from '../protocol/verbs.ts';
import { commandNodes } from './command-nodes.ts';
import { buildProgram } from './main.ts';
import { answered, failed, MemoryTerminal, reportOf } from './memory-environment.ts';
import { aChanged, aCheck, aHealth, aMembersReport, aTicket, MemoryGroup } from './memory-group.ts';

/** Without a leader: exit code, and what stands on stderr. `null`: it goes to no cluster. */
type Leaderless = readonly [number, RegExp] | null;

interface Row {
  readonly args: readonly string[];
  readonly table: RegExp;
  /** Of the last line of JSON; null: it prints none, in either form. */
  readonly kind: string | null;
  readonly leaderless: Leaderless;
  readonly exit?: number;
}

/** Nothing can have been changed, and the user is told. */
const NOT_CHANGED: Leaderless = [11, /no leader answers; nothing was changed[\s\S]*to do: /];
const NO_ANSWER: Leaderless = [6, /no answer in time[\s\S]*--stale/];
const OUTCOME_UNKNOWN: Leaderless = [6, /outcome unknown[\s\S]*mq-raft status/];
/** Each node speaks for itself. */
const ANSWERS_ALONE: Leaderless = [0, /^$/];

const change = (table: RegExp, ...args: readonly string[]): Row => {
  return { args, table, kind: 'changed', leaderless: NOT_CHANGED };
};
const DONE = /^done: n4 has taken the place of n3 \(config #121\)$/m;

const ROWS: Readonly<Record<string, Row>> = {
  'member list': {
    ...{ args: [], table: /^ {2}n1 +LEADER /m, kind: 'members' },
    leaderless: NO_ANSWER,
  },
  'member add': change(/--token T0K3N/, 'n4', '--addr', '10.0.0.4:10912'),
  'member promote': change(DONE, 'n4', 'n5'),
  'member remove': change(DONE, 'n4', 'n5', '--yes'),
  'member replace': change(DONE, 'n3', 'n4', '--addr', '10.0.0.4:10912', '--yes'),
  'member transfer': change(DONE, '--to', 'n2'),
  'member catchup': {
    ...{ args: ['n4'], table: /^n4: copying, .*to go/m, kind: 'catchup', exit: 7 },
    leaderless: NO_ANSWER,
  },
  'node status': {
    ...{ args: [], table: /^ {2}n2 +following/m, kind: 'nodes' },
    leaderless: ANSWERS_ALONE,
  },
  'node repair': {
    ...{ args: ['--status'], table: /^n2: nothing to repair$/m, kind: 'nodes' },
    leaderless: ANSWERS_ALONE,
  },
  'node drain': change(DONE, 'n1'),
  'node undrain': change(DONE, 'n1'),
  'node snapshot': change(DONE, 'n1'),
  'node scrub': change(DONE, 'n1'),
  'cluster status': {
    ...{ args: [], table: /^ {2}n2 +follower /m, kind: 'status' },
    leaderless: [8, /^$/],
  },
  'cluster init': {
    ...{ args: ['--voters', 'n1=a:1,n2=b:1,n3=c:1', '--cluster-id', 'pay'], kind: 'init' },
    ...{ table: /n3\.yaml$/m, leaderless: null },
  },
  'cluster check': {
    ...{ args: [], table: /CHECKS 1\/1 ok/, kind: 'check' },
    leaderless: [6, /no answer in time/],
  },
  'cluster events': {
    ...{ args: [], table: /promote n4/, kind: 'event' },
    leaderless: NO_ANSWER,
  },
  'cluster features': {
    ...{ args: [], table: /^feature level 1:/m, kind: 'features' },
    leaderless: NO_ANSWER,
  },
  'cluster rolling-restart': {
    ...{ args: ['--plan'], table: /^PLAN 9c1e0042/m, kind: 'planned' },
    leaderless: NOT_CHANGED,
  },
  'cluster unlock': change(DONE),
  'cluster verify': {
    ...{ args: [], table: /^ {2}n1 +it is down$/m, kind: 'verify', exit: 6 },
    leaderless: [6, /no leader made a checkpoint/],
  },
  'topic create': {
    ...{ args: ['orders', '--queues', '1'], table: /^topic orders created/, kind: 'topic' },
    leaderless: OUTCOME_UNKNOWN,
  },
  'topic list': {
    ...{ args: [], table: /^ {2}orders /m, kind: 'topicList' },
    leaderless: [6, /no answer in time/],
  },
  'topic describe': {
    ...{ args: ['orders'], table: /^topic orders, 1 queue/, kind: 'topic' },
    leaderless: [6, /no answer in time/],
  },
  send: {
    ...{ args: ['orders', 'hello'], table: /^SEND_OK/m, kind: 'sent' },
    leaderless: OUTCOME_UNKNOWN,
  },
  consume: {
    ...{ args: ['orders', '--group', 'demo', '--max', '1'], table: /hello/, kind: 'message' },
    leaderless: [6, /no answer in time/],
  },
  'config explain': {
    ...{ args: ['zone'], table: /MQ_RAFT_BROKER_ZONE/, kind: 'setting' },
    leaderless: null,
  },
  'config validate': {
    ...{ args: ['b.yaml'], table: /^b\.yaml/m, kind: 'configProblems' },
    leaderless: null,
  },
  'config show': {
    ...{ args: ['b.yaml'], table: /^ +dir +\/data +b\.yaml:5$/m, kind: 'config' },
    leaderless: null,
  },
  'context list': { args: [], table: /^ {2}\* +prod /m, kind: 'contextList', leaderless: null },
  'context use': { args: ['prod'], table: /prod/, kind: 'context', leaderless: null },
  'context add': {
    ...{ args: ['lab', '--endpoints', 'c:3'], table: /lab/, kind: 'context' },
    leaderless: null,
  },
  'context remove': { args: ['prod'], table: /prod/, kind: 'contextRemoved', leaderless: null },
  completion: {
    args: ['bash'],
    table: /^complete -F _mq_raft mq-raft$/m,
    kind: null,
    leaderless: null,
  },
  version: { args: [], table: /^mq-raft 0\.1\.0/, kind: 'version', leaderless: null },
};

/** Those that need more than a group in memory: their own tests have them in both forms. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'backup verify': 'backup',
  restore: 'backup',
  'log info': 'log',
  'log dump': 'log',
  'log verify': 'log',
  recover: 'recover',
  'unsafe-recover': 'unsafe-recover',
};
/** It goes to no cluster: it makes one (test/interop/dev-cycle.test.ts). */
const MAKES_ONE = ['dev'];

test('every command that is typed has its row', () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  const nodes = commandNodes(buildProgram(terminal.environment(), async () => {}));
  const long = nodes.filter(({ children }) => children.length === 0).map(({ path }) => path);
  const nouns = ['member', 'node', 'cluster'];
  const verbs = new Set(long.flatMap(([noun = '', verb]) => (nouns.includes(noun) ? [verb] : [])));
  // A short form does what its long form does (completion.test.ts).
  const isShort = ([word, ...more]: readonly string[]) =>
    more.length === 0 && (verbs.has(word) || word === 'members');
  const typed = long.filter((path) => !isShort(path)).map((path) => path.join(' '));
  const known = [...Object.keys(ROWS), ...Object.keys(ELSEWHERE), ...MAKES_ONE];
  deepEqual(typed.sort(), known.sort());
  for (const file of Object.values(ELSEWHERE)) {
    match(readFileSync(`src/cli/commands/${file}.test.ts`, 'utf8'), /'-o', 'json'/, file);
  }
});

for (const [command, row] of Object.entries(ROWS)) {
  const words = [...command.split(' '), ...row.args];
  const exit = row.exit ?? 0;

  test(`mq-raft ${words.join(' ')}: as a table and as JSON`, async () => {
    const people = await aGroup();
    equal(await people.run(...words), exit, people.terminal.stderr.text);
    match(people.terminal.stdout.text, row.table);
    const tooLong = people.terminal.stdout.text.split('\n').filter(({ length }) => length > 80);
    if (command !== 'completion') deepEqual(tooLong, []);
    const machines = await aGroup();
    equal(await machines.run(...words, '-o', 'json'), exit, machines.terminal.stderr.text);
    if (row.kind === null) return;
    const lines = machines.terminal.stdout.text.trimEnd().split('\n');
    for (const line of lines) equal(JSON.parse(line).apiVersion, 'mq-raft/v1');
    equal(JSON.parse(lines.at(-1) ?? '').kind, row.kind);
  });

  const { leaderless } = row;
  if (leaderless === null) continue;
  const [code, told] = leaderless;
  test(`mq-raft ${command} without a leader ends with ${code} and says so`, async () => {
    for (const form of ['table', 'json']) {
      const group = await aGroup();
      loseLeader(group);
      equal(await group.run(...words, '-o', form, '--timeout', '1s'), code);
      match(group.terminal.stderr.text, told);
      deepEqual(group.changes, []);
    }
  });
}

const orders: TopicDescription = {
  ...{ topic: 'orders', queueCount: 1, permission: 6, messageTypes: [1], createdAtMs: 0 },
  queues: [{ queueId: 0, minOffset: QueueOffset(0), nextOffset: QueueOffset(2) }],
};
const message: DeliveredMessage = {
  ...{ topic: 'orders', messageId: '01AB', body: Buffer.from('hello'), bodyEncoding: 'identity' },
  ...{ tag: null, keys: [], userProperties: {}, bornTimestampMs: 0, bornHost: '127.0.0.1:0' },
  ...{ storeTimestampMs: 0, storeHost: '127.0.0.1:8081', traceContext: null, queueId: 0 },
  ...{ queueOffset: QueueOffset(0), attempt: 1, handle: 'h', invisibleMs: 1, deadLetterOf: null },
};

/** A healthy group that does what it is asked for, a context and a configuration. */
async function aGroup(): Promise<MemoryGroup> {
  const group = new MemoryGroup({ changes: [aChanged({ ticket: aTicket })] });
  const { terminal } = group;
  terminal.files.set(
    'b.yaml',
    'node-id: n1\ncluster-id: c\ngroup-id: g\nmembers: { n1: a:10912 }\ndir: /data\n',
  );
  await terminal.run('context', 'add', 'prod', '--namesrv', '127.0.0.1:9876');
  await terminal.run('context', 'use', 'prod');
  terminal.stdout.text = '';
  terminal.stderr.text = '';
  terminal.cluster.answer = brokerAnswer;
  group.answerQuestion = adminAnswer;
  return group;
}

function loseLeader(group: MemoryGroup): void {
  group.hasLeader = false;
  group.terminal.cluster.answer = (request, address) => {
    if (request.kind !== 'status') return failed('timeout', 'no leader within 2 s');
    const reply = reportOf(address);
    ok(reply.kind === 'answer' && reply.response.kind === 'status');
    const { status } = reply.response;
    const lost = { role: 'follower', serving: false, leader: null } as const;
    return answered({ kind: 'status', status: { ...status, ...lost } });
  };
}

function brokerAnswer(request: BrokerRequest, address: string): BrokerReply {
  switch (request.kind) {
    case 'status':
      return reportOf(address);
    case 'topicPut':
      return answered({ kind: 'topicPut', created: true });
    case 'topicDescribe':
      return answered({ kind: 'topic', topic: orders });
    case 'topicList':
      return answered({ kind: 'topicList', topics: [orders] });
    case 'send': {
      const physicalOffset = PhysicalOffset(4096);
      const place = { queueId: 0, queueOffset: QueueOffset(1), physicalOffset, duplicate: false };
      const receipts = request.messages.map(({ messageId }) => ({ messageId, ...place }));
      return answered({ kind: 'sent', receipts });
    }
    case 'receive':
      return answered({ kind: 'received', messages: [message] });
    case 'ack':
      return answered({ kind: 'acked', outcomes: ['ok'] });
    default:
      return failed('unsupported', request.kind);
  }
}

function adminAnswer(request: AdminRequest, address: string): AdminResponse | null {
  const nodeId = NodeId(address.split(':')[0] || 'n1');
  const health = aHealth(nodeId);
  switch (request.kind) {
    case 'members':
      return { kind: 'members', report: aMembersReport() };
    case 'health':
      return { kind: 'health', health };
    case 'check': {
      const member = { nodeId, health, silence: '', clockSkewMs: 0, roundTripMs: 1 };
      return { kind: 'check', report: { checks: [aCheck()], members: [member] } };
    }
    case 'events': {
      const event = {
        ...{ sequence: 1, logIndex: LogIndex(9), atMs: 0, actor: 'alice@b', action: 'promote n4' },
        ...{ phase: 'done', planHash: 'ab', configIndex: LogIndex(8), details: '' },
      };
      return { kind: 'events', report: { events: [event], lastSequence: 1 } };
    }
    case 'catchup': {
      const report: CatchupReport = {
        ...{ nodeId: NodeId('n4'), state: 'copying', lagBytes: 9_000, logBytes: 10_000 },
        ...{ bytesPerSecond: null, remainingMs: null },
      };
      return { kind: 'catchup', report };
    }
    case 'features': {
      const nodes = [{ nodeId, levelMax: 1, version: '0.1.0' }];
      return { kind: 'features', report: { level: 1, levelMax: 1, nodes } };
    }
    default:
      return null;
  }
}
