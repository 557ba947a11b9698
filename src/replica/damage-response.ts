/**
 * What follows when this replica finds rot in its own log while it runs: it ends, and the next start fetches
 * what is lost from the others before it takes part (exit code 76, replica/repair/). A leader hands over
 * first, so that nobody waits for an election.
 *
 * It stays as long as the group needs it more than the repair: when it is the only voter, or when without it
 * too few would be left. Rot that nobody reads does no harm meanwhile; whoever does read it gets nothing
 * wrong, because every read is checked, and ends this process after all.
 */
import { FatalError } from '../base/errors.ts';
import type { NodeId } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import { holdsMajority } from '../raft/quorum.ts';
import { damageText, type LogDamage } from '../store/scrub/log-on-disk.ts';
import { pause } from '../store/scrub/pause.ts';
import { DAMAGE_LOOK_MS, HANDOVER_BEFORE_END_MS } from './limits.ts';
import type { Replica, ReplicaStatus } from './replica.ts';

export type DamageEvent =
  /** For now: the only copy, or the one that makes the majority. */
  | { readonly kind: 'damageKept'; readonly damage: string; readonly why: string }
  | { readonly kind: 'handingOver'; readonly to: NodeId; readonly why: string };

export interface DamageResponseOptions {
  readonly replica: Pick<Replica, 'status' | 'transferLeadership'>;
  readonly clock: Clock;
  readonly onEvent: (event: DamageEvent) => void;
  /** Once; the owner ends the process. */
  readonly onFatal: (error: FatalError) => void;
}

export class DamageResponse {
  readonly #options: DamageResponseOptions;
  readonly #stopping = new AbortController();
  /** For the moment when the group can spare this node. */
  #waiting: Promise<void> | null = null;
  #isEnding = false;
  #damage: string | null = null;

  constructor(options: DamageResponseOptions) {
    this.#options = options;
  }

  /** The first damage that was found and not repaired, in words. */
  get damage(): string | null {
    return this.#damage;
  }

  onDamage(damage: LogDamage): void {
    this.#damage ??= damageText(damage);
    // Readers get good bytes, and the next start would as well: there is nothing to fetch yet.
    if (damage.extent === 'device') return;
    const sentence =
      `${damageText(damage)}. This node ends, and fetches what is lost from the others of its group ` +
      'when it starts again';
    this.#end(new FatalError('logDamaged', sentence), 'whenSpared');
  }

  /** This replica is not what it should be and must not serve, whatever that means for the group. */
  endSoon(reason: FatalError): void {
    this.#end(reason, 'soon');
  }

  stop(): void {
    this.#stopping.abort();
  }

  #end(reason: FatalError, when: 'whenSpared' | 'soon'): void {
    // A patient end must not hold up an impatient one. Nothing rejects but for bugs, which end this
    // process as unhandled rejections do.
    if (this.#isEnding) return;
    if (when === 'soon') void this.#handOverAndEnd(reason);
    else this.#waiting ??= this.#endWhenSpared(reason);
  }

  async #endWhenSpared(reason: FatalError): Promise<void> {
    const { replica, clock, onEvent } = this.#options;
    let isTold = false;
    // Ends when the group can do without this node, or its owner stops.
    for (;;) {
      const why = whyKept(replica.status());
      if (why === null) break;
      if (!isTold) onEvent({ kind: 'damageKept', damage: reason.message, why });
      isTold = true;
      if (!(await pause(clock, DAMAGE_LOOK_MS, this.#stopping.signal))) return;
    }
    await this.#handOverAndEnd(reason);
  }

  async #handOverAndEnd(reason: FatalError): Promise<void> {
    const { replica, clock, onEvent, onFatal } = this.#options;
    const { signal } = this.#stopping;
    if (this.#isEnding || signal.aborted) return;
    this.#isEnding = true;
    const to = successorIn(replica.status());
    if (to !== null) {
      onEvent({ kind: 'handingOver', to, why: reason.message });
      const isOver = new AbortController();
      const waiting = pause(
        clock,
        HANDOVER_BEFORE_END_MS,
        AbortSignal.any([signal, isOver.signal]),
      );
      await Promise.race([replica.transferLeadership(to), waiting]);
      isOver.abort();
    }
    if (!signal.aborted) onFatal(reason);
  }
}

/** @returns null when the group can do without this node for a moment */
function whyKept(status: ReplicaStatus): string | null {
  const { voters, outgoing } = status.membership.membership;
  const sets = outgoing.length === 0 ? [voters] : [voters, outgoing];
  if (sets.some((set) => set.length === 1 && set.includes(status.nodeId))) {
    return 'this node is the only voter of its group: nobody has another copy';
  }
  const connected = new Set(status.peers.flatMap((peer) => (peer.connected ? peer.nodeId : [])));
  if (holdsMajority(sets, (id) => connected.has(id))) return null;
  return 'without this node too few of the group would be left to serve';
}

/** The peer that lacks least, if this node leads. */
function successorIn({ role, membership, peers }: ReplicaStatus): NodeId | null {
  if (role !== 'leader') return null;
  const { voters } = membership.membership;
  const candidates = peers.filter(
    ({ connected, lagBytes, nodeId }) => connected && lagBytes !== null && voters.includes(nodeId),
  );
  candidates.sort((a, b) => (a.lagBytes ?? 0) - (b.lagBytes ?? 0));
  return candidates[0]?.nodeId ?? null;
}
