import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { DevRecord } from '../../cli/dev-record.ts';
import { brokerArgs, planDev, shownDirectory } from './plan.ts';

const asWished = async (wishes: readonly number[]) => wishes;
const base = {
  directory: '/data',
  nodeCount: 3,
  basePort: null,
  record: null,
  choosePorts: asWished,
};

test('a new cluster takes the well-known ports', async () => {
  const plan = await planDev(base);
  deepEqual(plan.nameServers, ['127.0.0.1:9876', '127.0.0.1:9877']);
  deepEqual(
    plan.nodes.map(({ id, grpc, raft, http, dir }) => [id, grpc, raft, http, dir]),
    [
      ['n1', '127.0.0.1:8081', '127.0.0.1:10912', '127.0.0.1:9910', '/data/n1'],
      ['n2', '127.0.0.1:8082', '127.0.0.1:10922', '127.0.0.1:9911', '/data/n2'],
      ['n3', '127.0.0.1:8083', '127.0.0.1:10932', '127.0.0.1:9912', '/data/n3'],
    ],
  );
  deepEqual(plan.moves, []);
});

test('no two listeners wish for one port, for any number of nodes', async () => {
  for (const nodeCount of [1, 3, 5]) {
    for (const basePort of [null, 20_000]) {
      let wished: readonly number[] = [];
      const choosePorts = async (wishes: readonly number[]) => {
        wished = wishes;
        return wishes;
      };
      await planDev({ ...base, nodeCount, basePort, choosePorts });
      equal(new Set(wished).size, 2 + 3 * nodeCount);
      if (basePort !== null)
        deepEqual(
          wished,
          wished.map((_, i) => basePort + i),
        );
    }
  }
});

test('ports of the last run are kept, except with --base-port', async () => {
  const record: DevRecord = {
    clusterId: 'dev',
    pid: null,
    nodes: [
      { id: 'n1', grpc: '127.0.0.1:1081', raft: '127.0.0.1:1091', http: '127.0.0.1:1099', dir: '' },
    ],
    nameServers: ['127.0.0.1:1976', '127.0.0.1:1977'],
  };
  const kept = await planDev({ ...base, nodeCount: 1, record });
  equal(kept.nodes[0]?.raft, '127.0.0.1:1091');
  deepEqual(kept.nameServers, record.nameServers);
  const moved = await planDev({ ...base, nodeCount: 1, record, basePort: 20_000 });
  equal(moved.nodes[0]?.raft, '127.0.0.1:20003');
});

test('a port that was not to be had is told', async () => {
  const choosePorts = async (wishes: readonly number[]) =>
    wishes.map((port) => (port === 8082 ? 8090 : port));
  const plan = await planDev({ ...base, choosePorts });
  deepEqual(plan.moves, [{ what: 'n2 gRPC', from: 8082, to: 8090 }]);
  equal(plan.nodes[1]?.grpc, '127.0.0.1:8090');
});

test('every broker gets the same members', async () => {
  const plan = await planDev(base);
  const settings = { segmentSizeBytes: 65536, autoCreateTopics: true };
  equal(
    brokerArgs(plan, plan.nodes[1]!, settings).join(' '),
    '--node-id n2 --cluster-id dev --group-id broker-a ' +
      '--members n1=127.0.0.1:10912,n2=127.0.0.1:10922,n3=127.0.0.1:10932 --dir /data/n2 ' +
      '--grpc 127.0.0.1:8082 --raft 127.0.0.1:10922 --http 127.0.0.1:9911 ' +
      '--namesrv 127.0.0.1:9876,127.0.0.1:9877 --segment-size-bytes 65536 ' +
      '--auto-create-topics --supervised',
  );
});

test('a directory is shown as a user would write it', () => {
  equal(shownDirectory('/home/me/.mq-raft', '/home/me'), './.mq-raft');
  equal(shownDirectory('/tmp/x', '/home/me'), '/tmp/x');
  equal(shownDirectory('/home/me', '/home/me'), '.');
});
