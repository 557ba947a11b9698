import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex } from '../../base/units.ts';
import { aNodeReport } from '../../client/memory-cluster.ts';
import type { BrokerRequest } from '../../protocol/verbs.ts';
import { answered, MemoryTerminal, reportOf } from '../memory-environment.ts';
import { aMembersReport, MemoryGroup } from '../memory-group.ts';

test('status shows every node in 80 columns and ends with 0', async () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  equal(await terminal.run('status'), 0);
  equal(
    terminal.stdout.text,
    `group broker-a of dev, leader n1 in term 3

  node  role      term  last  durable  commit  applied  lag  fsync p99  state
  n1    LEADER       3    57       57      57       57    0    0.21 ms  ready
  n2    follower     3    57       54      57       57    3    0.21 ms  ready
  n3    follower     3    57       57      57       57    0    0.21 ms  ready

name servers  127.0.0.1:9876 ok
`,
  );
  ok(terminal.stdout.text.split('\n').every((line) => line.length <= 80));
  equal(terminal.stderr.text, '');
});

test('status shows a node that does not answer, and why', async () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.cluster.down.add('n3:raft');
  equal(await terminal.run('status'), 0);
  match(terminal.stdout.text, /\n {2}n3 {4}- .* - {2}unreachable\n/);
  match(terminal.stdout.text, /\n {2}n3: n3:raft refused the connection\n/);
});

test('status leaves out the sync times where the line would wrap', async () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.cluster.down.add('n3:raft');
  await terminal.run('status');
  ok(!terminal.stdout.text.includes('fsync'));
  ok(terminal.stdout.text.split('\n').every((line) => line.length <= 80));
});

test('status does not call a follower ready that still believes in a lost leader', async () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.cluster.down.add('n1:raft');
  equal(await terminal.run('status'), 8);
  match(terminal.stdout.text, /\n {2}n2 .* no leader\n/);
});

test('status ends with 6 when name servers know nodes and none answers', async () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  for (const node of ['n1', 'n2', 'n3']) terminal.cluster.down.add(`${node}:raft`);
  equal(await terminal.run('status'), 6);
  match(terminal.stdout.text, /n2 .* unreachable\n/);
});

test('what to do when nobody is there depends on where it was looked for', async () => {
  const record = { clusterId: 'dev', pid: null, nodes: [], nameServers: ['127.0.0.1:1'] };
  const todo = async (change: (terminal: MemoryTerminal) => void, ...args: string[]) => {
    const terminal = new MemoryTerminal((_, address) => reportOf(address));
    terminal.nameServers[0]!.isUp = false;
    change(terminal);
    equal(await terminal.run('status', ...args), 6);
    return / {2}to do: (.*)\n/.exec(terminal.stderr.text)?.[1];
  };
  equal(
    await todo((terminal) => {
      terminal.devRecord = record;
    }),
    'the cluster in ./.mq-raft is stopped: start it with `npx mq-raft dev`',
  );
  equal(
    await todo((terminal) => {
      terminal.devRecord = { ...record, pid: 7 };
    }),
    'the cluster in ./.mq-raft does not answer: start it with `npx mq-raft dev`',
  );
  equal(
    await todo(() => {}, '--namesrv', 'there:9876'),
    'see whether --namesrv is right and the cluster runs',
  );
});

test('trouble is broken between words on a terminal, and nowhere else', async () => {
  const text = async (isTty: boolean) => {
    const terminal = new MemoryTerminal((_, address) => reportOf(address), { isTty });
    terminal.nameServers[0]!.isUp = false;
    await terminal.run('status');
    return terminal.stderr.text;
  };
  ok((await text(true)).split('\n').every((line) => line.length <= 80));
  match(await text(true), /\n {9}\w/);
  equal((await text(false)).split('\n').length, 4);
});

test('status ends with 8 while there is no leader', async () => {
  const terminal = new MemoryTerminal(() =>
    answered({ kind: 'status', status: aNodeReport('n2', { leader: null, role: 'candidate' }) }),
  );
  equal(await terminal.run('status'), 8);
  match(terminal.stdout.text, /no leader: nothing can be sent or received/);
  match(terminal.stdout.text, /candidate .* no leader\n/);
});

