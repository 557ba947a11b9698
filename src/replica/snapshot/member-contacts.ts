/** When each member was heard last, as far back as the own leadership goes. */
import type { NodeId } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';

export class MemberContacts {
  readonly #clock: Clock;
  readonly #heardAtMs = new Map<NodeId, number>();
  #ledSinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#ledSinceMs = clock.monotonicMs();
  }

  /** A new leadership knows nobody's silence. */
  onLead(): void {
    this.#ledSinceMs = this.#clock.monotonicMs();
  }

  onHeard(peer: NodeId): void {
    this.#heardAtMs.set(peer, this.#clock.monotonicMs());
  }

  forgetAllBut(members: ReadonlySet<NodeId>): void {
    for (const peer of this.#heardAtMs.keys()) if (!members.has(peer)) this.#heardAtMs.delete(peer);
  }

  silentMs(peer: NodeId): number {
    const since = Math.max(this.#heardAtMs.get(peer) ?? 0, this.#ledSinceMs);
    return this.#clock.monotonicMs() - since;
  }
}
