import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../base/units.ts';
import { logOrigin } from '../../raft/entry.ts';
import { foundingMembership } from '../../raft/membership.ts';
import type { ReplicaStatus } from '../../replica/replica.ts';
import type { SnapshotMetrics } from '../../replica/snapshot/snapshot-status.ts';
import { newBrokerCounters } from '../counters.ts';
import type { SoundnessReport } from '../services/node-report.ts';
import type { RoomReport } from '../verbs.ts';
import { type HttpEndpoint, startHttpEndpoint } from './endpoint.ts';
import type { NodeView } from './node-view.ts';

const QUIET = { isActive: null, isDiskStalled: false } as const;
const HEALTHY: ReplicaStatus = {
  nodeId: NodeId('n1'),
  clusterId: 'dev',
  groupId: 'g"1',
  storeUuid: 'u',
  role: 'leader',
  term: Term(7),
  leader: NodeId('n1'),
  lastIndex: LogIndex(120),
  durableIndex: LogIndex(119),
  commitIndex: LogIndex(118),
  appliedIndex: LogIndex(117),
  membership: logOrigin(foundingMembership([{ nodeId: NodeId('n1'), raftAddress: 'a:1' }]))
    .membership,
  isMembershipCommitted: true,
  endOffset: PhysicalOffset(0),
  firstIndex: LogIndex(1),
  logStart: { index: LogIndex(1), offset: PhysicalOffset(0) },
  keptBytes: 0,
  install: null,
  transferTo: null,
  isDiskStalled: false,
  refusedBy: [],
  isRemoved: false,
  peers: [
    {
      nodeId: NodeId('n2'),
      connected: true,
      addresses: null,
      matchIndex: null,
      lagBytes: 64,
      ...QUIET,
    },
    {
      nodeId: NodeId('n3'),
      connected: false,
      addresses: null,
      matchIndex: null,
      lagBytes: null,
      ...QUIET,
    },
  ],
};

const SNAPSHOTS: SnapshotMetrics = {
  ...{ newestIndex: LogIndex(90), taken: 3, takeFailures: 0, takenMs: 20, installed: 1 },
  ...{ sending: 0, sentSizeBytes: 0, receivedSizeBytes: 0 },
};

/** A replica that is as a test says. */
class ScriptedNode implements NodeView {
  current = HEALTHY;
  oldestPendingMs = 0;
  waitsForRoom = false;
  room: RoomReport | null = null;
  soundness: SoundnessReport = {
    scrub: null,
    checkpoints: { lastIndex: null, agreedIndex: null, divergence: null },
  };
  isDraining = false;
  #listener: (status: ReplicaStatus) => void = () => undefined;

  readonly log = {
    diskStats: {
      syncCount: 40,
      writtenBytes: 4_096,
      syncSecondsSum: 0.5,
      oldestPendingMs: () => this.oldestPendingMs,
      waitsForRoom: () => this.waitsForRoom,
      syncMsAt: () => null,
      syncSecondsBuckets: () => [[0.001, 30] as const, [0.01, 40] as const],
    },
  };

  status(): ReplicaStatus {
    return this.current;
  }

  onRoleChange(listener: (status: ReplicaStatus) => void): void {
    this.#listener = listener;
  }

  lead(leader: string | null): void {
    this.current = { ...this.current, leader: leader === null ? null : NodeId(leader) };
    this.#listener(this.current);
  }
}

interface TestBed {
  readonly node: ScriptedNode;
  readonly endpoint: HttpEndpoint;
  readonly counters: ReturnType<typeof newBrokerCounters>;
  get(path: string, method?: string): Promise<Response>;
  start(listenAddress: string): Promise<HttpEndpoint>;
}

async function setUp(t: TestContext): Promise<TestBed> {
  const node = new ScriptedNode();
  const counters = newBrokerCounters();
  const start = async (listenAddress: string) => {
    const endpoint = await startHttpEndpoint({
      listenAddress,
      replica: node,
      isDraining: () => node.isDraining,
      sources: {
        counters,
        messaging: {
          counts: {
            rejectedByCode: new Map([[40402, 3]]),
            backgroundFailures: 1,
            unexpectedErrors: 0,
          },
          clients: () => ({ clientCount: 2, streamCount: 4 }),
          departure: () => ({ state: 'leaving', userCount: 1 }),
        },
        diskRoom: () => node.room,
        snapshots: () => SNAPSHOTS,
        soundness: () => node.soundness,
        memory: () => ({ rss: 100, heapUsed: 50, external: 25 }),
        version: '0.1.0',
      },
    });
    t.after(() => endpoint.close());
    return endpoint;
  };
  const endpoint = await start('127.0.0.1:0');
  const get = (path: string, method = 'GET') =>
    fetch(`http://${endpoint.address}${path}`, { method });
  return { node, endpoint, counters, get, start };
}

