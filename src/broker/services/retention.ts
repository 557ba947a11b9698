/**
 * Retention: the leader looks from time to time whether the log may begin later, and proposes it. What
 * goes is decided by the command when it is applied, on all replicas alike; their files follow.
 *
 * Age is measured with a clock that does not jump: the wall clock at the begin of the leadership and the
 * time since then, or the wall clock if that is earlier. Setting the clock a week ahead deletes nothing.
 */
import { assert } from '../../base/assert.ts';
import { LogIndex, PhysicalOffset } from '../../base/units.ts';
import type { Clock, Timer } from '../../io/clock.ts';
import type { DerivedState } from '../../store/derived/derived-state.ts';
import type { Background } from '../background.ts';
import type { BrokerCounters } from '../counters.ts';
import type { LeaderTime } from '../leader-time.ts';
import type { Proposer } from '../proposer.ts';
import { decideLogStart, type LogExtent, type RetentionLimits } from './retention-decision.ts';

/** Asked before every decision: what may go depends on the peers of this moment. */
export type RetentionBounds = () => LogExtent;

/** For a log that cannot lose its first segments. */
export const NOTHING_MAY_GO: RetentionBounds = () => ({
  segments: [],
  endOffset: PhysicalOffset(0),
  removableBefore: LogIndex(0),
});

export interface RetentionOptions {
  readonly state: DerivedState;
  readonly clock: Clock;
  readonly time: LeaderTime;
  readonly proposer: Proposer;
  readonly background: Background;
  readonly counters: BrokerCounters;
  readonly limits: RetentionLimits;
  readonly bounds: RetentionBounds;
  readonly periodMs: number;
}

export class Retention {
  readonly #options: RetentionOptions;
  #timer: Timer | null = null;
  #proposing = false;
  /** Wall time less monotonic time when this leadership began. */
  #wallAheadMs = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** While this node leads. */
  start(): void {
    const { clock, time } = this.#options;
    this.#wallAheadMs = time.nowMs() - clock.monotonicMs();
    this.#checkLater();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  check(): void {
    const { background, bounds, clock, limits, state, time } = this.#options;
    if (this.#proposing) return;
    const nowMs = Math.min(time.nowMs(), Math.floor(this.#wallAheadMs + clock.monotonicMs()));
    const decision = decideLogStart({ state, extent: bounds(), limits, nowMs });
    if (decision === null) return;
    this.#proposing = true;
    background.run(async () => {
      try {
        const { start, reason } = decision;
        await this.#advance(start.firstIndex, start.physicalOffset, reason, nowMs);
      } finally {
        this.#proposing = false;
      }
    });
  }

  #checkLater(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(this.#options.periodMs, () => {
      this.check();
      this.#checkLater();
    });
  }

  async #advance(
    firstIndex: LogIndex,
    physicalOffset: PhysicalOffset,
    reason: string,
    atMs: number,
  ): Promise<void> {
    const { counters, proposer, state } = this.#options;
    const storeTimestampMs = state.storeTimeFrom(physicalOffset) ?? 0;
    const command = { firstIndex, physicalOffset, reason, storeTimestampMs, atMs };
    const result = await proposer.proposeCommand(proposer.requireTerm(), {
      kind: 'advanceLogStart',
      ...command,
    });
    assert(result.kind === 'logStartAdvanced', 'a new log start has its own result');
    counters.expired += result.messageCount;
    counters.expiredInFlight += result.deliveryCount;
  }
}
