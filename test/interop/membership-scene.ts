/** A group that changes its members under the load of the official client, and what has to hold afterwards. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { EXIT_CODE } from '../../src/base/errors.ts';
import { NodeId } from '../../src/base/units.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { disorderOf, Operator } from './operator.ts';
import { type Owner, owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster } from './test-cluster.ts';

export const LANES = 8;
/** An election, as after the death of a leader; planned changes take a hand-over. */
export const WRITE_GAP_MS_MAX = 3_000;
export const ALLOW_ALL = ['evenVoters', 'belowThree', 'lessTolerance', 'planned'] as const;

export const remove = (...names: readonly string[]) =>
  ({ kind: 'remove', nodeIds: names.map(NodeId) }) as const;
export const promote = (...names: readonly string[]) =>
  ({ kind: 'promote', nodeIds: names.map(NodeId) }) as const;

export interface Scene {
  readonly cluster: TestCluster;
  readonly operator: Operator;
  readonly load: LoadProducer;
  readonly leader: string;
  readonly followers: readonly string[];
}

/** Whom the client is told: it asks that node for routes as long as it lives, so it is one that stays. */
type Anchor = 'leader' | 'firstFollower' | 'secondFollower';

/** @param act what the operator does while messages come in */
export async function underLoad(
  t: TestContext,
  topic: string,
  anchor: Anchor,
  act: (scene: Scene) => Promise<void>,
): Promise<void> {
  await owning(async (owner: Owner) => {
    const cluster = await TestCluster.start();
    owner.after(() => cluster.close());
    const leader = await cluster.leader();
    const followers = cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => id !== leader);
    const staying = { leader, firstFollower: followers[0]!, secondFollower: followers[1]! }[anchor];
    const endpoints = cluster.node(staying).grpc;
    const producer = await startProducer(owner, endpoints, topic);
    const load = new LoadProducer(owner, producer, topic, LANES);
    await sentMore(load, 100);
    await act({ cluster, operator: new Operator(cluster), load, leader, followers });
    await sentMore(load, 100);
    await load.stop();
    await cluster.converged();
    const gapMs = load.longestGapMs();
    t.diagnostic(`${load.sent.length} messages, longest gap ${Math.round(gapMs)} ms`);
    deepEqual(
      load.failures.map(({ message }) => message),
      [],
    );
    ok(gapMs < WRITE_GAP_MS_MAX, `gap of ${gapMs} ms`);
    await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, topic);
    deepEqual(await disorderOf(cluster, load, topic), []);
    await everyReplicaHolds(cluster, topic, load.sent);
  });
}

/** The node was told, said so, and went. */
export async function hasGone(cluster: TestCluster, nodeId: string): Promise<void> {
  equal(await cluster.exitOf(nodeId), EXIT_CODE.removedFromGroup);
  match(cluster.logOf(nodeId), /was removed from its group .* never used again/);
  cluster.dropNode(nodeId);
}
