import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId } from '../../base/units.ts';
import { BROKER_SETTINGS, brokerProblems } from '../../config/broker-settings.ts';
import { parseConfigFile } from '../../config/config-file.ts';
import { settle } from '../../config/settle.ts';
import type { AdminRequest, AdminResponse } from '../../protocol/admin.ts';
import { aChanged, aCheck, aHealth, aPlan, aStep, MemoryGroup } from '../memory-group.ts';

const lastJson = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');

function checkAnswer(verdict: 'ok' | 'failed'): AdminResponse {
  const health = aHealth(NodeId('n1'));
  const silent = { nodeId: NodeId('n3'), health: null, silence: 'nobody listens there' };
  return {
    kind: 'check',
    report: {
      checks: [
        aCheck({ id: 'quorumMargin', verdict, observed: '2 of 3 live', remedy: 'start n3' }),
      ],
      members: [
        { nodeId: NodeId('n1'), health, silence: '', clockSkewMs: 0, roundTripMs: 0.4 },
        { ...silent, clockSkewMs: null, roundTripMs: null },
      ],
    },
  };
}

test('check shows health and ends with 8 when something is red', async () => {
  const group = new MemoryGroup();
  group.terminal.stdout.columns = 120;
  group.answerQuestion = () => checkAnswer('failed');
  equal(await group.run('cluster', 'check'), 8);
  const { text } = group.terminal.stdout;
  match(
    text,
    /^ {2}n1 +leading +57 +1\.00 MiB +600 bytes \(60 %\) +0\.21 ms +11\.0 ms +\+0 ms +0\.1\.0$/m,
  );
  match(text, /^ {2}n3: nobody listens there$/m);
  match(text, /FAILED +quorumMargin\n +seen +2 of 3 live\n.*\n? +to do +start n3/);
  group.answerQuestion = () => checkAnswer('ok');
  equal(await group.run('check', '-o', 'json'), 0);
  const report = lastJson(group.terminal.stdout.text);
  equal(report.healthy, true);
  equal(report.nodes[0].health.logSizeBytes, '1048576');
});

test('check has a column for zones where one is set', async () => {
  const group = new MemoryGroup();
  const nodes = (zone: string): AdminResponse => {
    const answer = checkAnswer('ok');
    ok(answer.kind === 'check');
    const members = answer.report.members.map((member) =>
      member.health === null ? member : { ...member, health: { ...member.health, zone } },
    );
    return { kind: 'check', report: { ...answer.report, members } };
  };
  group.answerQuestion = () => nodes('');
  await group.run('check');
  ok(!group.terminal.stdout.text.includes('zone'));
  group.answerQuestion = () => nodes('eu-1a');
  await group.run('check');
  match(group.terminal.stdout.text, /^ {2}n1 +eu-1a +leading/m);
  match(group.terminal.stdout.text, /^ {2}n3 +\? +no answer/m);
  await group.run('check', '-o', 'json');
  equal(lastJson(group.terminal.stdout.text).nodes[0].health.zone, 'eu-1a');
});

