/** One flipped bit, in one replica and in another place of each, while clients send (H4). */
import { deepEqual, ok } from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { decodeEntryHeader } from '../../src/protocol/entry-codec.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const LANES = 8;
const SEGMENT_SIZE_BYTES = 256 * 1024;
const NODE_IDS = ['n1', 'n2', 'n3'] as const;

/** Where the entries of the first segment begin, in the file. */
function entryPlacesIn(bytes: Uint8Array): readonly number[] {
  const places: number[] = [];
  for (let at = SEGMENT_HEADER_SIZE_BYTES; at < bytes.length; ) {
    const decoded = decodeEntryHeader(bytes, at);
    if (decoded.kind !== 'header') break;
    places.push(at);
    at += decoded.header.desc.sizeBytes;
  }
  return places;
}

/** @param share of the way through the entries of the first segment; the byte differs with it */
function flipOneBit(directory: string, share: number): string {
  const data = join(directory, 'data');
  const path = join(data, readdirSync(data).sort()[0]!);
  const bytes = readFileSync(path);
  const places = entryPlacesIn(bytes);
  const at = places[Math.floor(share * places.length)]! + Math.floor(share * 64);
  bytes[at]! ^= 1 << (at % 8);
  writeFileSync(path, bytes);
  return `byte ${at}`;
}

suite('rot under load', { timeout: 170_000 }, () => {
  test('of one node, then of all three in different places: all of it heals, nothing is lost', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start({ segmentSizeBytes: SEGMENT_SIZE_BYTES });
      owner.after(() => cluster.close());
      const leader = await cluster.leader();
      const follower = NODE_IDS.find((nodeId) => nodeId !== leader)!;
      const producer = await startProducer(owner, cluster.node(leader).grpc, 'rot');
      const load = new LoadProducer(owner, producer, 'rot', LANES, 'x'.repeat(1_000));
      await sentMore(load, 400);
      // Again and again the same node, each time another byte of header or payload.
      for (const share of [0.1, 0.45, 0.8]) {
        await cluster.kill(follower);
        const where = flipOneBit(cluster.node(follower).directory, share);
        await cluster.startNode(follower);
        await repaired(cluster, follower, where);
        await sentMore(load, 50);
      }
      deepEqual(load.failures, [], 'a majority was there all the time');
      const before = NODE_IDS.map((nodeId) => repairsOf(cluster, nodeId));
      await Promise.all(NODE_IDS.map((nodeId) => cluster.kill(nodeId)));
      for (const [i, nodeId] of NODE_IDS.entries()) {
        flipOneBit(cluster.node(nodeId).directory, 0.2 + 0.1 * i);
        flipOneBit(cluster.node(nodeId).directory, 0.5 + 0.1 * i);
      }
      await Promise.all(NODE_IDS.map((nodeId) => cluster.startNode(nodeId)));
      await cluster.leader();
      await sentMore(load, 100);
      await load.stop();
      for (const [i, nodeId] of NODE_IDS.entries()) {
        ok(repairsOf(cluster, nodeId) > before[i]!, `${nodeId} has repaired itself`);
      }
      await cluster.converged();
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} sends failed`);
      await allReceived(owner, load, cluster, cluster.node(leader).grpc, 'rot');
      await everyReplicaHolds(cluster, 'rot', load.sent);
    });
  });
});

function repairsOf(cluster: TestCluster, nodeId: string): number {
  return cluster.logOf(nodeId).split('"event":"repair.done"').length - 1;
}

async function repaired(cluster: TestCluster, nodeId: string, where: string): Promise<void> {
  const before = repairsOf(cluster, nodeId);
  await waitFor(`${nodeId} to take part again after ${where}`, async () => {
    const metrics = await cluster.metrics(nodeId);
    return metrics?.get('mqraft_raft_applied_index') !== undefined ? true : null;
  });
  ok(repairsOf(cluster, nodeId) >= before && before > 0, `${nodeId} has repaired ${where}`);
}