test('status -o json has the version and 64-bit numbers as strings', async () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  equal(await terminal.run('status', '-o', 'json'), 0);
  const status = JSON.parse(terminal.stdout.text);
  equal(status.apiVersion, 'mq-raft/v1');
  equal(status.groups[0].leader, 'n1');
  deepEqual(status.groups[0].nodes[1], {
    id: 'n2',
    state: 'ready',
    raft: 'n2:raft',
    grpc: 'n2:grpc',
    http: 'n2:http',
    role: 'follower',
    serving: false,
    storeUuid: 'uuid-n2',
    term: '3',
    lastIndex: '57',
    durableIndex: '54',
    commitIndex: '57',
    appliedIndex: '57',
    lag: '3',
    fsyncP50Ms: 0.14,
    fsyncP99Ms: 0.21,
    disk: null,
    log: { firstIndex: '1', keptBytes: '4096', install: null },
    scrub: null,
    checkpoints: { lastIndex: null, agreedIndex: null, divergence: null },
  });
  deepEqual(status.nameServers, [{ address: '127.0.0.1:9876', reachable: true }]);
});

test('a node whose disk is full says so, in the table and with the numbers in JSON', async () => {
  const room = { level: 'full', totalBytes: 1000, freeBytes: 40, reserveBytes: 50 } as const;
  const report = aNodeReport('n1', { role: 'leader', serving: true });
  const status = { ...report, disk: { ...report.disk, room } };
  const terminal = () => new MemoryTerminal(() => answered({ kind: 'status', status }));
  const table = terminal();
  await table.run('status');
  match(table.stdout.text, /LEADER .* disk full\n/);
  const json = terminal();
  await json.run('status', '-o', 'json');
  const [node] = JSON.parse(json.stdout.text).groups[0].nodes;
  equal(node.state, 'disk full');
  const numbers = { totalBytes: '1000', freeBytes: '40', reserveBytes: '50' };
  deepEqual(node.disk, { level: 'full', ...numbers });
});

test('status without any name server ends with 6 and says what to do', async () => {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.nameServers[0]!.isUp = false;
  equal(await terminal.run('status'), 6);
  equal(
    terminal.stderr.text,
    `error: status: no node was found
  why:   No name server answers: name server 127.0.0.1:9876: refused
  to do: start a cluster here with \`npx mq-raft dev\`, or name one with --namesrv host:port
`,
  );
  equal(terminal.stdout.text, '');
});

test('colour is for terminals, and NO_COLOR switches it off', async () => {
  const answer = (_: BrokerRequest, address: string) => reportOf(address);
  const coloured = new MemoryTerminal(answer, { isTty: true });
  await coloured.run('status');
  ok(coloured.stdout.text.includes('\u001b[32mready'));
  const plain = new MemoryTerminal(answer, { isTty: true });
  plain.variables = { NO_COLOR: '1' };
  await plain.run('status');
  ok(!plain.stdout.text.includes('\u001b'));
});

test('what a node has found out about itself is said below the table', async () => {
  const checkpoints = { lastIndex: LogIndex(50), agreedIndex: null, divergence: 'another digest' };
  const scrub = {
    ...{ passCount: 1, findingCount: 1, readBytes: 1, passDoneBytes: 1, passTotalBytes: 1 },
    ...{ bytesPerSecond: 1, lastFinishedAtMs: null, isLate: true, damage: 'entry 7 is damaged' },
  };
  const terminal = new MemoryTerminal((_, address) => {
    if (address === 'n2:raft')
      return answered({ kind: 'status', status: aNodeReport('n2', { scrub }) });
    if (address === 'n3:raft') {
      return answered({ kind: 'status', status: aNodeReport('n3', { checkpoints }) });
    }
    return reportOf(address);
  });
  await terminal.run('status');
  const { text } = terminal.stdout;
  match(text, /n2 .* damaged\n/);
  match(text, /n3 .* diverged\n/);
  match(text, /^ {2}scrub +n2 pass 1 done$/m);
  match(text, /^ {2}n2: entry 7 is damaged$/m);
  match(text, /^ {2}n2: reading the log again takes longer than the scrub period/m);
  match(text, /^ {2}n3: another digest$/m);
});

function aGroupWithMembers(): MemoryGroup {
  const group = new MemoryGroup();
  group.answerQuestion = ({ kind }) =>
    kind === 'members' ? { kind, report: aMembersReport() } : null;
  return group;
}

test('status says which config is in force, and how many failures the group survives', async () => {
  const group = aGroupWithMembers();
  await group.run('status');
  match(
    group.terminal.stdout.text,
    /^group broker-a of .*, config #118 \(stable\), leader n1 in term \d+,\s+quorum 2 of 3, survives 0 failures\n/,
  );
  ok(group.terminal.stdout.text.split('\n').every((line) => line.length <= 80));
  const json = aGroupWithMembers();
  await json.run('status', '-o', 'json');
  const status = JSON.parse(json.terminal.stdout.text) as { groups: { config: object }[] };
  deepEqual(status.groups[0]?.config, {
    ...{ index: '118', state: 'stable', voters: ['n1', 'n2', 'n3'], survives: 0 },
  });
});
