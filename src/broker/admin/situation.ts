/**
 * The leader's look at the group, and its patience: views for plans and checks, and waiting until a
 * change of members is through.
 */
import { unreachable } from '../../base/assert.ts';
import type { LogIndex, NodeId } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import { AdminError } from '../../protocol/admin.ts';
import type { Departure } from '../../protocol/admin-report.ts';
import { isJoint } from '../../raft/membership.ts';
import type { Replica, TransferOutcome } from '../../replica/replica.ts';
import { LeadershipLost } from '../leadership-lost.ts';
import { type GroupView, memberOf } from './group-view.ts';
import { DRAIN_HEARD_MS_MAX, STEP_MS_MAX, STEP_POLL_MS, UNDER_WAY_MS_MAX } from './limits.ts';
import { type Answers, type SurveyOptions, surveyMembers } from './survey.ts';
import { viewOf, type Zones } from './view-of.ts';

/** Of a node that lives and did not answer in time. */
const NOT_HEARD: Departure = { state: 'serving', userCount: 0 };

export class Situation {
  readonly #replica: Replica;
  readonly #clock: Clock;
  readonly #survey: SurveyOptions;
  /** What each node that ever answered said last. */
  readonly #zones = new Map<NodeId, string>();

  constructor(survey: SurveyOptions) {
    this.#replica = survey.replica;
    this.#clock = survey.clock;
    this.#survey = survey;
  }

  /** Of this moment, without asking anybody. */
  glance(): GroupView {
    return this.viewWith(new Map());
  }

  viewWith(answers: Answers): GroupView {
    return viewOf(this.#replica, answers, this.#zones);
  }

  async answers(): Promise<Answers> {
    return this.#heard(await surveyMembers(this.#survey, () => true));
  }

  /** Of the members, asked anew of those that are heard at all: nobody is waited for in vain. */
  async zones(): Promise<Zones> {
    const { nodeId: self, peers } = this.#replica.status();
    const isHeard = (nodeId: NodeId): boolean =>
      nodeId === self || peers.some((peer) => peer.nodeId === nodeId && peer.isActive === true);
    this.#heard(await surveyMembers(this.#survey, isHeard));
    return this.#zones;
  }

  #heard(answers: Answers): Answers {
    for (const [nodeId, { health }] of answers) {
      if (health !== null) this.#zones.set(nodeId, health.zone);
    }
    return answers;
  }

  /**
   * With the answers of all members, once a change that is about to be committed is. The leader pins the
   * stores of new members by itself: that is over in a moment, and no reason to refuse anything.
   */
  async look(): Promise<GroupView> {
    const answers = await this.answers();
    const untilMs = this.#clock.monotonicMs() + UNDER_WAY_MS_MAX;
    while (!this.isSettled && this.#clock.monotonicMs() < untilMs) {
      this.requireLeadership();
      await this.pause();
    }
    this.requireLeadership();
    return this.viewWith(answers);
  }

  /**
   * How far the clients of a node are that was just drained, as soon as it has heard of that itself.
   * @returns null when it is down, or does not tell
   * @throws LeadershipLost
   */
  async departureOf(nodeId: NodeId): Promise<Departure | null> {
    const untilMs = this.#clock.monotonicMs() + DRAIN_HEARD_MS_MAX;
    for (;;) {
      this.requireLeadership();
      const member = memberOf(viewOf(this.#replica, await this.answers(), this.#zones), nodeId);
      if (member === null || (member.health === null && !member.isActive)) return null;
      const departure = member.health === null ? NOT_HEARD : member.health.departure;
      if (departure?.state !== 'serving') return departure;
      if (this.#clock.monotonicMs() >= untilMs) return { ...departure, state: 'leaving' };
      await this.pause();
    }
  }

  get isSettled(): boolean {
    const { membership, isMembershipCommitted } = this.#replica.status();
    return isMembershipCommitted && !isJoint(membership.membership);
  }

  /**
   * Resolves when the membership of `index`, and what the leader makes of it, is committed and stable.
   * @throws LeadershipLost the next leader ends it, and whoever asks again there hears how
   */
  async untilSettled(index: LogIndex): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + STEP_MS_MAX;
    for (;;) {
      this.requireLeadership();
      const { membership } = this.#replica.status();
      if (membership.index >= index && this.isSettled) return;
      if (this.#clock.monotonicMs() >= untilMs) {
        throw new AdminError(
          'timeout',
          `Config #${membership.index} was not committed within ${STEP_MS_MAX} ms. Whether it will be is ` +
            'unknown: look at the members, and ask for the same again.',
        );
      }
      await this.pause();
    }
  }

  /** @throws LeadershipLost when nobody knows how it went */
  async handOver(to: NodeId): Promise<void> {
    const outcome: TransferOutcome = await this.#replica.transferLeadership(to);
    switch (outcome.kind) {
      case 'handedOver':
        return;
      case 'unknown':
        throw new LeadershipLost();
      case 'aborted':
        throw new AdminError(
          'timeout',
          `${to} did not take over within an election timeout, and this node leads on. Ask again, or ` +
            'choose another one.',
        );
      case 'refused':
        if (outcome.why === 'notLeader') throw new LeadershipLost();
        throw new AdminError(
          'busy',
          `Leadership cannot go to ${to} now: ${outcome.why}. Ask again.`,
        );
      default:
        unreachable(outcome);
    }
  }

  requireLeadership(): void {
    if (this.#replica.leadership() === null) throw new LeadershipLost();
  }

  pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(STEP_POLL_MS, resolve);
    });
  }
}
