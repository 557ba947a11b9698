import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId } from '../../base/units.ts';
import type { AdminResponse } from '../../protocol/admin.ts';
import type { CatchupReport } from '../../protocol/admin-report.ts';
import {
  aChanged,
  aCheck,
  aMembersReport,
  aPlan,
  aTicket,
  MemoryGroup,
  type Script,
} from '../memory-group.ts';

const copying: CatchupReport = {
  nodeId: NodeId('n4'),
  state: 'copying',
  lagBytes: 9_007_199_254_740_991,
  logBytes: 9_007_199_254_740_991,
  bytesPerSecond: 104_857_600,
  remainingMs: 8_280_000,
};
const REPLACE = ['member', 'replace', 'n3', 'n4', '--addr', '10.0.0.4:10912'];
const lastJson = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');

test('member list shows roles, quorum and what is amiss', async () => {
  const group = new MemoryGroup();
  group.answerQuestion = () => ({ kind: 'members', report: aMembersReport() });
  equal(await group.run('member', 'list'), 0);
  const { text } = group.terminal.stdout;
  match(
    text,
    /^group broker-a of dev, config #118 \(stable\), leader n1 in term 42,\s+quorum\s+2\s+of\s+3,\s+survives\s+0\s+failures$/m,
  );
  match(text, /^ {2}n1 +LEADER +10\.0\.0\.1:10912 +c0ffee00 /m);
  match(text, /^ {2}n3 +voter .* away$/m);
});

test('member list -o json has 64-bit numbers as text', async () => {
  const group = new MemoryGroup();
  group.answerQuestion = () => ({ kind: 'members', report: aMembersReport() });
  equal(await group.run('members', '-o', 'json'), 0);
  const report = lastJson(group.terminal.stdout.text);
  equal(report.apiVersion, 'mq-raft/v1');
  equal(report.configIndex, '118');
  equal(report.members[0].matchIndex, '9007199254740991');
});

test('member list has a column for zones where one is set, and JSON always', async () => {
  const group = new MemoryGroup();
  let zones: readonly (string | null)[] = ['', '', ''];
  group.answerQuestion = () => {
    const report = aMembersReport();
    const members = report.members.map((member, i) => ({ ...member, zone: zones[i] ?? null }));
    return { kind: 'members', report: { ...report, members } };
  };
  await group.run('members');
  ok(!group.terminal.stdout.text.includes('zone'));
  zones = ['eu-1a', '', null];
  await group.run('members');
  match(group.terminal.stdout.text, /^ {2}node +role +zone +raft address/m);
  match(group.terminal.stdout.text, /^ {2}n1 +LEADER +eu-1a +10/m);
  match(group.terminal.stdout.text, /^ {2}n2 +voter +- +10/m);
  match(group.terminal.stdout.text, /^ {2}n3 +voter +\? +10/m);
  await group.run('members', '-o', 'json');
  const { members } = lastJson(group.terminal.stdout.text);
  deepEqual(
    members.map(({ zone }: { zone: unknown }) => zone),
    ['eu-1a', '', null],
  );
});

test('member list spares columns where the line is too short, and no line is wider', async () => {
  const group = new MemoryGroup();
  const members = aMembersReport().members.map((member) => ({
    ...member,
    ...{ raftAddress: `${member.nodeId}.eu-central-1.internal:10912`, zone: 'eu-central-1a' },
  }));
  const removed = Array.from({ length: 20 }, (_, i) => NodeId(`node-${i}`));
  group.answerQuestion = () => ({ kind: 'members', report: aMembersReport({ members, removed }) });
  await group.run('members');
  const { text } = group.terminal.stdout;
  match(text, /^ {2}node +role +zone +raft address +lag +state$/m);
  deepEqual(
    text.split('\n').filter(({ length }) => length > 80),
    [],
  );
  group.terminal.stdout.columns = 160;
  await group.run('members');
  match(group.terminal.stdout.text, /raft address +store +match +lag/);
});

