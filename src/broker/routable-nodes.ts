/**
 * Which nodes clients are sent to: all that live, without those that are about to go, as long as there is
 * another one. A client that renews its routes (every 30 s) has left a node before that stops.
 */
import type { NodeId } from '../base/units.ts';

export interface Routable {
  readonly nodeId: NodeId;
  /** Drained, or its process is stopping. */
  readonly isLeaving: boolean;
}

/**
 * Never empty while a node is live: a way in that closes soon is better than none.
 *
 * @returns the asked node first, where it is one of them, because consumers ask the first one for their
 *   assignments: the load of that spreads as the clients do. The others follow by name.
 */
export function routableNodes<Node extends Routable>(
  live: readonly Node[],
  asked: NodeId,
): readonly Node[] {
  const staying = live.filter(({ isLeaving }) => !isLeaving);
  const chosen = staying.length > 0 ? staying : live;
  return chosen.toSorted(
    (a, b) => Number(b.nodeId === asked) - Number(a.nodeId === asked) || compare(a, b),
  );
}

function compare(a: Routable, b: Routable): number {
  if (a.nodeId === b.nodeId) return 0;
  return a.nodeId < b.nodeId ? -1 : 1;
}
