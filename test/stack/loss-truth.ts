/** What was committed when most of a group was lost, and how that compares with what a survivor says of it. */
import type { RecoveryPlan } from '../../src/store/recover/recovery-plan.ts';
import type { CommittedMessage } from './observer.ts';
import { CLOCK_SKEW_MS_MAX } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';
import type { Workload } from './workload.ts';

const MS_PER_SECOND = 1_000;

export class LossTruth {
  readonly #world: StackWorld;
  readonly #workload: Workload;
  #commitIndex = 0;
  endedAtMs = 0;
  /** What happened, for the tables. */
  readonly counts = new Map<string, number>();

  constructor(world: StackWorld, workload: Workload) {
    this.#world = world;
    this.#workload = workload;
  }

  look(): void {
    for (const { running } of this.#world.nodes) {
      this.#commitIndex = Math.max(this.#commitIndex, running?.replica?.status().commitIndex ?? 0);
    }
  }

  end(): void {
    this.endedAtMs = this.#world.clock.wallMs();
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  /**
   * @param kept the log of the winner as it is
   * @returns the committed messages that it holds
   */
  check(
    { winner, ranking, loss }: RecoveryPlan,
    kept: ReadonlyMap<number, string>,
  ): readonly CommittedMessage[] {
    const { observer } = this.#world;
    const { provenIndex, keptIndex } = loss;
    observer.checkCount += ranking.length + provenIndex;
    for (const { nodeId, provenCommitIndex } of ranking) {
      if (provenCommitIndex <= this.#commitIndex) continue;
      const sentence = `${nodeId} proves ${provenCommitIndex}, and ${this.#commitIndex} is committed`;
      observer.violation('Q1', sentence);
    }
    const first = Math.min(...kept.keys());
    for (let index = first; index <= provenIndex; index++) {
      const print = observer.printAt(index);
      if (print === null || print === kept.get(index)) continue;
      const sentence = `entry ${index} of ${winner.nodeId} is said to be committed as ${kept.get(index)}, and was ${print}`;
      observer.violation('Q2', sentence);
    }
    if (keptIndex !== Math.max(...kept.keys())) {
      observer.violation('Q2', `entries up to ${keptIndex} are said to be there`);
    }
    const isKept = ({ index }: CommittedMessage) =>
      index < first || kept.get(index) === observer.printAt(index);
    this.#checkBound(
      loss,
      observer.messages.filter((message) => !isKept(message)),
    );
    return observer.messages.filter(isKept);
  }

  /**
   * What the bound says: whatever is lost was stored within the last `unseenMs` before the loss; so at the rate
   * that is named it is at most `messagesMax`, and at k times that rate at most k times as much.
   */
  #checkBound(
    { unseenMs, messagesPerSecond, messagesMax }: RecoveryPlan['loss'],
    lost: readonly CommittedMessage[],
  ): void {
    const { observer } = this.#world;
    observer.checkCount += lost.length;
    observer.note('lost messages', lost.length, messagesMax);
    this.count('messages lost', lost.length);
    this.count('messages lost at most, as said', messagesMax);
    if (lost.length > 0) this.count('losses');
    if (lost.length > messagesMax) this.count('losses above the bound, at a higher rate');
    if (unseenMs === null) return;
    const fromMs = this.endedAtMs - unseenMs;
    const skewMs = this.#world.clocksAgree ? 0 : CLOCK_SKEW_MS_MAX;
    const isSeen = ({ storeTimestampMs }: CommittedMessage) => storeTimestampMs < fromMs - skewMs;
    const before = lost.filter(isSeen);
    if (before.length > 0) {
      const [{ messageId, storeTimestampMs }] = before as [CommittedMessage];
      const sentence = `${before.length} of ${lost.length} lost messages are older than the ${unseenMs} ms that the bound names, ${messageId} by ${fromMs - storeTimestampMs} ms`;
      observer.violation('Q3', sentence);
    }
    const acknowledged = lost.filter(({ messageId }) => this.#workload.receipts.has(messageId));
    const actual = (lost.length * MS_PER_SECOND) / Math.max(1, unseenMs);
    if (actual > messagesPerSecond || acknowledged.length <= messagesMax) return;
    const sentence = `${acknowledged.length} acknowledged messages are lost at ${actual}/s, the bound was ${messagesMax} at ${messagesPerSecond}/s`;
    observer.violation('Q3', sentence);
  }
}
