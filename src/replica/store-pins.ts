/**
 * Brings the store of each member into the membership (hazards H21, H22; KIP-853 does the same): what
 * each node has pinned for itself becomes what the group has agreed on, and whoever joins later learns
 * it from the log, before it can meet a wiped node and take it at its word.
 *
 * The leader does it once it has met every member: then it knows all stores, and nobody who is away may
 * come back with another store than the one that is written down. It asks once for a membership and a
 * term; again, after a pause, when something else was in the way.
 */
import type { LogIndex, NodeId } from '../base/units.ts';
import type { CoreStatus } from '../raft/core-types.ts';
import {
  type ChangeProblem,
  isJoint,
  type LoggedMembership,
  type Member,
  type MembershipStep,
} from '../raft/membership.ts';
import { PIN_RETRY_TICKS } from './limits.ts';
import type { PeerLink } from './peer-transport.ts';
import type { ChangeOutcome } from './replica.ts';

export interface StorePinsOptions {
  readonly self: NodeId;
  /** Of this node. */
  readonly storeUuid: string;
  readonly linkOf: (peer: NodeId) => PeerLink;
  readonly change: (
    steps: readonly MembershipStep[],
    ifMembershipIndex: LogIndex,
  ) => Promise<ChangeOutcome>;
  /** It makes no sense to the core, and will not when asked again. */
  readonly onRefused: (problems: readonly ChangeProblem[]) => void;
}

export class StorePins {
  readonly #options: StorePinsOptions;
  #asking = false;
  #pauseTicks = 0;
  /** What was refused for good, as `term/index`. */
  #settled = '';

  constructor(options: StorePinsOptions) {
    this.#options = options;
  }

  /** While this node leads and may serve. */
  onTick(status: CoreStatus): void {
    if (this.#asking) return;
    if (this.#pauseTicks > 0) {
      this.#pauseTicks--;
      return;
    }
    const { membership, commitIndex, transferTo, term } = status;
    if (membership.index > commitIndex || transferTo !== null) return;
    if (this.#settled === `${term}/${membership.index}`) return;
    const steps = this.#steps(membership);
    if (steps.length > 0) this.#ask(steps, status);
  }

  /** @returns none when nothing is to be pinned, or somebody was not met yet */
  #steps({ membership }: LoggedMembership): readonly MembershipStep[] {
    const { members } = membership;
    if (isJoint(membership) || members.every(({ storeUuid }) => storeUuid !== null)) return [];
    const steps: MembershipStep[] = [];
    for (const member of members) {
      const storeUuid = this.#storeOf(member);
      if (storeUuid === null) return [];
      if (member.storeUuid === null)
        steps.push({ kind: 'describe', member: { ...member, storeUuid } });
    }
    return steps;
  }

  #storeOf({ nodeId }: Member): string | null {
    const { self, storeUuid, linkOf } = this.#options;
    if (nodeId === self) return storeUuid;
    const link = linkOf(nodeId);
    return link.connected ? link.storeUuid : null;
  }

  #ask(steps: readonly MembershipStep[], { term, membership }: CoreStatus): void {
    this.#asking = true;
    const asking = this.#options.change(steps, membership.index).then((outcome) => {
      this.#asking = false;
      if (outcome.kind === 'accepted') return;
      if (!outcome.problems.some(({ kind }) => kind === 'invalidStep')) {
        this.#pauseTicks = PIN_RETRY_TICKS;
        return;
      }
      this.#settled = `${term}/${membership.index}`;
      this.#options.onRefused(outcome.problems);
    });
    void asking; // `change` never rejects, and always has an outcome.
  }
}
