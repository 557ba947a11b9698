/** A real group is backed up under load while its leader is killed, and lives on as another cluster. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { readWholeTopic } from './audit.ts';
import { aWorkingDirectory, CommandProcess, jsonLines, mqRaft } from './dev-process.ts';
import {
  drain,
  LoadProducer,
  sentMore,
  startProducer,
  startSimpleConsumer,
} from './official-client.ts';
import { type Owner, owning } from './owner.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const SEGMENT_SIZE_BYTES = 512 * 1024;
const LANES = 8;
const TOPIC = 'backed-up';
const GROUP = 'half-way';
const READ_MS_MAX = 60_000;
const IDS = ['m1', 'm2', 'm3'];

interface RestoredLine {
  readonly clusterId: string;
  readonly start: readonly string[];
}

/** Receives and acknowledges a part of the topic. @returns the ids */
async function consumedSome(owner: Owner, grpc: string): Promise<ReadonlySet<string>> {
  const consumer = await startSimpleConsumer(owner, grpc, TOPIC, GROUP);
  const ids = new Set<string>();
  await waitFor('some messages to be consumed', async () => {
    for (const view of await consumer.receive(32, 60_000)) {
      await consumer.ack(view);
      ids.add(view.messageId);
    }
    return ids.size >= 100 ? true : null;
  });
  await consumer.shutdown();
  return ids;
}

function flipOneByte(directory: string): () => void {
  const name = readdirSync(join(directory, 'data')).sort()[1]!;
  const path = join(directory, 'data', name);
  const good = readFileSync(path);
  const bad = Buffer.from(good);
  const at = Math.floor(bad.length / 2);
  bad[at] = bad[at]! ^ 0x10;
  writeFileSync(path, bad);
  return () => writeFileSync(path, good);
}

async function restoredCluster(
  owner: Owner,
  cwd: string,
  backup: string,
): Promise<{ readonly cluster: TestCluster; readonly clusterId: string }> {
  const to = join(cwd, 'restored');
  const cluster = await TestCluster.plan({
    ...{ segmentSizeBytes: SEGMENT_SIZE_BYTES, nodePrefix: 'm' },
    directoryOf: (nodeId) => join(to, nodeId),
  });
  owner.after(() => cluster.close());
  const members = cluster.nodes.map(({ nodeId, raft }) => `${nodeId}=${raft}`).join(',');
  const args = ['restore', backup, '--to', to, '--node', members];
  const dry = await mqRaft(owner, cwd, ...args, '--dry-run');
  equal(dry.code, 0, dry.stderr);
  match(dry.stdout, /instead of test/);
  deepEqual(readdirSync(cwd).includes('restored'), false, 'a dry run makes nothing');
  const done = await mqRaft(owner, cwd, ...args, '-o', 'json');
  equal(done.code, 0, done.stderr);
  const [line] = jsonLines<RestoredLine>(done.stdout);
  ok(line !== undefined && line.clusterId !== 'test' && line.start.length === IDS.length);
  equal((await mqRaft(owner, cwd, ...args)).code, 4, 'never over what is there');
  return { cluster, clusterId: line.clusterId };
}

