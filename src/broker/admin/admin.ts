/**
 * Administration of the group on one node: answers what this node can say or do, and sends everything
 * else to the leader. Every try of one call is safe to repeat, because a change is a wish for a state.
 *
 * A call is forwarded once at most: a node that was asked by another one and does not lead says so.
 */
import { unreachable } from '../../base/assert.ts';
import type { NodeId } from '../../base/units.ts';
import { BrokerCallFailure } from '../../client/broker-call-client.ts';
import type { Clock } from '../../io/clock.ts';
import {
  type AdminCall,
  AdminError,
  type AdminReply,
  type AdminRequest,
  type AdminResponse,
  isChange,
} from '../../protocol/admin.ts';
import { freshAnswer } from '../fresh-answer.ts';
import { LeaderTime } from '../leader-time.ts';
import { LeadershipLost } from '../leadership-lost.ts';
import { Proposer } from '../proposer.ts';
import { BrokerError } from '../verbs.ts';
import { AdminLog } from './admin-log.ts';
import type { AdminOptions } from './admin-ports.ts';
import { CatchupMeter } from './catchup-meter.ts';
import { ChangeRunner } from './change-runner.ts';
import { examine } from './doctor.ts';
import { DrainKeeper } from './drain-keeper.ts';
import type { GroupView } from './group-view.ts';
import { JoinDesk } from './join-desk.ts';
import { ADMIN_CALL_MS_MAX, ADMIN_CALLS_MAX, ADMIN_RETRY_MS } from './limits.ts';
import { localHealth } from './local-health.ts';
import { MembershipRunner } from './membership-runner.ts';
import { NodeWork } from './node-work.ts';
import { bestHeir } from './plan.ts';
import { eventsReport, featuresReport, membersReport } from './reports.ts';
import { Situation } from './situation.ts';
import type { Zones } from './view-of.ts';
import { isKnown } from './wish.ts';

export interface Admin {
  /** A call that came in over the port for peers and administration. Never rejects but for bugs. */
  answer(call: AdminCall, signal: AbortSignal): Promise<AdminReply>;
  /** Hands leadership over where this node has it and somebody is fit; as well as that goes. */
  stepAside(): Promise<void>;
  /** Ends its timers. Idempotent. */
  close(): void;
}

export function createAdmin(options: AdminOptions): Admin {
  return new GroupAdmin(options);
}

/** `again`: in a moment, of whoever leads then. */
type TryResult =
  | { readonly kind: 'reply'; readonly reply: AdminReply }
  | { readonly kind: 'again' };

class GroupAdmin implements Admin {
  readonly #options: AdminOptions;
  readonly #self: NodeId;
  readonly #situation: Situation;
  readonly #meter: CatchupMeter;
  readonly #work: NodeWork;
  readonly #runner: ChangeRunner;
  readonly #desk: JoinDesk;
  readonly #keeper: DrainKeeper;
  #openCount = 0;
  #isClosed = false;