test('member list shows the operation that is under way, and how to end it', async () => {
  const lock = { operationId: 'o1', owner: 'bob@b', action: 'replace n3 n4', takenAtMs: 0 };
  const group = new MemoryGroup();
  group.answerQuestion = () => ({ kind: 'members', report: aMembersReport({ lock }) });
  await group.run('members');
  match(group.terminal.stdout.text, /under way: replace n3 n4, by bob@b, since 1970/);
  match(group.terminal.stdout.text, /mq-raft unlock/);
});

test('without a leader member list ends with 6; --stale shows what one node knows', async () => {
  const group = new MemoryGroup();
  const report = aMembersReport({ isFromLeader: false, leader: null });
  group.answerQuestion = () => ({ kind: 'members', report });
  group.hasLeader = false;
  equal(await group.run('members'), 6);
  match(group.terminal.stderr.text, /no leader within 2 s/);
  match(group.terminal.stderr.text, /--stale/);
  equal(await group.run('members', '--stale'), 0);
  match(group.terminal.stdout.text, /no leader[\s\S]*as n1\s+knows\s+it/);
});

test('--dry-run prints plan, arithmetic and the line to run, and asks for nothing else', async () => {
  const group = new MemoryGroup();
  equal(await group.run(...REPLACE, '--planned', '--dry-run'), 0);
  const { text } = group.terminal.stdout;
  match(text, /^PLAN 9c1e0042 {2}replace n3 n4 {2}\(valid for config #118\)$/m);
  match(text, /2 of \{n1,n2,n3\}/);
  match(text, /2 of \{n1,n2,n4\}/);
  match(text, /0 failures/);
  match(text, /CHECKS 1\/1 ok/);
  match(
    text,
    /Nothing was changed\. {2}Run:\n {2}mq-raft replace n3 n4 --addr 10\.0\.0\.4:10912 --planned --if-config 118 --yes\n/,
  );
  ok(
    text.split('\n').every((line) => line.length <= 80),
    text,
  );
  deepEqual(group.changes, []);
  deepEqual(group.terminal.cluster.adminCalls[0]?.call.options, {
    actor: 'alice@test',
    dryRun: true,
    ifConfig: null,
    ifPlan: null,
    steal: false,
    allow: ['planned'],
  });
});

test('a wide terminal shows the plan as a table', async () => {
  const group = new MemoryGroup();
  group.terminal.stdout.columns = 160;
  await group.run(...REPLACE, '--dry-run');
  match(group.terminal.stdout.text, /^ +step +who decides +live +survives$/m);
});

test('--dry-run -o json is the plan, with bytes as text', async () => {
  const group = new MemoryGroup();
  equal(await group.run(...REPLACE, '--dry-run', '-o', 'json'), 0);
  const planned = lastJson(group.terminal.stdout.text);
  equal(planned.kind, 'planned');
  equal(planned.plan.configIndex, '118');
  equal(planned.plan.steps[1].bytes, '9007199254740');
});

test('a refusal lists every failed check with its numbers and the way out, and ends with 4', async () => {
  const checks = [
    aCheck(),
    aCheck({
      verdict: 'failed',
      observed: '1 of {n1,n4} live',
      remedy: 'start n2 first',
    }),
    aCheck({
      id: 'nobodyUnderRepair',
      verdict: 'failed',
      subject: NodeId('n2'),
      observed: 'n2 repairs 3 entries',
    }),
  ];
  const group = new MemoryGroup({ checks });
  equal(await group.run(...REPLACE, '--yes'), 4);
  const { text } = group.terminal.stderr;
  match(text, /CHECKS 1\/3 ok, 2 FAILED/);
  match(text, /seen +1 of \{n1,n4\} live/);
  match(text, /why: +quorumAfter, nobodyUnderRepair/);
  match(text, /to do +start n2 first/);
  match(text, /refused, nothing was changed/);
  deepEqual(group.changes, []);
});

test('a refusal -o json is on stdout', async () => {
  const group = new MemoryGroup({ checks: [aCheck({ verdict: 'failed' })] });
  equal(await group.run(...REPLACE, '--yes', '-o', 'json'), 4);
  const refusal = lastJson(group.terminal.stdout.text);
  equal(refusal.kind, 'refused');
  equal(refusal.checks[0].verdict, 'failed');
});

test('another config than --if-config named ends with 9', async () => {
  const group = new MemoryGroup({ checks: [aCheck({ id: 'configUnmoved', verdict: 'failed' })] });
  equal(await group.run(...REPLACE, '--yes', '--if-config', '117'), 9);
});

test('what destroys needs the typed name, or --yes', async () => {
  const group = new MemoryGroup();
  equal(await group.run('remove', 'n3'), 2, 'nobody to ask');
  match(group.terminal.stderr.text, /give --yes/);
  group.terminal.answers = ['n2'];
  equal(await group.run('remove', 'n3'), 10);
  match(group.terminal.stderr.text, /'n2' is not n3/);
  deepEqual(group.changes, []);
  group.terminal.answers = ['n3'];
  equal(await group.run('remove', 'n3'), 0);
  equal(group.changes.length, 1);
  equal(await group.run('remove', 'n3', '--yes'), 0);
  equal(group.changes.length, 2);
});

test('several are promoted or removed in one change, and all their names are typed', async () => {
  const group = new MemoryGroup();
  equal(await group.run('member', 'promote', 'n4', 'n5'), 0);
  deepEqual(group.changes[0]?.request, { kind: 'promote', nodeIds: ['n4', 'n5'] });
  group.terminal.answers = ['n4'];
  equal(await group.run('member', 'remove', 'n4', 'n5'), 10);
  match(group.terminal.stderr.text, /type n4 n5 to go on/);
  group.terminal.answers = ['n4 n5'];
  equal(await group.run('member', 'remove', 'n4', 'n5', '-o', 'json'), 0);
  deepEqual(group.changes[1]?.request, { kind: 'remove', nodeIds: ['n4', 'n5'] });
  equal(lastJson(group.terminal.stdout.text).kind, 'changed');
  equal(await group.run('remove'), 2);
  equal(await group.run('remove', 'n4', 'n 5'), 2);
});

test('a protected context asks whatever --yes says', async () => {
  const group = new MemoryGroup();
  await group.run('context', 'add', 'prod', '--endpoints', 'n1:1', '--protected');
  equal(await group.run('remove', 'n3', '--yes', '--context', 'prod'), 2);
  match(group.terminal.stderr.text, /context prod is protected/);
  deepEqual(group.changes, []);
});

test('the change is bound to the plan that was shown', async () => {
  const group = new MemoryGroup();
  await group.run('transfer', '--to', 'n2');
  deepEqual(group.changes[0]?.request, { kind: 'transfer', to: 'n2' });
  equal(group.changes[0]?.options.ifPlan, '9c1e0042');
});

test('replace waits, shows the ticket and progress, and asks the same until it is done', async () => {
  const pending = aChanged({
    state: 'pending',
    phase: 'join',
    sentence: 'waits for n4',
    ticket: aTicket,
  });
  const copies = aChanged({
    state: 'pending',
    phase: 'catchUp',
    sentence: 'n4 copies',
    progress: copying,
  });
  const changes = [pending, ...Array.from({ length: 8 }, () => copies), aChanged()];
  const group = new MemoryGroup({ changes });
  equal(await group.run(...REPLACE, '--yes'), 0);
  equal(group.terminal.stdout.text, 'done: n4 has taken the place of n3 (config #121)\n');
  const { text } = group.terminal.stderr;
  match(text, /mq-raft-broker --node-id n4 --cluster-id dev --group-id broker-a/);
  match(text, /--join 10\.0\.0\.1:10912,10\.0\.0\.2:10912 \\\n +--token T0K3N/);
  match(text, /n4: copying, 8192 TiB of 8192 TiB to go, 100 MiB\/s, 2 h 18 min left/);
  equal(text.match(/T0K3N/g)?.length, 1, 'the ticket is shown once');
  equal(group.changes.length, 10);
  deepEqual(
    group.changes.map(({ options }) => options.ifPlan),
    ['9c1e0042', ...Array.from({ length: 9 }, () => null)],
  );
});

test('--wait that runs out ends with 7 and says how to go on', async () => {
  const pending = aChanged({ state: 'pending', phase: 'catchUp', sentence: 'n4 copies' });
  const group = new MemoryGroup({ changes: [pending] });
  equal(await group.run(...REPLACE, '--yes', '--wait', '3s'), 7);
  match(group.terminal.stdout.text, /^under way: n4 copies/);
  match(group.terminal.stderr.text, /the same command goes on where it is/);
});

test('--no-wait returns at once', async () => {
  const pending = aChanged({ state: 'pending', phase: 'catchUp', sentence: 'n4 copies' });
  const group = new MemoryGroup({ changes: [pending] });
  equal(await group.run(...REPLACE, '--yes', '--no-wait'), 0);
  equal(group.changes.length, 1);
});

test('an election while it waits is lived through', async () => {
  const pending = aChanged({ state: 'pending', phase: 'joint', sentence: 'n4 comes, n3 goes' });
  const changes: Script['changes'] = [pending, 'timeout', 'timeout', aChanged()];
  const group = new MemoryGroup({ changes });
  equal(await group.run(...REPLACE, '--yes', '--timeout', '500ms'), 0);
});

test('a check that fails while it waits ends it with 4', async () => {
  const pending = aChanged({ state: 'pending', phase: 'catchUp', sentence: 'n4 copies' });
  const failed: AdminResponse = {
    kind: 'refused',
    plan: aPlan(),
    checks: [aCheck({ id: 'targetDiskRoom', verdict: 'failed', observed: 'n4 has 8 MiB' })],
  };
  const group = new MemoryGroup({ changes: [pending, failed] });
  equal(await group.run(...REPLACE, '--yes'), 4);
  match(group.terminal.stderr.text, /n4 has 8 MiB/);
});

test('what passes by itself is waited for once it has begun, and said once', async () => {
  const pending = aChanged({ state: 'pending', phase: 'catchUp', sentence: 'n4 copies' });
  const behind: AdminResponse = {
    kind: 'refused',
    plan: aPlan(),
    checks: [aCheck({ id: 'targetCaughtUp', verdict: 'failed', observed: 'n4 lacks 9 bytes' })],
  };
  const group = new MemoryGroup({ changes: [pending, behind, behind, aChanged()] });
  equal(await group.run(...REPLACE, '--yes'), 0);
  equal(group.terminal.stderr.text.match(/waits: n4 lacks 9 bytes/g)?.length, 1);
});

test('Ctrl-C says what stays and how to go on', async () => {
  const pending = aChanged({ state: 'pending', phase: 'catchUp', sentence: 'n4 copies' });
  const group = new MemoryGroup({ changes: [pending] });
  const running = group.run(...REPLACE, '--yes');
  group.terminal.clock.setTimer(2_500, () => group.terminal.interruptNow());
  equal(await running, 130);
  match(group.terminal.stderr.text, /The same command goes on/);
});

test('without a leader a change ends with 11: nothing can have changed', async () => {
  const group = new MemoryGroup();
  group.hasLeader = false;
  equal(await group.run('promote', 'n4', '--timeout', '1s'), 11);
  match(group.terminal.stderr.text, /no leader answers; nothing was changed/);
  deepEqual(group.changes, []);
});

test('a change whose answer is lost ends with 6: its outcome is unknown', async () => {
  const group = new MemoryGroup({ changes: ['timeout'] });
  equal(await group.run('promote', 'n4', '--timeout', '1s'), 6);
  match(group.terminal.stderr.text, /outcome unknown/);
  match(group.terminal.stderr.text, /the same command again says how it went/);
});

test('one lost answer makes the outcome unknown, however busy the other nodes are', async () => {
  const group = new MemoryGroup();
  const { cluster } = group.terminal;
  const answer = cluster.answerAdmin;
  cluster.answerAdmin = (call, address) => {
    if (call.options.dryRun) return answer(call, address);
    const code = address === 'n1:raft' ? 'timeout' : 'busy';
    return { kind: 'failure', code, message: 'not now' };
  };
  equal(await group.run('promote', 'n4', '--timeout', '1s'), 6);
  match(group.terminal.stderr.text, /outcome unknown/);
});

test('what is already so ends with 0', async () => {
  const already = aChanged({ state: 'alreadySo', sentence: 'n4 votes already' });
  const group = new MemoryGroup({ changes: [already] });
  equal(await group.run('promote', 'n4'), 0);
  equal(group.terminal.stdout.text, 'already so: n4 votes already (config #121)\n');
});

test('add prints the ticket, as text and as JSON', async () => {
  const changes = [aChanged({ sentence: 'n4 is a learner', ticket: aTicket })];
  const args = ['add', 'n4', '--addr', '10.0.0.4:10912'];
  const text = new MemoryGroup({ changes });
  equal(await text.run(...args), 0);
  match(text.terminal.stdout.text, /--advertise-raft 10\.0\.0\.4:10912/);
  const json = new MemoryGroup({ changes });
  equal(await json.run(...args, '-o', 'json'), 0);
  const { ticket } = lastJson(json.terminal.stdout.text);
  equal(ticket.token, 'T0K3N');
  equal(ticket.expiresAt, '1970-01-01T01:00:00.000Z');
});

test('catchup ends with 7 until it has caught up', async () => {
  const group = new MemoryGroup();
  let report: CatchupReport = copying;
  group.answerQuestion = () => ({ kind: 'catchup', report });
  equal(await group.run('catchup', 'n4'), 7);
  report = { ...copying, state: 'caughtUp', lagBytes: 0 };
  equal(await group.run('member', 'catchup', 'n4', '-o', 'json'), 0);
  equal(lastJson(group.terminal.stdout.text).lagBytes, '0');
});

const allowed: readonly (readonly [readonly string[], readonly string[]])[] = [
  [['promote', 'n4', '--allow-even'], ['evenVoters']],
  [['remove', 'n3', '--yes', '--force-below-3'], ['belowThree']],
  [['remove', 'n3', '--yes', '--allow-less-tolerance'], ['lessTolerance']],
  [[...REPLACE, '--yes', '--planned'], ['planned']],
  [
    ['remove', 'n3', '--yes', '--allow', 'belowThree', '--allow', 'evenVoters'],
    ['belowThree', 'evenVoters'],
  ],
];
for (const [args, want] of allowed) {
  test(`mq-raft ${args.join(' ')} takes the risk by its name`, async () => {
    const group = new MemoryGroup();
    equal(await group.run(...args), 0);
    deepEqual(group.changes[0]?.options.allow, want);
  });
}

test('of several groups one must be named', async () => {
  const group = new MemoryGroup();
  group.answerQuestion = () => ({ kind: 'members', report: aMembersReport() });
  const [route] = group.terminal.nameServers[0]?.routesNow ?? [];
  ok(route !== undefined && group.terminal.nameServers[0] !== undefined);
  group.terminal.nameServers[0].routesNow = [route, { ...route, group: 'broker-b' }];
  equal(await group.run('members'), 2);
  match(group.terminal.stderr.text, /there are broker-a, broker-b/);
  equal(await group.run('members', '--group', 'broker-b'), 0);
});

test('a name that no node can have is wrong usage', async () => {
  const group = new MemoryGroup();
  equal(await group.run('promote', 'n 4'), 2);
  equal(await group.run('add', 'n4', '--addr', 'nowhere'), 2);
});
