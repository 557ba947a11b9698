/**
 * What the leader does about deliveries without being asked, every few seconds:
 * - renews those under auto-renew while their client lives;
 * - moves those that expired out of attempts to the dead-letter topic, also when nobody polls;
 * - and, when a client says goodbye, gives back what it held under auto-renew.
 *
 * Timers only propose; what happens is in the log.
 */
import { assert } from '../../base/assert.ts';
import type { Clock, Timer } from '../../io/clock.ts';
import type { ChangeInvisibleCommand } from '../../protocol/command-record.ts';
import type {
  DerivedState,
  GroupConfig,
  InFlight,
  TopicConfig,
} from '../../store/derived/derived-state.ts';
import type { Background } from '../background.ts';
import type { BrokerCounters } from '../counters.ts';
import type { LeaderTime } from '../leader-time.ts';
import { AUTO_RENEW, DEAD_LETTERS_PER_SWEEP_MAX } from '../limits.ts';
import { type MessageLocks, messageKey } from '../message-locks.ts';
import { deadLetterTopicOf } from '../names.ts';
import { commandRecord, type Proposer } from '../proposer.ts';
import type { ClientTable } from './clients.ts';
import type { DeadLetterer } from './dead-letterer.ts';
import { isExhausted } from './delivery-plan.ts';

export interface LeaseKeeperOptions {
  readonly state: DerivedState;
  readonly clock: Clock;
  readonly time: LeaderTime;
  readonly proposer: Proposer;
  readonly locks: MessageLocks;
  readonly clients: ClientTable;
  readonly deadLetterer: DeadLetterer;
  readonly background: Background;
  readonly counters: BrokerCounters;
  readonly wake: (group: string, topic: string) => void;
}

interface HeldMessage {
  readonly group: GroupConfig;
  readonly topic: TopicConfig;
  readonly queueId: number;
  readonly inFlight: InFlight;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  #timer: Timer | null = null;
  #renewing = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /** While this node leads. */
  start(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(AUTO_RENEW.scanPeriodMs, () => {
      this.scan();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  scan(): void {
    const nowMs = this.#options.time.nowMs();
    const renewals: ChangeInvisibleCommand[] = [];
    let deadLetters = 0;
    for (const held of this.#heldMessages()) {
      const { group, topic, inFlight } = held;
      if (inFlight.invisibleUntilMs > nowMs) {
        if (this.#needsRenewal(inFlight, nowMs) && !this.#isLocked(held)) {
          renewals.push(changeOf(held, nowMs + AUTO_RENEW.invisibleMs));
        }
        continue;
      }
      const isOwnDeadLetter = topic.topic === deadLetterTopicOf(group.group);
      if (!isExhausted(inFlight, group, isOwnDeadLetter)) continue;
      if (deadLetters++ < DEAD_LETTERS_PER_SWEEP_MAX) {
        this.#options.deadLetterer.moveInBackground(held);
      }
    }
    this.#renew(renewals);
  }

  /** Its late answers may still land: the handles stay valid, only the time is cut short. */
  release(clientId: string): void {
    const untilMs = this.#options.time.nowMs() + AUTO_RENEW.releaseDelayMs;
    const changes: ChangeInvisibleCommand[] = [];
    for (const held of this.#heldMessages()) {
      const { inFlight } = held;
      if (!inFlight.autoRenew || inFlight.clientId !== clientId) continue;
      if (inFlight.invisibleUntilMs > untilMs) changes.push(changeOf(held, untilMs));
    }
    this.#options.background.run(async () => {
      await this.#change(changes);
      for (const { group, topic } of changes) this.#options.wake(group, topic);
    });
  }

  #needsRenewal(inFlight: InFlight, nowMs: number): boolean {
    return (
      inFlight.autoRenew &&
      inFlight.invisibleUntilMs - nowMs < AUTO_RENEW.renewBelowMs &&
      nowMs - inFlight.firstDeliveredAtMs < AUTO_RENEW.totalMsMax &&
      this.#options.clients.isAlive(inFlight.clientId)
    );
  }

  #isLocked({ group, topic, queueId, inFlight }: HeldMessage): boolean {
    const key = messageKey(group.group, topic.topic, queueId, inFlight.queueOffset);
    return this.#options.locks.isLocked(key);
  }

  #renew(renewals: readonly ChangeInvisibleCommand[]): void {
    // A round that takes longer than the period is not doubled; the next one finds what is left.
    if (this.#renewing || renewals.length === 0) return;
    this.#renewing = true;
    this.#options.background.run(async () => {
      try {
        this.#options.counters.renewed += await this.#change(renewals);
      } finally {
        this.#renewing = false;
      }
    });
  }

  /** @returns how many took effect */
  async #change(changes: readonly ChangeInvisibleCommand[]): Promise<number> {
    const { proposer } = this.#options;
    let count = 0;
    for (let at = 0; at < changes.length; at += AUTO_RENEW.renewalsPerProposalMax) {
      const part = changes.slice(at, at + AUTO_RENEW.renewalsPerProposalMax);
      const results = await proposer.propose(proposer.requireTerm(), part.map(commandRecord));
      for (const result of results) {
        assert(result.kind === 'invisibleChanged', 'a change has its own result');
        if (result.outcome === 'ok') count++;
      }
    }
    return count;
  }

  *#heldMessages(): Generator<HeldMessage> {
    const { state } = this.#options;
    for (const group of state.groups()) {
      for (const name of state.topicsOf(group.group)) {
        const topic = state.topic(name);
        if (topic === null) continue;
        for (let queueId = 0; queueId < topic.queueCount; queueId++) {
          const { inFlight: all } = state.progress(group.group, name, queueId);
          for (const inFlight of all) yield { group, topic, queueId, inFlight };
        }
      }
    }
  }
}

/** Keeps the handle. */
function changeOf(
  { group, topic, queueId, inFlight }: HeldMessage,
  invisibleUntilMs: number,
): ChangeInvisibleCommand {
  return {
    kind: 'changeInvisible',
    group: group.group,
    topic: topic.topic,
    queueId,
    queueOffset: inFlight.queueOffset,
    deliveryId: inFlight.deliveryId,
    invisibleUntilMs,
    newDeliveryId: null,
  };
}
