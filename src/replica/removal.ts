/**
 * Whether this node was removed from its group. It learns it from its own log, when it gets the entry and
 * knows that it is committed; or, when it was away, from the others, who refuse it for ever. Then it says
 * so and ends, with an exit code of its own: no restart helps, and nothing here is needed by anybody.
 *
 * One peer's word is enough only where there is one other member: a voter is among the removed only after
 * the joint phase was committed, and that is never rolled back.
 */
import { FatalError } from '../base/errors.ts';
import type { NodeId } from '../base/units.ts';
import { isMember, type Membership } from '../raft/membership.ts';
import { decidersOf } from './group-standing.ts';
import { REMOVED_BY_LOG_MS, REMOVED_BY_PEERS_MS } from './limits.ts';
import type { RefusalCode } from './refusals.ts';
import type { PeerRefusalStatus } from './replica.ts';

export interface RemovalOptions {
  readonly self: NodeId;
  readonly nowMs: () => number;
  /** Said once, before the end. */
  readonly onRemoved: (by: readonly NodeId[]) => void;
}

export interface Evidence {
  /** In force here. */
  readonly membership: Membership;
  readonly isCommitted: boolean;
  /** By members. */
  readonly refusedBy: readonly PeerRefusalStatus[];
}

const REMOVED: RefusalCode = 'removedNode';

export class Removal {
  readonly #options: RemovalOptions;
  #sinceMs: number | null = null;

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /** It is only a matter of a moment until this node ends. */
  get isRemoved(): boolean {
    return this.#sinceMs !== null;
  }

  /** @throws FatalError removedFromGroup */
  check(evidence: Evidence): void {
    const { nowMs, onRemoved } = this.#options;
    const { membership, refusedBy } = evidence;
    const isInLog = evidence.isCommitted && isRemovedIn(membership, this.#options.self);
    const said = refusedBy.filter(({ code }) => code === REMOVED);
    if (!isInLog && !this.#isMost(membership, said)) {
      this.#sinceMs = null;
      return;
    }
    if (this.#sinceMs === null) {
      this.#sinceMs = nowMs();
      onRemoved(said.map(({ nodeId }) => nodeId));
    }
    // What we still have to tell the others goes out meanwhile, such as who should lead now.
    const graceMs = isInLog ? REMOVED_BY_LOG_MS : REMOVED_BY_PEERS_MS;
    if (nowMs() - this.#sinceMs >= graceMs) throw this.#end(isInLog, said);
  }

  /**
   * Of the voters: a learner may have been added and never started. Whoever knows that he is about to leave asks those
   * who stay: of several that leave together none can tell the others.
   */
  #isMost(membership: Membership, said: readonly PeerRefusalStatus[]): boolean {
    const { self } = this.#options;
    const isLeaving = membership.outgoing.includes(self) && !membership.voters.includes(self);
    const deciders = isLeaving ? membership.voters : decidersOf(membership);
    const others = deciders.filter((nodeId) => nodeId !== self);
    const count = said.filter(({ nodeId }) => others.includes(nodeId)).length;
    return count >= Math.floor(others.length / 2) + 1;
  }

  #end(isInLog: boolean, said: readonly PeerRefusalStatus[]): FatalError {
    const { self } = this.#options;
    const source = isInLog
      ? 'its log says so'
      : `${said.map(({ nodeId }) => nodeId).join(', ')} say so`;
    return new FatalError(
      'removedFromGroup',
      `Node ${self} was removed from its group (${source}) and stops. Its id is never used again. To use the ` +
        'machine for the group again, wipe the directory, add a new id, and start it with the token of that one',
    );
  }
}

function isRemovedIn(membership: Membership, self: NodeId): boolean {
  return membership.removed.includes(self) && !isMember(membership, self);
}