  constructor(options: AdminOptions) {
    const { replica, clock, transport, founders, tasks, randomBytes } = options;
    this.#options = options;
    this.#self = replica.status().nodeId;
    const ownHealth = () => localHealth(options);
    this.#situation = new Situation({ replica, clock, transport, ownHealth });
    const situation = this.#situation;
    const proposer = new Proposer(replica);
    const log = new AdminLog({ replica, proposer, time: new LeaderTime(clock), randomBytes });
    this.#meter = new CatchupMeter(clock);
    this.#work = new NodeWork({ replica, clock, transport, tasks });
    const members = new MembershipRunner({ replica, situation, log, meter: this.#meter });
    this.#runner = new ChangeRunner({ replica, situation, log, members, work: this.#work });
    this.#desk = new JoinDesk({ replica, founders, situation, log });
    this.#keeper = new DrainKeeper(replica, clock, situation);
  }

  async answer(call: AdminCall, signal: AbortSignal): Promise<AdminReply> {
    if (this.#openCount >= ADMIN_CALLS_MAX) {
      return failure('busy', `${this.#openCount} calls of administration are open. Ask again.`);
    }
    this.#openCount += 1;
    try {
      return await this.#untilAnswered(call, signal);
    } finally {
      this.#openCount -= 1;
    }
  }

  async stepAside(): Promise<void> {
    const { replica } = this.#options;
    if (replica.leadership() === null) return;
    const heir = bestHeir(this.#situation.glance(), [this.#self]);
    // It never rejects; when it fails, the others elect somebody after this node is gone.
    if (heir !== null) await replica.transferLeadership(heir);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#keeper.close();
    this.#options.transport.close();
  }

  async #untilAnswered(call: AdminCall, signal: AbortSignal): Promise<AdminReply> {
    const { clock } = this.#options;
    const budgetMs = Math.min(call.remainingMs, ADMIN_CALL_MS_MAX);
    const untilMs = clock.monotonicMs() + budgetMs;
    for (;;) {
      const remainingMs = Math.max(0, untilMs - clock.monotonicMs());
      const result = await this.#tryOnce({ ...call, remainingMs }, signal);
      if (result.kind === 'reply') return result.reply;
      if (this.#isClosed) return failure('timeout', 'This node is shutting down. Ask another one.');
      if (signal.aborted || clock.monotonicMs() + ADMIN_RETRY_MS >= untilMs) {
        return failure('timeout', sentenceOfTimeout(call.request, this.#options.replica.leader()));
      }
      await pause(clock);
    }
  }

  async #tryOnce(call: AdminCall, signal: AbortSignal): Promise<TryResult> {
    const { replica } = this.#options;
    const { request } = call;
    try {
      const own = await this.#answerAlone(call);
      if (own !== null) return answered(own);
      if (replica.leadership() !== null) return answered(await this.#answerAsLeader(call));
      const leader = replica.leader();
      if (call.hops > 0) return { kind: 'reply', reply: this.#notLeader() };
      if (leader === null || leader === this.#self) return { kind: 'again' };
      return await this.#forward(call, leader, signal);
    } catch (error) {
      if (error instanceof LeadershipLost) {
        return call.hops > 0 ? { kind: 'reply', reply: this.#notLeader() } : { kind: 'again' };
      }
      return { kind: 'reply', reply: failureOf(error, request) };
    }
  }

  /** What the asked node says or does by itself, leader or not; null: it is for the leader. */
  async #answerAlone({ request, stale, hops }: AdminCall): Promise<AdminResponse | null> {
    const { replica } = this.#options;
    if (request.kind === 'health') return { kind: 'health', health: localHealth(this.#options) };
    if (!stale) return null;
    switch (request.kind) {
      case 'members':
        return { kind: 'members', report: membersReport(replica, this.#ownZone()) };
      case 'events': {
        const { afterSequence, countMax } = request;
        return { kind: 'events', report: eventsReport(replica, afterSequence, countMax) };
      }
      case 'snapshot':
      case 'scrub':
        return hops > 0 && request.nodeId === this.#self ? this.#doWork(request) : null;
      default:
        return null;
    }
  }

  async #doWork(request: Parameters<NodeWork['doHere']>[0]): Promise<AdminResponse> {
    const sentence = await this.#work.doHere(request);
    const { index: configIndex } = this.#options.replica.status().membership;
    const plan = { hash: '', configIndex, action: `${request.kind} ${request.nodeId}`, steps: [] };
    const nothing = { phase: '', checks: [], progress: null, ticket: null };
    return { kind: 'changed', state: 'done', sentence, configIndex, plan, ...nothing };
  }

  async #answerAsLeader({ request, options }: AdminCall): Promise<AdminResponse> {
    const { replica, clock } = this.#options;
    if (isChange(request)) return this.#runner.run(request, options);
    switch (request.kind) {
      case 'join':
        return { kind: 'granted', grant: await this.#desk.admit(request) };
      case 'members': {
        const zones = await this.#situation.zones();
        return this.#fresh(() => ({ kind: 'members', report: membersReport(replica, zones) }));
      }
      case 'events': {
        const { afterSequence, countMax } = request;
        return this.#fresh(() => ({
          kind: 'events',
          report: eventsReport(replica, afterSequence, countMax),
        }));
      }
      case 'health':
        return { kind: 'health', health: localHealth(this.#options) };
      case 'check': {
        const answers = await this.#situation.answers();
        const report = examine(this.#situation.viewWith(answers), answers, clock.wallMs());
        return this.#fresh(() => ({ kind: 'check', report }));
      }
      case 'catchup': {
        const view = this.#situation.glance();
        if (!isKnown(view, request.nodeId)) throw stranger(request.nodeId, view);
        return { kind: 'catchup', report: this.#meter.report(request.nodeId, view) };
      }
      case 'features':
        return {
          kind: 'features',
          report: featuresReport(replica, await this.#situation.answers()),
        };
      default:
        return unreachable(request);
    }
  }

  /** Who answers alone asks nobody. */
  #ownZone(): Zones {
    return new Map([[this.#self, this.#options.facts().zone]]);
  }

  #fresh(answer: () => AdminResponse): Promise<AdminResponse> {
    return freshAnswer(this.#options.replica, answer, () => true);
  }

  async #forward(call: AdminCall, leader: NodeId, signal: AbortSignal): Promise<TryResult> {
    const { replica, transport } = this.#options;
    const { members } = replica.status().membership.membership;
    const address =
      replica.addressesOf(leader)?.raft ??
      members.find(({ nodeId }) => nodeId === leader)?.raftAddress;
    if (address === undefined) return { kind: 'again' };
    try {
      const reply = await transport.call(address, { ...call, hops: call.hops + 1 }, signal);
      return reply.kind === 'notLeader' ? { kind: 'again' } : { kind: 'reply', reply };
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      return { kind: 'again' };
    }
  }

  #notLeader(): AdminReply {
    const { replica } = this.#options;
    return { kind: 'notLeader', term: replica.status().term, leader: replica.leader() };
  }
}

function stranger(nodeId: NodeId, { membership }: GroupView): AdminError {
  const names = membership.members.map((member) => member.nodeId).join(', ');
  return new AdminError('badRequest', `${nodeId} is not a member of this group: ${names} are.`);
}

function answered(response: AdminResponse): TryResult {
  return { kind: 'reply', reply: { kind: 'answer', response } };
}

/** What is not for the caller's eyes goes on as it is: a bug. */
function failureOf(error: unknown, request: AdminRequest): AdminReply {
  if (error instanceof AdminError) return failure(error.code, error.message);
  if (error instanceof BrokerError && error.code === 'busy') return failure('busy', error.message);
  if (error instanceof BrokerError)
    return failure('badRequest', `${request.kind}: ${error.message}`);
  throw error;
}

function failure(code: AdminError['code'], message: string): AdminReply {
  return { kind: 'failure', code, message };
}

function sentenceOfTimeout(request: AdminRequest, leader: NodeId | null): string {
  const why =
    leader === null ? 'The group has no leader: no majority answers.' : `${leader} did not answer.`;
  if (!isChange(request)) return `${why} Ask with stale for what one node knows.`;
  return `${why} Whether anything was changed is unknown: ask for the same again, it goes on where it is.`;
}

function pause(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ADMIN_RETRY_MS, resolve);
  });
}
