import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, Term } from '../../base/units.ts';
import type { ClusterStatus, MemberStatus } from '../../client/cluster-status.ts';
import { aNodeReport } from '../../client/memory-cluster.ts';
import type { NodeReport } from '../../protocol/verbs.ts';
import { type DevView, devBanner, devJson, statusChanges } from './dev-banner.ts';
import { plainPaint } from './text.ts';

function aMember(nodeId: string, changes: Partial<NodeReport> | null): MemberStatus {
  const report = changes === null ? null : aNodeReport(nodeId, changes);
  return { nodeId, raft: '', grpc: null, http: null, report, why: '' };
}

function aStatus(leader: string | null, term: number, away: readonly string[] = []): ClusterStatus {
  const nodes = ['n1', 'n2', 'n3'].map((id) => {
    const leads = id === leader;
    if (away.includes(id)) return aMember(id, null);
    return aMember(id, {
      role: leads ? 'leader' : 'follower',
      serving: leads,
      term: Term(term),
      leader: leader === null ? null : NodeId(leader),
    });
  });
  return { groups: [{ cluster: 'dev', group: 'broker-a', leader, nodes }], nameServers: [] };
}

const view: DevView = {
  version: { mqRaft: '0.1.0', node: 'v20.20.2' },
  directory: './.mq-raft',
  isDefaultDirectory: true,
  nodes: [1, 2, 3].map((i) => ({
    id: `n${i}`,
    pid: 12_340 + i,
    syncMsP99: 0.21,
    grpc: `127.0.0.1:${8080 + i}`,
    raft: `127.0.0.1:${10_902 + 10 * i}`,
    http: `127.0.0.1:${9909 + i}`,
    dir: `/data/n${i}`,
  })),
  nameServers: [
    { pid: 12_351, address: '127.0.0.1:9876' },
    { pid: 12_352, address: '127.0.0.1:9877' },
  ],
  autoCreateTopics: true,
  status: aStatus('n1', 1),
};

test('the banner fits in 80 columns and shows the next commands', () => {
  equal(
    devBanner(view, 80, plainPaint),
    `mq-raft 0.1.0  ·  Node v20.20.2  ·  data ./.mq-raft

  node  role        pid  gRPC   raft  http  fsync p99  state
  n1    LEADER    12341  8081  10912  9910    0.21 ms  ready
  n2    follower  12342  8082  10922  9911    0.21 ms  ready
  n3    follower  12343  8083  10932  9912    0.21 ms  ready

  gRPC        127.0.0.1:8081, endpoint of RocketMQ 5 clients; any node serves
  Remoting    not yet: RocketMQ 4 clients cannot connect
  NameServer  127.0.0.1:9876, 127.0.0.1:9877
  Metrics     http://127.0.0.1:9910/metrics, one for each node
  Topics      created by the first client that asks for them
  Logs        ./.mq-raft/logs
  Durability  a SEND_OK is on the disks of a majority: it survives the loss of
              any 1 node and a power cut of all 3

Try, in another terminal:
  npx mq-raft topic create orders
  npx mq-raft send orders "hello" --key A-1
  npx mq-raft consume orders --group demo --max 1
  npx mq-raft status
  kill -9 12341    # the leader: watch another one take over

Press Ctrl-C to stop. Data is kept; \`npx mq-raft dev --wipe\` starts over.
`,
  );
});

test('a wide terminal shows whole addresses, in at most 120 columns', () => {
  const lines = devBanner(view, 120, plainPaint).split('\n');
  equal(
    lines[3],
    '  n1    LEADER    12341  127.0.0.1:8081  127.0.0.1:10912  127.0.0.1:9910    0.21 ms  ready',
  );
  ok(lines.every((line) => line.length <= 120));
});

test('another directory comes with the line that makes commands find it', () => {
  const text = devBanner({ ...view, isDefaultDirectory: false }, 80, plainPaint);
  ok(text.includes('  export MQ_RAFT_NAMESRV=127.0.0.1:9876,127.0.0.1:9877\n'));
  ok(text.includes('dev --dir ./.mq-raft --wipe'), 'and starting over means that directory');
});

test('one node promises no more than one node can', () => {
  const text = devBanner({ ...view, nodes: view.nodes.slice(0, 1) }, 120, plainPaint);
  ok(text.includes('not the loss of the disk'));
  ok(!text.includes('kill -9'));
});

test('the JSON line has one contract', () => {
  const text = devJson(view);
  equal(text.split('\n').length, 2);
  const value = JSON.parse(text);
  deepEqual(Object.keys(value), ['apiVersion', 'nodes', 'namesrv', 'grpcEndpoints']);
  deepEqual(value.nodes[0], {
    id: 'n1',
    pid: 12341,
    role: 'leader',
    grpc: '127.0.0.1:8081',
    remoting: null,
    raft: '127.0.0.1:10912',
    http: '127.0.0.1:9910',
    dir: '/data/n1',
  });
  deepEqual(value.namesrv[1], { pid: 12352, address: '127.0.0.1:9877' });
  equal(value.grpcEndpoints, '127.0.0.1:8081');
});

const changes: readonly (readonly [string, ClusterStatus, ClusterStatus, readonly string[]])[] = [
  ['nothing', aStatus('n1', 1), aStatus('n1', 1), []],
  [
    'a lost leader',
    aStatus('n1', 1),
    aStatus(null, 1, ['n1']),
    ['no leader (it was n1): electing', 'n1 is unreachable'],
  ],
  ['a new leader', aStatus(null, 1, ['n1']), aStatus('n2', 2, ['n1']), ['n2 is LEADER of term 2']],
  ['a swift change', aStatus('n1', 1), aStatus('n3', 2), ['n3 is LEADER of term 2 (it was n1)']],
  [
    'an election that changes nobody',
    aStatus('n1', 1),
    aStatus('n1', 3),
    ['n1 is LEADER again, of term 3'],
  ],
  ['a node that is back', aStatus('n2', 2, ['n1']), aStatus('n2', 2), ['n1 is ready']],
];

for (const [what, before, after, want] of changes) {
  test(`statusChanges() tells ${what}`, () => deepEqual(statusChanges(before, after), want));
}

test('statusChanges() tells how far a node that is back is behind', () => {
  const after = aStatus('n2', 2);
  const nodes = after.groups[0]!.nodes.map((node) =>
    node.nodeId === 'n2'
      ? aMember('n2', {
          role: 'leader',
          serving: true,
          term: Term(2),
          lastIndex: LogIndex(9057),
          commitIndex: LogIndex(9057),
        })
      : node,
  );
  const late = { groups: [{ ...after.groups[0]!, nodes }], nameServers: [] };
  deepEqual(
    statusChanges(
      {
        ...late,
        groups: [{ ...late.groups[0]!, nodes: [aMember('n1', null), ...nodes.slice(1)] }],
      },
      late,
    ),
    ['n1 is catching up, 9000 entries behind'],
  );
});