suite('backup and restore', { timeout: 170_000 }, () => {
  test('under load, with a kill of the leader: the new cluster has everything, each once; old and new refuse each other', async (t) => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const old = await TestCluster.start({ segmentSizeBytes: SEGMENT_SIZE_BYTES });
      owner.after(() => old.close());
      const endpoints = old.nodes.map(({ raft }) => raft).join(',');
      const producer = await startProducer(owner, old.nodes[0]!.grpc, TOPIC);
      const load = new LoadProducer(owner, producer, TOPIC, LANES, 'x'.repeat(1_000));
      await sentMore(load, 2_000);
      const consumed = await consumedSome(owner, old.nodes[0]!.grpc);

      const before = [...load.sent];
      const backup = join(cwd, 'backup');
      const args = ['backup', backup, '--endpoints', endpoints];
      const taking = new CommandProcess(owner, cwd, [...args, '--rate', '256K', '--wait']);
      await taking.written('stderr', /reading from/);
      const leader = await old.leader();
      await old.kill(leader);
      await sentMore(load, 100);
      await old.startNode(leader);
      await waitFor('the leader to be back', async () =>
        (await old.metrics(leader))?.has('mqraft_raft_commit_index') === true ? true : null,
      );
      // Now the one that is read from.
      const address = /reading from ([\d.:]+)(?![\s\S]*reading from)/.exec(taking.stderr)?.[1];
      const source = old.nodes.find(({ raft }) => raft === address)!;
      await old.kill(source.nodeId);
      await taking.written('stderr', /cannot go on: [\s\S]*going on with entry/);
      await old.startNode(source.nodeId);
      const taken = await taking.end();
      equal(taken.code, 0, taken.stderr);
      t.diagnostic(taken.stderr.trim().replaceAll('\n', ' | '));
      t.diagnostic(taken.stdout.trim().replaceAll('\n', ' | '));
      await load.stop();
      deepEqual(load.failures, []);
      equal((await mqRaft(owner, cwd, ...args)).code, 4, 'one directory, one backup');

      const mend = flipOneByte(backup);
      const damaged = await mqRaft(owner, cwd, 'backup', 'verify', backup);
      equal(damaged.code, 8, damaged.stderr);
      mend();
      equal((await mqRaft(owner, cwd, 'backup', 'verify', backup)).code, 0);

      const { cluster, clusterId } = await restoredCluster(owner, cwd, backup);
      await cluster.startNameServer();
      // Two of three, then the third one.
      await Promise.all(['m1', 'm2'].map((id) => cluster.startRenamed(id, clusterId)));
      await cluster.leader();
      await cluster.startRenamed('m3', clusterId);
      await cluster.converged();

      const read = await readWholeTopic(cluster, TOPIC);
      const bodyOf = new Map(read.map(({ messageId, body }) => [messageId, body]));
      equal(bodyOf.size, read.length, 'no message twice');
      for (const { messageId, body } of before) {
        equal(Buffer.from(bodyOf.get(messageId) ?? []).toString(), body, messageId);
      }
      const sentIds = new Set(load.sent.map(({ messageId }) => messageId));
      for (const messageId of bodyOf.keys()) ok(sentIds.has(messageId), `${messageId} was sent`);
      t.diagnostic(`${before.length} acknowledged before, ${read.length} in the new cluster`);

      // The group goes on where it was: nothing that it has acknowledged comes again.
      const consumer = await startSimpleConsumer(owner, cluster.nodes[2]!.grpc, TOPIC, GROUP);
      const rest = before.map(({ messageId }) => messageId).filter((id) => !consumed.has(id));
      const received = await drain(consumer, new Set(rest), READ_MS_MAX);
      for (const { view } of received) ok(!consumed.has(view.messageId), 'consumed before');

      await assertStrangers(owner, cwd, backup, old);
    });
  });
});

/** A restored cluster that looks for one of its members where a node of the old one is. */
async function assertStrangers(
  owner: Owner,
  cwd: string,
  backup: string,
  old: TestCluster,
): Promise<void> {
  const to = join(cwd, 'astray');
  const astray = await TestCluster.plan({
    ...{ segmentSizeBytes: SEGMENT_SIZE_BYTES, nodePrefix: 'k' },
    directoryOf: (nodeId) => join(to, nodeId),
  });
  owner.after(() => astray.close());
  const victim = old.nodes[0]!;
  const members = astray.nodes
    .map(({ nodeId, raft }, i) => `${nodeId}=${i === 0 ? victim.raft : raft}`)
    .join(',');
  const args = ['restore', backup, '--to', to, '--node', members, '--cluster-id', 'astray'];
  equal((await mqRaft(owner, cwd, ...args)).code, 0);
  await astray.startNameServer();
  const group = [
    ...['--cluster-id', 'astray', '--group-id', 'broker-a', '--members', members],
    ...['--segment-size-bytes', String(SEGMENT_SIZE_BYTES)],
  ];
  await Promise.all(['k2', 'k3'].map((id) => astray.startNodeWith(id, group)));
  await waitFor('both to refuse each other', async () => {
    const logs = [astray.logOf('k2'), old.logOf(victim.nodeId)];
    return logs.every((log) => log.includes('otherCluster')) ? true : null;
  });
}
