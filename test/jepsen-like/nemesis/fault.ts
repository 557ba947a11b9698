/** What a nemesis is given to carry out one step, and what it may not forget. */
import type { BrokerNode } from '../harness/broker-node.ts';
import type { Cluster } from '../harness/cluster.ts';
import type { Step, StepKind } from './step.ts';

export interface FaultContext<Kind extends StepKind = StepKind> extends Scene {
  readonly step: Extract<Step, { readonly kind: Kind }>;
}

/** Where a step takes place. */
export interface Scene {
  readonly cluster: Cluster;
  readonly targets: readonly BrokerNode[];
  /** Resolves after the time, or earlier, when everything is to be healed. */
  readonly lasting: (ms: number) => Promise<void>;
}

/** This machine or this moment does not allow the fault; it is recorded as skipped, with the reason. */
export class FaultImpossible extends Error {
  override readonly name = 'FaultImpossible';
}

export function requireFeature(obstacle: string | null): void {
  if (obstacle !== null) throw new FaultImpossible(obstacle);
}

/** How long a node that was damaged may take to be whole again before others may be damaged. */
const WHOLE_TIMEOUT_MS = 30_000;

/** It serves again and has what the leader had committed. @returns a note: '' or what it lacks */
export async function untilWhole(cluster: Cluster, nodes: readonly BrokerNode[]): Promise<string> {
  const deadlineAtMs = performance.now() + WHOLE_TIMEOUT_MS;
  const goal = Math.max(
    0,
    ...cluster.nodes.map(({ nodeId }) => cluster.watch.lastOf(nodeId)?.commitIndex ?? 0),
  );
  const sinceMs = cluster.recorder.nowMs();
  const isWhole = ({ nodeId }: BrokerNode): boolean => {
    const last = cluster.watch.lastOf(nodeId);
    return last !== null && last.atMs > sinceMs && last.appliedIndex >= goal;
  };
  while (performance.now() < deadlineAtMs) {
    if (nodes.every(isWhole)) return '';
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const late = nodes.filter((node) => !isWhole(node)).map(({ nodeId }) => nodeId);
  return `NOT WHOLE after ${WHOLE_TIMEOUT_MS} ms: ${late.join(', ')}`;
}
