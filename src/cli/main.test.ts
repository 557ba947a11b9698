import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId } from '../base/units.ts';
import { aNodeReport } from '../client/memory-cluster.ts';
import { answered, MemoryTerminal, reportOf } from './memory-environment.ts';

const anyAnswer = (_: unknown, address: string) => reportOf(address);

const usage: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
  ['an unknown option', ['status', '--frob'], /unknown option '--frob'/],
  ['no command', [], /Usage: mq-raft/],
  ['a missing argument', ['topic', 'create'], /missing required argument 'name'/],
  ['a missing group', ['consume', 'orders'], /required option '--group <group>'/],
  ['too many arguments', ['topic', 'create', 'a', 'b'], /too many arguments/],
  ['a queue count of zero', ['topic', 'create', 'a', '--queues', '0'], /from 1 to 1024/],
  ['a form that is not known', ['status', '-o', 'xml'], /choices are table, json|Allowed choices/],
  ['a timeout without sense', ['status', '--timeout', 'soon'], /'soon' is not a duration/],
  ['a name server without port', ['status', '--namesrv', 'host'], /'host' is not host:port/],
  ['nothing to send', ['send', 'orders'], /There is nothing to send/],
  ['a body beyond --size', ['send', 'orders', 'hello', '--size', '2'], /5 bytes, --size allows 2/],
  ['a property without name', ['send', 'orders', 'x', '--property', '=v'], /is not name=value/],
  ['an empty tag', ['consume', 'o', '--group', 'g', '--tag', 'a ||'], /has an empty part/],
  ['two nodes', ['dev', '--nodes', '2'], /'2' is not 1, 3 or 5/],
  ['an odd segment size', ['dev', '--segment-size-bytes', '100001'], /multiple of 4096/],
];

for (const [what, args, want] of usage) {
  test(`${what} ends with 2 and a sentence on stderr`, async () => {
    const terminal = new MemoryTerminal(anyAnswer);
    equal(await terminal.run(...args), 2);
    match(terminal.stderr.text, want);
    equal(terminal.stdout.text, '');
  });
}

test('--help is data, within 80 columns, with examples and exit codes', async () => {
  for (const args of [[], ['send'], ['consume'], ['status'], ['dev'], ['topic', 'create']]) {
    const terminal = new MemoryTerminal(anyAnswer);
    equal(await terminal.run(...args, '--help'), 0);
    match(terminal.stdout.text, /Examples:/);
    const tooLong = terminal.stdout.text.split('\n').filter((line) => line.length > 80);
    deepEqual(tooLong, []);
  }
});

test('version prints both versions', async () => {
  const terminal = new MemoryTerminal(anyAnswer);
  equal(await terminal.run('version'), 0);
  equal(terminal.stdout.text, 'mq-raft 0.1.0, Node.js v20.20.2\n');
});

const dev = {
  clusterId: 'dev',
  pid: null,
  nodes: [],
  nameServers: ['127.0.0.1:20001'],
};
const targets: readonly (readonly [
  string,
  readonly string[],
  Record<string, string>,
  boolean,
  object,
])[] = [
  [
    'the defaults',
    [],
    {},
    false,
    { kind: 'nameServers', addresses: ['127.0.0.1:9876', '127.0.0.1:9877'] },
  ],
  ['the local cluster', [], {}, true, { kind: 'nameServers', addresses: ['127.0.0.1:20001'] }],
  [
    'MQ_RAFT_NAMESRV',
    [],
    { MQ_RAFT_NAMESRV: 'a:1;b:2' },
    true,
    { kind: 'nameServers', addresses: ['a:1', 'b:2'] },
  ],
  [
    'MQ_RAFT_ENDPOINTS before it',
    [],
    { MQ_RAFT_NAMESRV: 'a:1', MQ_RAFT_ENDPOINTS: 'c:3' },
    true,
    { kind: 'endpoints', addresses: ['c:3'] },
  ],
  [
    '--namesrv before both',
    ['--namesrv', 'd:4'],
    { MQ_RAFT_ENDPOINTS: 'c:3' },
    true,
    { kind: 'nameServers', addresses: ['d:4'] },
  ],
  [
    '--endpoints before all',
    ['--namesrv', 'd:4', '--endpoints', 'e:5'],
    {},
    true,
    { kind: 'endpoints', addresses: ['e:5'] },
  ],
];

for (const [what, args, variables, hasDev, want] of targets) {
  test(`commands talk to ${what}`, async () => {
    const terminal = new MemoryTerminal((_, address) => reportOf(address));
    terminal.variables = variables;
    if (hasDev) terminal.devRecord = dev;
    await terminal.run('status', ...args);
    const [first, ...others] = terminal.targets;
    deepEqual(first, want);
    // Administration has connections of its own.
    for (const other of others) deepEqual(other, want);
  });
}

test('a node that was given by address is named by what it says of itself', async () => {
  const peer = {
    nodeId: NodeId('n2'),
    connected: false,
    raftAddress: '127.0.0.1:2',
    grpcAddress: null,
    httpAddress: null,
    matchIndex: null,
    lagBytes: null,
  };
  const status = aNodeReport('n1', { role: 'leader', serving: true, peers: [peer] });
  const terminal = new MemoryTerminal(() => answered({ kind: 'status', status }));
  terminal.cluster.down.add('127.0.0.1:2');
  const args = ['--endpoints', '127.0.0.1:1,127.0.0.1:2', '-o', 'json'];
  equal(await terminal.run('status', ...args), 0);
  const [group] = JSON.parse(terminal.stdout.text).groups;
  deepEqual(
    group.nodes.map(({ id, state }: { id: string; state: string }) => [id, state]),
    [
      ['n1', 'ready'],
      ['n2', 'unreachable'],
    ],
  );
});

test('dev hands its options over, with defaults', async () => {
  const terminal = new MemoryTerminal(anyAnswer);
  equal(await terminal.run('dev', '--nodes', '1', '--no-auto-create-topics'), 0);
  deepEqual(terminal.devRuns, [
    {
      directory: './.mq-raft',
      nodeCount: 1,
      basePort: null,
      json: false,
      autoCreateTopics: false,
      wipe: false,
      yes: false,
      restartNodes: false,
      segmentSizeBytes: 64 * 1024 * 1024,
    },
  ]);
});
