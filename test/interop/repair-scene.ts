/** Groups whose logs are to be damaged while a node is down, and what is seen of their repair. */
import { ok } from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeEntryHeader, ENTRY_MAGIC } from '../../src/protocol/entry-codec.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import { LoadProducer, sentMore, startProducer } from './official-client.ts';
import type { Owner } from './owner.ts';
import { TestCluster } from './test-cluster.ts';

export const SEGMENT_SIZE_BYTES = 256 * 1024;
export const NODE_IDS = ['n1', 'n2', 'n3'] as const;
export const LANES = 8;
export const ANSWER_TIMEOUT_MS = 2_000;

export interface Loaded {
  readonly cluster: TestCluster;
  readonly load: LoadProducer;
  readonly topic: string;
}

/** A group with messages in several segments; nobody sends any more. */
export async function loaded(owner: Owner, topic: string): Promise<Loaded> {
  const cluster = await TestCluster.start({ segmentSizeBytes: SEGMENT_SIZE_BYTES });
  owner.after(() => cluster.close());
  const producer = await startProducer(owner, cluster.nodes[0]!.grpc, topic);
  const load = new LoadProducer(owner, producer, topic, LANES, 'x'.repeat(1000));
  await sentMore(load, 600);
  await load.stop();
  await cluster.converged();
  return { cluster, load, topic };
}

export function dataOf(cluster: TestCluster, nodeId: string): string {
  return join(cluster.node(nodeId).directory, 'data');
}

export function segmentNames(cluster: TestCluster, nodeId: string): readonly string[] {
  return readdirSync(dataOf(cluster, nodeId)).sort();
}

/** The entries of the first segment, as their headers say. */
export function entriesOf(cluster: TestCluster, nodeId: string): readonly EntryDesc[] {
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
export function flipIn(cluster: TestCluster, nodeId: string, entry: EntryDesc): void {
  const path = join(dataOf(cluster, nodeId), segmentNames(cluster, nodeId)[0]!);
  const bytes = readFileSync(path);
  bytes[entry.physicalOffset + 100]! ^= 4;
  writeFileSync(path, bytes);
}

export function sameBytes(cluster: TestCluster): void {
  const names = segmentNames(cluster, 'n1');
  ok(names.length >= 3, `${names.length} segments`);
  for (const nodeId of NODE_IDS) {
    for (const name of names) {
      const ours = readFileSync(join(dataOf(cluster, nodeId), name));
      ok(ours.equals(readFileSync(join(dataOf(cluster, 'n1'), name))), `${name} of ${nodeId}`);
    }
  }
}

export function eventsOf(cluster: TestCluster, nodeId: string): readonly string[] {
  const lines = cluster
    .logOf(nodeId)
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => String((JSON.parse(line) as { event?: string }).event));
}

export async function readiness(cluster: TestCluster, nodeId: string): Promise<string | null> {
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
