import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryTerminal, reportOf } from '../memory-environment.ts';

const aTerminal = () => new MemoryTerminal((_, address) => reportOf(address));
const lastJson = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
const FILE = `node-id: n1
cluster-id: c
group-id: g
members: { n1: a:10912 }
dir: /data
`;

test('config explain tells a setting with every way to give it', async () => {
  const terminal = aTerminal();
  equal(await terminal.run('config', 'explain', 'segment-size-bytes'), 0);
  match(terminal.stdout.text, /variable +MQ_RAFT_BROKER_SEGMENT_SIZE_BYTES=268435456/);
  equal(await terminal.run('config', 'explain', 'segment-size'), 3);
  match(terminal.stderr.text, /did you mean segment-size-bytes\?/);
  equal(await terminal.run('config', 'explain', 'listen', '--server', 'namesrv', '-o', 'json'), 0);
  equal(lastJson(terminal.stdout.text).variable, 'MQ_RAFT_NAMESRV_LISTEN');
});

test('config explain without a key lists them', async () => {
  const terminal = aTerminal();
  equal(await terminal.run('config', 'explain'), 0);
  match(terminal.stdout.text, /^ +retention-hours +hours +keep messages/m);
});

test('config validate tells all problems with their lines, and ends with 4', async () => {
  const terminal = aTerminal();
  terminal.files.set('b.yaml', `${FILE}gprc: x\nhttp: nowhere\n`);
  equal(await terminal.run('config', 'validate', 'b.yaml'), 4);
  match(terminal.stderr.text, /2 problems/);
  match(terminal.stderr.text, /b\.yaml:6: gprc is no setting \(did you mean grpc\?\)/);
  match(terminal.stderr.text, /b\.yaml:7: http: must be host:port/);
  equal(await terminal.run('config', 'validate', 'b.yaml', '-o', 'json'), 4);
  equal(lastJson(terminal.stdout.text).problems.length, 2);
  terminal.files.set('b.yaml', FILE);
  equal(await terminal.run('config', 'validate', 'b.yaml'), 0);
  equal(await terminal.run('config', 'validate', 'c.yaml'), 3);
});

test('config show tells each value with its origin', async () => {
  const terminal = aTerminal();
  terminal.files.set('b.yaml', FILE);
  terminal.variables = { MQ_RAFT_BROKER_LOG_LEVEL: 'warn' };
  equal(await terminal.run('config', 'show', 'b.yaml'), 0);
  match(terminal.stdout.text, /^ +dir +\/data +b\.yaml:5$/m);
  match(terminal.stdout.text, /^ +log-level +warn +MQ_RAFT_BROKER_LOG_LEVEL$/m);
  match(terminal.stdout.text, /^ +http +127\.0\.0\.1:9910 +default$/m);
});

test('contexts: added, used, listed, removed', async () => {
  const terminal = aTerminal();
  equal(await terminal.run('context', 'add', 'prod', '--namesrv', 'a:1,b:2', '--protected'), 0);
  equal(await terminal.run('context', 'add', 'lab', '--endpoints', 'c:3'), 0);
  equal(await terminal.run('context', 'list'), 0);
  match(terminal.stdout.text, /^ {2}\* +prod +name servers +a:1,b:2 +protected$/m);
  equal(await terminal.run('context', 'use', 'lab'), 0);
  equal(await terminal.run('context', 'list', '-o', 'json'), 0);
  equal(lastJson(terminal.stdout.text).current, 'lab');
  equal(await terminal.run('context', 'remove', 'lab'), 0);
  equal(await terminal.run('context', 'use', 'lab'), 3);
  equal(await terminal.run('context', 'add', 'none'), 2);
  deepEqual([...terminal.files.keys()], ['/home/alice/.config/mq-raft/contexts.json']);
});

test('a damaged list of contexts is told, and never overwritten', async () => {
  const terminal = aTerminal();
  const path = '/home/alice/.config/mq-raft/contexts.json';
  for (const text of [
    '{',
    '[]',
    '{"apiVersion":"mq-raft/v1","current":null,"contexts":{"a":{"x":1}}}',
  ]) {
    terminal.files.set(path, text);
    equal(await terminal.run('context', 'add', 'prod', '--namesrv', 'a:1'), 1);
    equal(terminal.files.get(path), text);
  }
});

const prodInUse = async (): Promise<MemoryTerminal> => {
  const terminal = aTerminal();
  await terminal.run('context', 'add', 'prod', '--endpoints', 'prod:1');
  await terminal.run('context', 'add', 'lab', '--endpoints', 'lab:1');
  return terminal;
};
const choices: readonly (readonly [
  string,
  readonly string[],
  Record<string, string>,
  boolean,
  string,
])[] = [
  ['the one in use', [], {}, false, 'prod:1'],
  ['the local cluster before it', [], {}, true, 'dev:1'],
  ['MQ_RAFT_CONTEXT before both', [], { MQ_RAFT_CONTEXT: 'lab' }, true, 'lab:1'],
  [
    'MQ_RAFT_ENDPOINTS before it',
    [],
    { MQ_RAFT_CONTEXT: 'lab', MQ_RAFT_ENDPOINTS: 'e:1' },
    true,
    'e:1',
  ],
  [
    '--context before variables',
    ['--context', 'prod'],
    { MQ_RAFT_ENDPOINTS: 'e:1' },
    true,
    'prod:1',
  ],
  ['--endpoints before --context', ['--context', 'prod', '--endpoints', 'x:1'], {}, true, 'x:1'],
];
for (const [what, args, variables, hasDev, want] of choices) {
  test(`a command goes to ${what}`, async () => {
    const terminal = await prodInUse();
    terminal.variables = variables;
    if (hasDev) {
      terminal.devRecord = { clusterId: 'dev', pid: 1, nodes: [], nameServers: ['dev:1'] };
    }
    await terminal.run('status', ...args);
    deepEqual(terminal.targets.at(-1)?.addresses, [want]);
  });
}

test('a context that is not there ends with 3 and names those that are', async () => {
  const terminal = await prodInUse();
  equal(await terminal.run('status', '--context', 'pord'), 3);
  match(terminal.stderr.text, /there are lab, prod/);
});
