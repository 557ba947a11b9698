/**
 * Whether the group still takes this node for what it was. A node whose directory was lost, or replaced
 * by an older image, hears so from its peers; when a majority of the voters says so, nothing that
 * it does from then on can help, and its operator must learn it: an event at once, and the end of the
 * process when it lasts.
 *
 * One peer alone may be the one that is wrong, so its word is never enough.
 */
import { FatalError } from '../base/errors.ts';
import type { NodeId } from '../base/units.ts';
import type { Membership } from '../raft/membership.ts';
import { REFUSED_BY_GROUP_MS } from './limits.ts';
import type { PeerLink } from './peer-transport.ts';
import type { RefusalCode } from './refusals.ts';
import type { PeerRefusalStatus } from './replica.ts';

/** No time and no restart changes these answers. */
const FINAL_CODES: readonly RefusalCode[] = ['olderStore', 'otherStore', 'removedNode'];

export interface GroupStandingOptions {
  readonly self: NodeId;
  readonly linkOf: (peer: NodeId) => PeerLink;
  readonly nowMs: () => number;
  readonly onRefused: (refusedBy: readonly PeerRefusalStatus[]) => void;
}

export class GroupStanding {
  readonly #options: GroupStandingOptions;
  #refusedSinceMs: number | null = null;

  constructor(options: GroupStandingOptions) {
    this.#options = options;
  }

  /** @throws FatalError when a majority of the voters has refused this node for too long */
  check(membership: Membership): void {
    const { self, linkOf, nowMs, onRefused } = this.#options;
    const refusedBy = refusalsBy(membership, self, linkOf);
    if (!isRefusedByMost(membership, refusedBy)) {
      this.#refusedSinceMs = null;
      return;
    }
    if (this.#refusedSinceMs === null) {
      this.#refusedSinceMs = nowMs();
      onRefused(refusedBy);
    }
    if (nowMs() - this.#refusedSinceMs < REFUSED_BY_GROUP_MS) return;
    const answers = refusedBy.map(
      ({ nodeId, code, sentence }) => `${nodeId} (${code}): ${sentence}`,
    );
    throw new FatalError(
      'refusedByGroup',
      `Cannot go on as node ${self}: ${refusedBy.length} of ${membership.members.length} members refuse it. ` +
        'See that the right directory is mounted; if this is the one, remove the node from the group and ' +
        `add a new one with an empty directory and a new id. ${answers.join('; ')}`,
    );
  }
}

/** The members that refuse this node, whatever their reason. */
export function refusalsBy(
  { members }: Membership,
  self: NodeId,
  linkOf: (peer: NodeId) => PeerLink,
): readonly PeerRefusalStatus[] {
  return members.flatMap(({ nodeId }) => {
    const refusal = nodeId === self ? null : linkOf(nodeId).refusal;
    return refusal === null ? [] : [{ nodeId, ...refusal }];
  });
}

/** Who has a say, in the new set or the old one. A learner may have been added and never started. */
export function decidersOf({ members, voters, outgoing }: Membership): readonly NodeId[] {
  const ids = members.map(({ nodeId }) => nodeId);
  return ids.filter((id) => voters.includes(id) || outgoing.includes(id));
}

/** @param refusedBy by members */
export function isRefusedByMost(
  membership: Membership,
  refusedBy: readonly PeerRefusalStatus[],
): boolean {
  const deciders = decidersOf(membership);
  const final = refusedBy.filter(
    ({ code, nodeId }) => deciders.includes(nodeId) && FINAL_CODES.some((known) => known === code),
  );
  return final.length >= Math.max(2, Math.floor(deciders.length / 2) + 1);
}
