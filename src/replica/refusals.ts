/** Why a node does not talk to another one. The codes are part of the protocol (docs/format/). */
import type { NodeId } from '../base/units.ts';

export type RefusalCode =
  | 'protocolVersion'
  | 'otherCluster'
  | 'otherGroup'
  /** The peer uses our node id: a typo, a clone, or we called ourselves. */
  | 'sameNode'
  | 'strangerNode'
  | 'removedNode'
  /** The caller wanted, or the called one is, somebody else. */
  | 'wrongNode'
  | 'otherConstants'
  | 'otherStore'
  | 'olderStore';

export interface Refusal {
  readonly code: RefusalCode;
  readonly sentence: string;
}

export function refusal(code: RefusalCode, sentence: string): Refusal {
  return { code, sentence };
}

/** @param clause what the node comes with, and what it should come with */
export function olderStore(peer: NodeId, clause: string): Refusal {
  return refusal(
    'olderStore',
    `Node ${peer} ${clause}: its directory is an older image, which has forgotten promises. ` +
      'Remove the node from the group, and add a new one with an empty directory and a new id',
  );
}
