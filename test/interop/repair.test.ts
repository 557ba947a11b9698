/** Real brokers with damaged logs: they repair themselves from the others before they take part. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { decodeEntryHeader, ENTRY_MAGIC } from '../../src/protocol/entry-codec.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import { aWorkingDirectory, mqRaft } from './dev-process.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { type Owner, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const SEGMENT_SIZE_BYTES = 256 * 1024;
const NODE_IDS = ['n1', 'n2', 'n3'] as const;
const LANES = 8;
const ANSWER_TIMEOUT_MS = 2_000;

interface Loaded {
  readonly cluster: TestCluster;
  readonly load: LoadProducer;
  readonly topic: string;
}

/** A group with messages in several segments; nobody sends any more. */
async function loaded(owner: Owner, topic: string): Promise<Loaded> {
  const cluster = await TestCluster.start({ segmentSizeBytes: SEGMENT_SIZE_BYTES });
  owner.after(() => cluster.close());
  const producer = await startProducer(owner, cluster.nodes[0]!.grpc, topic);
  const load = new LoadProducer(owner, producer, topic, LANES, 'x'.repeat(1000));
  await sentMore(load, 600);
  await load.stop();
  await cluster.converged();
  return { cluster, load, topic };
}

function dataOf(cluster: TestCluster, nodeId: string): string {
  return join(cluster.node(nodeId).directory, 'data');
}

function segmentNames(cluster: TestCluster, nodeId: string): readonly string[] {
  return readdirSync(dataOf(cluster, nodeId)).sort();
}

/** The entries of the first segment, as their headers say. */
function entriesOf(cluster: TestCluster, nodeId: string): readonly EntryDesc[] {
  const bytes = readFileSync(join(dataOf(cluster, nodeId), segmentNames(cluster, nodeId)[0]!));
  const entries: EntryDesc[] = [];
  for (let at = 4096; at + 64 <= bytes.length; ) {
    if (bytes.readUInt32BE(at) !== ENTRY_MAGIC) break;
    const decoded = decodeEntryHeader(bytes, at);
    if (decoded.kind !== 'header') break;
    entries.push(decoded.header.desc);
    at += decoded.header.desc.sizeBytes;
  }
  return entries;
}

/** One bit in the body of an entry of the first segment. */
function flipIn(cluster: TestCluster, nodeId: string, entry: EntryDesc): void {
  const path = join(dataOf(cluster, nodeId), segmentNames(cluster, nodeId)[0]!);
  const bytes = readFileSync(path);
  bytes[entry.physicalOffset + 100]! ^= 4;
  writeFileSync(path, bytes);
}

function sameBytes(cluster: TestCluster): void {
  const names = segmentNames(cluster, 'n1');
  ok(names.length >= 3, `${names.length} segments`);
  for (const nodeId of NODE_IDS) {
    for (const name of names) {
      const ours = readFileSync(join(dataOf(cluster, nodeId), name));
      ok(ours.equals(readFileSync(join(dataOf(cluster, 'n1'), name))), `${name} of ${nodeId}`);
    }
  }
}

function eventsOf(cluster: TestCluster, nodeId: string): readonly string[] {
  const lines = cluster
    .logOf(nodeId)
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => String((JSON.parse(line) as { event?: string }).event));
}

async function readiness(cluster: TestCluster, nodeId: string): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const response = await fetch(`http://${cluster.node(nodeId).http}/readyz`, { signal });
    return `${response.status} ${await response.text()}`;
  } catch (error) {
    // Not listening, or too busy to answer in time.
    if (error instanceof TypeError || error instanceof DOMException) return null;
    throw error;
  }
}

suite('repair of damaged logs', { timeout: 300_000 }, () => {
  test('one flipped bit: the node repairs itself, takes part, and has the same bytes', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-one');
      const leader = await cluster.leader();
      const damaged = NODE_IDS.find((nodeId) => nodeId !== leader)!;
      await cluster.kill(damaged, 'SIGTERM');
      const entries = entriesOf(cluster, damaged);
      const victim = entries[Math.floor(entries.length / 2)]!;
      flipIn(cluster, damaged, victim);
      await cluster.startNode(damaged);
      await cluster.converged();
      const events = eventsOf(cluster, damaged);
      for (const event of ['repair.started', 'repair.entries_fetched', 'repair.done']) {
        ok(events.includes(event), `${event} in ${events.join()}`);
      }
      match(cluster.logOf(damaged), new RegExp(`entry ${victim.index}`));
      sameBytes(cluster);
      const quarantine = readdirSync(join(cluster.node(damaged).directory, 'quarantine'));
      ok(
        quarantine.some((name) => name.includes('repair')),
        quarantine.join(),
      );
      await allReceived(owner, load, cluster, cluster.node(damaged).grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });

  test('a deleted segment file comes back', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-file');
      const damaged = 'n3';
      await cluster.kill(damaged);
      rmSync(join(dataOf(cluster, damaged), segmentNames(cluster, damaged)[1]!));
      await cluster.startNode(damaged);
      await cluster.converged();
      ok(eventsOf(cluster, damaged).includes('repair.done'));
      sameBytes(cluster);
      await allReceived(owner, load, cluster, cluster.node(damaged).grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });

  test('another entry damaged on each of three nodes: they heal each other', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-helix');
      await Promise.all(NODE_IDS.map((nodeId) => cluster.kill(nodeId, 'SIGTERM')));
      const entries = entriesOf(cluster, 'n1').filter(({ type }) => type === 'data');
      for (const [i, nodeId] of NODE_IDS.entries()) {
        flipIn(cluster, nodeId, entries[2 + i]!);
        flipIn(cluster, nodeId, entries[8 + 2 * i]!);
      }
      await Promise.all(NODE_IDS.map((nodeId) => cluster.startNode(nodeId)));
      await cluster.leader();
      await cluster.converged();
      for (const nodeId of NODE_IDS) ok(eventsOf(cluster, nodeId).includes('repair.done'), nodeId);
      sameBytes(cluster);
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });

  test('a damaged node alone waits and says what it lacks; with another one it goes on', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-alone');
      await Promise.all(NODE_IDS.map((nodeId) => cluster.kill(nodeId, 'SIGTERM')));
      const victim = entriesOf(cluster, 'n1')[3]!;
      flipIn(cluster, 'n1', victim);
      const starting = cluster.startNode('n1');
      const said = await waitFor('an answer', () => readiness(cluster, 'n1'));
      equal(said, `503 [-] log: under repair, entry ${victim.index} missing\nfailed\n`);
      const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      equal((await fetch(`http://${cluster.node('n1').http}/livez`, { signal })).status, 200);
      const metrics = await cluster.metrics('n1');
      equal(metrics?.get('mqraft_repair_missing_entries'), 1);
      await waitFor('the wait', async () => {
        return eventsOf(cluster, 'n1').includes('repair.waiting') ? true : null;
      });
      const cwd = aWorkingDirectory(owner);
      const status = await mqRaft(owner, cwd, 'status', '--endpoints', cluster.node('n1').raft);
      equal(status.code, 6, status.stderr);
      match(status.stdout, / {2}under repair\n/, status.stdout);
      match(status.stdout, new RegExp(`Under repair: entry ${victim.index} missing`));
      await cluster.startNode('n2');
      await starting;
      await cluster.leader();
      await cluster.startNode('n3');
      await cluster.converged();
      deepEqual(
        NODE_IDS.map((nodeId) => eventsOf(cluster, nodeId).includes('repair.done')),
        [true, false, false],
      );
      sameBytes(cluster);
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });
});