test('events: a table, JSON lines, and how to see more', async () => {
  const group = new MemoryGroup();
  group.terminal.stdout.columns = 160;
  const event = {
    sequence: 7,
    logIndex: LogIndex(9_007_199_254_740_991),
    atMs: 0,
    actor: 'alice@b\u001b[31m',
    action: 'promote n4',
    phase: 'done',
    planHash: 'ab',
    configIndex: LogIndex(119),
    details: '',
  };
  group.answerQuestion = () => ({ kind: 'events', report: { events: [event], lastSequence: 9 } });
  equal(await group.run('events', '--since', '6'), 0);
  match(
    group.terminal.stdout.text,
    /7 +1970-01-01 00:00:00 +alice@b\\x1b\[31m +promote n4 +done +#119/,
  );
  match(group.terminal.stderr.text, /mq-raft events --since 7/);
  const [{ call } = { call: null }] = group.terminal.cluster.adminCalls;
  deepEqual(call?.request, { kind: 'events', afterSequence: 6, countMax: 50 });
  await group.run('events', '-o', 'json');
  equal(lastJson(group.terminal.stdout.text).logIndex, '9007199254740991');
});

test('events in 80 columns: who and when, and below it what, never a wider line', async () => {
  const group = new MemoryGroup();
  const event = {
    ...{ sequence: 12, logIndex: LogIndex(9), atMs: 0, actor: 'alice@bastion.example.com' },
    ...{
      action: 'replace n3 n4',
      phase: 'token used',
      planHash: 'ab',
      configIndex: LogIndex(1300),
    },
    details: 'store 37dd96d0-4016-4bf1-bfd8-0597d58d6c14, at 10.0.0.4:10912',
  };
  group.answerQuestion = () => ({ kind: 'events', report: { events: [event], lastSequence: 12 } });
  await group.run('events');
  equal(
    group.terminal.stdout.text,
    `  12  1970-01-01 00:00:00  alice@bastion.example.com
       replace n3 n4: token used, config #1300, store
       37dd96d0-4016-4bf1-bfd8-0597d58d6c14, at 10.0.0.4:10912
`,
  );
});

test('features shows what could be raised; --finalize raises it', async () => {
  const group = new MemoryGroup();
  const isFeatures = (request: AdminRequest) => request.kind === 'features';
  const nodes = [{ nodeId: NodeId('n1'), levelMax: 2, version: '0.2.0' }];
  group.answerQuestion = (request) =>
    isFeatures(request) ? { kind: 'features', report: { level: 1, levelMax: 2, nodes } } : null;
  equal(await group.run('features'), 0);
  match(group.terminal.stdout.text, /feature level 1:\n.*mq-raft features --finalize 2/);
  equal(await group.run('features', '--finalize', '2', '--yes'), 0);
  deepEqual(group.changes[0]?.request, { kind: 'finalizeFeatures', level: 2 });
});

test('rolling-restart --plan changes nothing', async () => {
  const steps = [
    aStep({ kind: 'drain', sentence: 'drain n2' }),
    aStep({ kind: 'restart', sentence: 'restart n2' }),
    aStep({ kind: 'gate', sentence: 'wait until n2 has caught up', quorums: [] }),
  ];
  const group = new MemoryGroup({ plan: aPlan({ action: 'rolling-restart', steps }) });
  equal(await group.run('rolling-restart', '--plan'), 0);
  match(group.terminal.stdout.text, /restart n2/);
  deepEqual(group.changes, []);
});

test('a rolling restart that would leave the group undecided ends with 4', async () => {
  const quorums = [{ voters: [NodeId('n1')], live: [], needed: 1, tolerates: -1 }];
  const steps = [aStep({ kind: 'restart', sentence: 'restart n1', quorums })];
  const group = new MemoryGroup({ plan: aPlan({ action: 'rolling-restart', steps }) });
  equal(await group.run('rolling-restart', '--plan'), 4);
  match(group.terminal.stderr.text, /Do not follow it now/);
});

for (const name of ['drain', 'undrain', 'snapshot', 'scrub'] as const) {
  test(`node ${name} and its short form ask the group the same`, async () => {
    const group = new MemoryGroup({ changes: [aChanged({ sentence: `${name} n1` })] });
    equal(await group.run('node', name, 'n1'), 0);
    equal(await group.run(name, 'n1'), 0);
    const asked = group.changes.map(({ request }) => request);
    deepEqual(asked, [
      { kind: name, nodeId: 'n1' },
      { kind: name, nodeId: 'n1' },
    ]);
  });
}

test('unlock with --steal wants a word', async () => {
  const group = new MemoryGroup({ changes: [aChanged({ sentence: 'given up' })] });
  equal(await group.run('unlock'), 0);
  equal(await group.run('unlock', '--steal'), 2);
  group.terminal.answers = ['steal'];
  equal(await group.run('unlock', '--steal'), 0);
  equal(group.changes.at(-1)?.options.steal, true);
});

test('node status asks each node, without a leader', async () => {
  const group = new MemoryGroup();
  group.hasLeader = false;
  group.terminal.cluster.down.add('n3:raft');
  group.answerQuestion = (_, address) => ({
    kind: 'health',
    health: aHealth(NodeId(address.split(':')[0] ?? ''), { state: 'leaderless' }),
  });
  equal(await group.run('node', 'status'), 0);
  match(group.terminal.stdout.text, /^ {2}n2 +leaderless/m);
  match(group.terminal.stdout.text, /^ {2}n3 +no answer/m);
  equal(await group.run('node', 'status', 'n9'), 3);
  match(group.terminal.stderr.text, /there are n1, n2, n3/);
  equal(await group.run('node', 'status', 'n1', '-o', 'json'), 0);
  equal(lastJson(group.terminal.stdout.text).nodes[0].health.term, '42');
});

test('repair --status ends with 8 while a node repairs', async () => {
  const group = new MemoryGroup();
  const repair = 'entries 40 to 42, from n1';
  group.answerQuestion = (_, address) => {
    const nodeId = NodeId(address.split(':')[0] ?? '');
    return { kind: 'health', health: aHealth(nodeId, nodeId === 'n2' ? { repair } : {}) };
  };
  equal(await group.run('repair', '--status'), 8);
  match(group.terminal.stdout.text, /^n1: nothing to repair\nn2: entries 40 to 42, from n1$/m);
  equal(await group.run('repair', 'n1', '--status'), 0);
});

const INIT = ['init', '--voters', 'n1=a:10912,n2=b:10912,n3=c:10912', '--cluster-id', 'pay'];

test('init writes a valid commented configuration for each founder, and nothing over another', async () => {
  const group = new MemoryGroup();
  equal(await group.run(...INIT, '--out', '/etc/mq', '--namesrv', 'a:9876,b:9876'), 0);
  equal(group.terminal.stdout.text, '/etc/mq/n1.yaml\n/etc/mq/n2.yaml\n/etc/mq/n3.yaml\n');
  for (const [path, text] of group.terminal.files) {
    const file = parseConfigFile(path, text);
    const settled = settle(BROKER_SETTINGS, { flags: {}, variables: {}, file });
    ok(settled.kind === 'settled', JSON.stringify(settled));
    deepEqual(brokerProblems(settled.values), []);
    deepEqual(settled.values.namesrv, ['a:9876', 'b:9876']);
  }
  equal(await group.run(...INIT, '--out', '/etc/mq'), 4);
  match(group.terminal.stderr.text, /\/etc\/mq\/n1\.yaml, .* are there already/);
  equal(await group.run(...INIT, '--out', '/etc/mq', '--overwrite', '-o', 'json'), 0);
});

const refusals: readonly (readonly [string, readonly string[], number])[] = [
  ['an even number of voters', ['init', '--voters', 'n1=a:1,n2=b:1', '--cluster-id', 'c'], 4],
  ['a voter twice', ['init', '--voters', 'n1=a:1,n1=b:1,n3=c:1', '--cluster-id', 'c'], 2],
  ['an address twice', ['init', '--voters', 'n1=a:1,n2=a:1,n3=c:1', '--cluster-id', 'c'], 2],
  ['a voter without address', ['init', '--voters', 'n1', '--cluster-id', 'c'], 2],
];
for (const [what, args, want] of refusals) {
  test(`init refuses ${what}`, async () => {
    const group = new MemoryGroup();
    equal(await group.run(...args), want);
    equal(group.terminal.files.size, 0);
  });
}