test('scrubbing and checkpoints are told, and no scrubbing is not told', async (t) => {
  const { node, get } = await setUp(t);
  const before = await (await get('/metrics')).text();
  ok(!before.includes('mqraft_scrub'));
  match(before, /^mqraft_state_diverged 0$/m);
  node.soundness = {
    scrub: {
      ...{ passCount: 2, findingCount: 1, readBytes: 4_000, passDoneBytes: 100 },
      ...{ passTotalBytes: 300, bytesPerSecond: 50, lastFinishedAtMs: 1_700_000_000_500 },
      ...{ isLate: true, damage: 'entry 7' },
    },
    checkpoints: { lastIndex: LogIndex(90), agreedIndex: LogIndex(40), divergence: 'another log' },
  };
  const after = await (await get('/metrics')).text();
  for (const line of [
    'mqraft_scrub_bytes_total 4000',
    'mqraft_scrub_passes_total 2',
    'mqraft_scrub_findings_total 1',
    'mqraft_scrub_pass_bytes 100',
    'mqraft_scrub_last_finished_timestamp_seconds 1700000000.5',
    'mqraft_scrub_late 1',
    'mqraft_checkpoint_last_index 90',
    'mqraft_checkpoint_agreed_index 40',
    'mqraft_state_diverged 1',
  ]) {
    ok(after.split('\n').includes(line), line);
  }
});

test('a healthy node is live and ready', async (t) => {
  const { get } = await setUp(t);
  for (const path of ['/livez', '/readyz']) {
    const response = await get(path);
    deepEqual([response.status, await response.text()], [200, 'ok\n']);
  }
});

const TROUBLES: readonly {
  readonly what: string;
  readonly cause: (node: ScriptedNode) => void;
  readonly live: number;
  readonly reason: RegExp;
}[] = [
  { what: 'no leader', cause: (node) => node.lead(null), live: 200, reason: /leader: no leader/ },
  {
    what: 'a long way to apply',
    cause: (node) => {
      node.current = { ...HEALTHY, commitIndex: LogIndex(9_117) };
    },
    live: 200,
    reason: /applied: 9000 committed entries/,
  },
  {
    what: 'a snapshot on its way',
    cause: (node) => {
      const install = { phase: 'receiving', index: LogIndex(70), percent: 42 } as const;
      node.current = { ...HEALTHY, install };
    },
    live: 200,
    reason: /snapshot: 42 % of the one at entry 70 are here/,
  },
  {
    what: 'a slow disk',
    cause: (node) => {
      node.oldestPendingMs = 6_000;
    },
    live: 200,
    reason: /disk: .* 6000 ms/,
  },
  {
    what: 'a disk without room for the next segment',
    cause: (node) => {
      node.oldestPendingMs = 40_000;
      node.waitsForRoom = true;
    },
    live: 200,
    reason: /disk: .* 40000 ms.*no room for the next segment/,
  },
  {
    what: 'a stuck disk',
    cause: (node) => {
      node.oldestPendingMs = 31_000;
    },
    live: 503,
    reason: /disk: .* 31000 ms/,
  },
  {
    what: 'a stop in progress',
    cause: (node) => {
      node.isDraining = true;
    },
    live: 200,
    reason: /serving: the node is stopping/,
  },
];
for (const { what, cause, live, reason } of TROUBLES) {
  test(`a node with ${what} is not ready, says why, and is live: ${live === 200}`, async (t) => {
    const { node, get } = await setUp(t);
    cause(node);
    const ready = await get('/readyz');
    equal(ready.status, 503);
    match(await ready.text(), reason);
    equal((await get('/livez')).status, live);
  });
}

test('readyz tells every check when asked to', async (t) => {
  const { get } = await setUp(t);
  const text = await (await get('/readyz?verbose')).text();
  deepEqual(
    text.split('\n').map((line) => line.split(':')[0]),
    ['[+] leader', '[+] applied', '[+] snapshot', '[+] disk', '[+] serving', 'ok', ''],
  );
});

/** Sample lines of the page by name and labels. */
async function samples(get: TestBed['get']): Promise<ReadonlyMap<string, string>> {
  const response = await get('/metrics');
  equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  ok(text.endsWith('\n'));
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      line.slice(line.lastIndexOf(' ') + 1),
    ]),
  );
}

