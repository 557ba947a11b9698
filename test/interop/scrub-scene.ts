/** Groups whose closed segments rot while they run. */
import { equal, match, ok } from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { type Owner, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

export const SEGMENT_SIZE_BYTES = 256 * 1024;
export const LANES = 8;
/** A pass every second or two. */
export const FAST_SCRUB = ['--scrub-period-hours', '0.001', '--scrub-rate-bytes', '50000000'];
export const NO_SCRUB = ['--scrub-rate-bytes', '0'];

export interface Loaded {
  readonly cluster: TestCluster;
  readonly load: LoadProducer;
  readonly topic: string;
  readonly victim: string;
  /** One that stays, for clients. */
  readonly endpoints: string;
}

/** A group with messages in several segments, and somebody who goes on sending. */
export async function underLoad(
  owner: Owner,
  topic: string,
  brokerArgs: readonly string[],
  victimRole: 'leader' | 'follower',
): Promise<Loaded> {
  const cluster = await TestCluster.start({ segmentSizeBytes: SEGMENT_SIZE_BYTES, brokerArgs });
  owner.after(() => cluster.close());
  const leader = await cluster.leader();
  const followers = cluster.nodes.filter(({ nodeId }) => nodeId !== leader);
  const victim = victimRole === 'leader' ? leader : followers[0]!.nodeId;
  const endpoints = followers[1]!.grpc;
  const producer = await startProducer(owner, endpoints, topic);
  const load = new LoadProducer(owner, producer, topic, LANES, 'x'.repeat(1000));
  await sentMore(load, 800);
  return { cluster, load, topic, victim, endpoints };
}

export function segmentsOf(cluster: TestCluster, nodeId: string): readonly string[] {
  const data = join(cluster.node(nodeId).directory, 'data');
  return readdirSync(data)
    .sort()
    .map((name) => join(data, name));
}

/** One bit in the middle of the oldest segment, behind the back of the process that has it open. */
export function flipIn(cluster: TestCluster, nodeId: string): number {
  const [path] = segmentsOf(cluster, nodeId);
  ok(path !== undefined);
  const at = SEGMENT_SIZE_BYTES / 2;
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, at);
  byte[0]! ^= 4;
  writeSync(file, byte, 0, 1, at);
  closeSync(file);
  return at;
}

export function sameFirstSegment(cluster: TestCluster): void {
  const [first, ...others] = cluster.nodes.map(({ nodeId }) => {
    const [path] = segmentsOf(cluster, nodeId);
    return readFileSync(path!);
  });
  for (const other of others) ok(first!.equals(other));
}

export async function passed(cluster: TestCluster, nodeId: string): Promise<void> {
  await waitFor('a pass without findings', async () => {
    const metrics = await cluster.metrics(nodeId);
    const isPassed = (metrics?.get('mqraft_scrub_passes_total') ?? 0) >= 1;
    return isPassed && metrics?.get('mqraft_scrub_findings_total') === 0 ? true : null;
  });
}

/** Rot in a closed segment of a running node is found, and healed under load. */
export async function findsRotIn(role: 'leader' | 'follower'): Promise<void> {
  await owning(async (owner) => {
    const group = await underLoad(owner, `scrub-${role}`, FAST_SCRUB, role);
    const { cluster, load, topic, victim, endpoints } = group;
    await passed(cluster, victim);
    flipIn(cluster, victim);
    equal(await cluster.exitOf(victim), 76);
    const log = cluster.logOf(victim);
    match(log, /"event":"scrub\.damage_found"/);
    match(log, /This node ends, and fetches what is lost/);
    equal(log.includes('"event":"scrub.handing_over"'), role === 'leader');
    await sentMore(load, 100);
    await cluster.startNode(victim);
    match(cluster.logOf(victim), /"event":"repair\.done"/);
    await passed(cluster, victim);
    await sentMore(load, 100);
    await load.stop();
    await cluster.converged();
    sameFirstSegment(cluster);
    await allReceived(owner, load, cluster, endpoints, topic);
    await everyReplicaHolds(cluster, topic, load.sent);
  });
}
