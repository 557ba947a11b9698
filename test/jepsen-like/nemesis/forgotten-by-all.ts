/**
 * What was acknowledged is known only to nodes that are dead, and to one that has forgotten it: with those that were cut
 * off it is a majority, and must not become one (H22, H23, "when its acknowledgement decides").
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BrokerNode } from '../harness/broker-node.ts';
import { until } from '../harness/cluster.ts';
import { run } from '../harness/shell.ts';
import { type FaultContext, FaultImpossible, untilWhole } from './fault.ts';
import { playImpostor } from './identity.ts';

const MEETING_TIMEOUT_MS = 20_000;

export async function forgottenByAll(context: FaultContext<'forgottenByAll'>): Promise<string> {
  const { cluster, step, lasting } = context;
  const { nodes, network, watch } = cluster;
  const { absent, deciding, others } = partsOf(nodes, watch.leader());
  const ways = absent.flatMap((node) =>
    nodes.filter((other) => !absent.includes(other)).map((other) => [node, other] as const),
  );
  const places = await setAside(deciding, step.by, absent);
  for (const [node, other] of ways) {
    await network.block(node.nodeId, other.nodeId);
    await network.block(other.nodeId, node.nodeId);
  }
  await lasting(step.aloneMs);
  await Promise.all(
    [deciding, ...others].map((node) =>
      node.kill('killed, as it knows what the others have missed'),
    ),
  );
  renameSync(deciding.directory, places.own);
  if (step.by === 'oldImage') renameSync(places.image, deciding.directory);
  for (const [node, other] of ways) {
    await network.heal(node.nodeId, other.nodeId);
    await network.heal(other.nodeId, node.nodeId);
  }
  await playImpostor(deciding, () => lasting(step.lastsMs));
  rmSync(deciding.directory, { recursive: true, force: true });
  renameSync(places.own, deciding.directory);
  await Promise.all([deciding, ...others].map((node) => node.start()));
  const names = (some: readonly BrokerNode[]) => some.map(({ nodeId }) => nodeId).join(' and ');
  const whole = await untilWhole(cluster, nodes);
  return `${names(absent)} cut off, ${names(others)} dead, ${deciding.nodeId} forgot ${whole}`.trim();
}

interface Parts {
  /** One fewer than a majority. */
  readonly absent: readonly BrokerNode[];
  readonly deciding: BrokerNode;
  /** The leader is among them. */
  readonly others: readonly BrokerNode[];
}

function partsOf(nodes: readonly BrokerNode[], leader: string | null): Parts {
  const followers = nodes.filter(({ nodeId }) => nodeId !== leader);
  const absentCount = Math.floor((nodes.length - 1) / 2);
  const absent = followers.slice(0, absentCount);
  const deciding = followers[absentCount];
  if (leader === null || deciding === undefined) throw new FaultImpossible('nobody leads');
  const others = nodes.filter((node) => node !== deciding && !absent.includes(node));
  return { absent, deciding, others };
}

interface Places {
  readonly own: string;
  /** Of its directory as it is now; only for `oldImage`. */
  readonly image: string;
}

async function setAside(
  node: BrokerNode,
  by: FaultContext<'forgottenByAll'>['step']['by'],
  absent: readonly BrokerNode[],
): Promise<Places> {
  const { asideDirectory } = node.volume;
  rmSync(asideDirectory, { recursive: true, force: true });
  mkdirSync(asideDirectory);
  const places = { own: join(asideDirectory, 'own'), image: join(asideDirectory, 'image') };
  if (by === 'oldImage') {
    await node.kill('killed, to copy its directory');
    await run('cp', '-a', node.directory, places.image);
    const before = absent.map((other) => other.log().length);
    await node.start();
    // An image is known by the start that followed it: whoever shall refuse it must have met that start.
    const hasMet = (other: BrokerNode, i: number): boolean =>
      other.log().slice(before[i]).includes(`"event":"peer.up","peer":"${node.nodeId}"`);
    await until('the meeting of those who will be cut off', MEETING_TIMEOUT_MS, async () =>
      absent.every(hasMet) ? true : null,
    );
  }
  return places;
}