test('metrics show raft, disk, messages and process', async (t) => {
  const { counters, get } = await setUp(t);
  counters.sent = 20;
  counters.sentDuplicates = 2;
  counters.rejected.busy = 5;
  const seen = await samples(get);
  const expected = {
    mqraft_raft_term: '7',
    'mqraft_raft_role{role="leader"}': '1',
    'mqraft_raft_role{role="follower"}': '0',
    mqraft_raft_last_index: '120',
    mqraft_raft_durable_index: '119',
    mqraft_raft_commit_index: '118',
    mqraft_raft_applied_index: '117',
    mqraft_raft_connected_peers: '1',
    mqraft_log_start_index: '1',
    mqraft_log_first_index: '1',
    mqraft_log_kept_bytes: '0',
    mqraft_snapshots_taken_total: '3',
    mqraft_snapshots_installed_total: '1',
    mqraft_snapshot_index: '90',
    'mqraft_snapshot_install{phase="receiving"}': '0',
    'mqraft_raft_peer_lag_bytes{peer="n2"}': '64',
    'mqraft_fsync_duration_seconds_bucket{le="0.001"}': '30',
    'mqraft_fsync_duration_seconds_bucket{le="+Inf"}': '40',
    mqraft_fsync_duration_seconds_sum: '0.5',
    mqraft_fsyncs_total: '40',
    mqraft_acknowledged_messages_total: '20',
    mqraft_duplicate_messages_total: '2',
    mqraft_fsyncs_per_acknowledged_message: '2',
    'mqraft_rejected_total{reason="busy"}': '5',
    'mqraft_grpc_departure{state="leaving"}': '1',
    'mqraft_grpc_departure{state="left"}': '0',
    mqraft_grpc_departure_users: '1',
    'mqraft_grpc_rejected_total{code="40402"}': '3',
    mqraft_grpc_telemetry_streams: '4',
    mqraft_process_resident_memory_bytes: '100',
    'mqraft_build_info{version="0.1.0",cluster="dev",group="g\\"1",node="n1"}': '1',
  };
  for (const [name, value] of Object.entries(expected)) {
    deepEqual([name, seen.get(name)], [name, value]);
  }
  ok(Number(seen.get('mqraft_event_loop_delay_seconds{quantile="0.99"}')) >= 0);
});

test('a change of leader is counted; losing and finding the same one is not', async (t) => {
  const { node, get } = await setUp(t);
  const changes = async () => (await samples(get)).get('mqraft_raft_leader_changes_total');
  node.lead(null);
  node.lead('n1');
  equal(await changes(), '0');
  node.lead('n2');
  node.lead(null);
  node.lead('n3');
  equal(await changes(), '2');
});

test('other paths are 404, other methods 405, HEAD has no body', async (t) => {
  const { get } = await setUp(t);
  equal((await get('/')).status, 404);
  equal((await get('/metrics/x')).status, 404);
  const post = await get('/livez', 'POST');
  deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD']);
  const head = await get('/livez', 'HEAD');
  deepEqual([head.status, await head.text()], [200, '']);
});

const GARBAGE = [
  'complete nonsense\r\n\r\n',
  '\u0000\u0001\u0002',
  'GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n',
  'GET // HTTP/1.1\r\nhost: x\r\n\r\n',
  `GET /livez HTTP/1.1\r\nhost: x\r\nbig: ${'x'.repeat(20_000)}\r\n\r\n`,
  'POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\nabc',
];
for (const [i, bytes] of GARBAGE.entries()) {
  test(`garbage ${i} on the port does no harm`, async (t) => {
    const { endpoint, get } = await setUp(t);
    const [host = '', port = ''] = endpoint.address.split(':');
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), host, () => socket.end(bytes));
      socket.on('error', () => resolve());
      socket.on('close', () => resolve());
      socket.resume();
    });
    equal((await get('/livez')).status, 200);
  });
}

test('a taken port is refused by name', async (t) => {
  const { endpoint, start } = await setUp(t);
  await rejects(start(endpoint.address), { reason: 'addressInUse' });
  await rejects(start('nowhere'), { reason: 'badConfiguration' });
});

test('closing twice closes once, and open connections do not hold it up', async (t) => {
  const { endpoint, get } = await setUp(t);
  await (await get('/livez')).text();
  await Promise.all([endpoint.close(), endpoint.close()]);
  await rejects(get('/livez'));
});

test('the metrics tell how much room the disk has, as far as it is known', async (t) => {
  const { node, get } = await setUp(t);
  const text = async () => (await get('/metrics')).text();
  const before = await text();
  equal(before.includes('mqraft_disk_free_bytes'), false);
  match(before, /^mqraft_log_waits_for_room 0$/m);
  node.room = { level: 'full', totalBytes: 1_000, freeBytes: 40, reserveBytes: 50 };
  node.waitsForRoom = true;
  const after = await text();
  match(after, /^mqraft_disk_total_bytes 1000$/m);
  match(after, /^mqraft_disk_free_bytes 40$/m);
  match(after, /^mqraft_disk_reserve_bytes 50$/m);
  match(after, /^mqraft_disk_room\{level="full"\} 1$/m);
  match(after, /^mqraft_disk_room\{level="ok"\} 0$/m);
  match(after, /^mqraft_log_waits_for_room 1$/m);
});
