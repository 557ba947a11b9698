/**
 * A drained node does not lead. When it wins an election all the same - it may be the only one that could
 * - it serves, and hands over as soon as somebody else is fit: a group without a leader is worse.
 */
import type { Clock, Timer } from '../../io/clock.ts';
import type { Replica } from '../../replica/replica.ts';
import { DRAIN_PERIOD_MS } from './limits.ts';
import { bestHeir } from './plan.ts';
import type { Situation } from './situation.ts';

export class DrainKeeper {
  readonly #replica: Replica;
  readonly #clock: Clock;
  readonly #situation: Situation;
  #timer: Timer | null = null;
  #isMoving = false;
  #isClosed = false;

  constructor(replica: Replica, clock: Clock, situation: Situation) {
    this.#replica = replica;
    this.#clock = clock;
    this.#situation = situation;
    replica.onLeadership((leadership) => this.#onLeadership(leadership !== null));
    this.#onLeadership(replica.leadership() !== null);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #onLeadership(isLeader: boolean): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (isLeader && !this.#isClosed) this.#lookLater();
  }

  #lookLater(): void {
    this.#timer = this.#clock.setTimer(DRAIN_PERIOD_MS, () => {
      this.#look();
      if (!this.#isClosed && this.#replica.leadership() !== null) this.#lookLater();
    });
  }

  #look(): void {
    const { nodeId, transferTo } = this.#replica.status();
    if (this.#isMoving || transferTo !== null) return;
    if (!this.#replica.state.admin.drained.includes(nodeId)) return;
    const heir = bestHeir(this.#situation.glance(), [nodeId]);
    if (heir === null) return;
    this.#isMoving = true;
    // It never rejects; when it fails, the next look tries again.
    void this.#replica.transferLeadership(heir).then(() => {
      this.#isMoving = false;
    });
  }
}
