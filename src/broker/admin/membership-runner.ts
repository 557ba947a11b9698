/**
 * Carries out changes of members, step by step, each step found from the membership as it is. So whoever
 * leads goes on where the last one was, and asking again resumes.
 *
 * The lock is taken first. A change that is made at once gives it back at the end; one that has to wait for
 * a new node keeps it, with its owner to be seen, until it is through or given up.
 */
import { assert, InvariantError, unreachable } from '../../base/assert.ts';
import { sizeText } from '../../base/size-text.ts';
import type { NodeId } from '../../base/units.ts';
import type { ChangedResponse, ChangeOptions, JoinTicket } from '../../protocol/admin.ts';
import type { Check, Plan, PlanStep } from '../../protocol/admin-plan.ts';
import type { CatchupReport } from '../../protocol/admin-report.ts';
import type { MembershipStep } from '../../raft/membership.ts';
import type { Replica } from '../../replica/replica.ts';
import { LeadershipLost } from '../leadership-lost.ts';
import type { AdminLog, Words } from './admin-log.ts';
import type { CatchupMeter } from './catchup-meter.ts';
import { checksOf, hasFailed } from './checks.ts';
import { checkOfProblem, isPassing } from './core-problems.ts';
import { type GroupView, memberOf } from './group-view.ts';
import { awaitedOf, bestHeir, nextStepOf, planOf } from './plan.ts';
import type { Situation } from './situation.ts';
import { coreSteps, courseOf, type MembershipWish } from './wish.ts';

export interface MembershipRunnerOptions {
  readonly replica: Replica;
  readonly situation: Situation;
  readonly log: AdminLog;
  readonly meter: CatchupMeter;
}

/** A change that passed its checks, on its way. */
export interface Undertaking {
  readonly change: MembershipWish;
  readonly options: ChangeOptions;
  readonly operationId: string;
  readonly words: Omit<Words, 'phase'>;
  ticket: JoinTicket | null;
}

export type RunOutcome =
  | ChangedResponse
  | { readonly kind: 'refused'; readonly plan: Plan; readonly checks: readonly Check[] };

/** More than any change has steps, with tries that lost a race. */
const STEPS_MAX = 16;

export class MembershipRunner {
  readonly #options: MembershipRunnerOptions;

  constructor(options: MembershipRunnerOptions) {
    this.#options = options;
  }

  /** Requires: the lock is taken, and all checks passed on `first`. */
  async run(undertaking: Undertaking, first: GroupView): Promise<RunOutcome> {
    const { change } = undertaking;
    let view = first;
    for (let i = 0; i < STEPS_MAX; i++) {
      const plan = planOf(change, view);
      const step = nextStepOf(plan);
      if (step === null) return this.#finish(undertaking, view);
      const outcome = await this.#doStep(step, undertaking, view);
      if (outcome !== null) return outcome;
      view = await this.#options.situation.look();
      // Somebody else led meanwhile, and may have given the lock to another operation: all is looked at anew.
      if (view.term !== first.term) throw new LeadershipLost();
    }
    const plan = planOf(change, view);
    return this.#refuse(undertaking, plan, this.#checks(undertaking, view, plan));
  }

  /** @returns null: done, look for the next one */
  async #doStep(
    step: PlanStep,
    undertaking: Undertaking,
    view: GroupView,
  ): Promise<RunOutcome | null> {
    const { situation } = this.#options;
    switch (step.kind) {
      case 'addLearner':
        return this.#addLearner(undertaking, view);
      case 'join':
      case 'catchUp':
        return this.#wait(step, undertaking, view);
      case 'handOver': {
        const heir = bestHeir(view, courseOf(undertaking.change, view).leavers);
        assert(heir !== null, 'a leader leaves only when somebody can lead');
        await situation.handOver(heir);
        // The next leader goes on, when it is asked for the same.
        throw new LeadershipLost();
      }
      case 'joint':
      case 'removeLearner':
        return this.#changeVoters(undertaking, view);
      case 'leaveJoint':
      case 'tombstone':
        await situation.untilSettled(view.configIndex);
        return null;
      case 'drain':
      case 'leave':
      case 'undrain':
      case 'restart':
      case 'gate':
      case 'snapshot':
      case 'scrub':
      case 'features':
      case 'unlock':
        throw new InvariantError(`no step of a change of members: ${step.kind}`);
      default:
        return unreachable(step.kind);
    }
  }

  async #addLearner(undertaking: Undertaking, view: GroupView): Promise<RunOutcome | null> {
    const { change } = undertaking;
    assert(change.kind === 'add' || change.kind === 'replace', 'somebody new is added');
    const nodeId = change.kind === 'add' ? change.nodeId : change.newNodeId;
    const { raftAddress } = change;
    const member = { nodeId, raftAddress, storeUuid: null, priority: 0 };
    const refusal = await this.#ask([{ kind: 'addLearner', member }], undertaking, view);
    if (refusal !== null) return refusal;
    undertaking.ticket = await this.issueTicket(change, undertaking.words, view);
    return null;
  }

  /** Also for a learner whose ticket was lost: the token is shown once, and a new one voids it. */
  async issueTicket(
    change: MembershipWish,
    words: Omit<Words, 'phase'>,
    view: GroupView,
  ): Promise<JoinTicket> {
    assert(change.kind === 'add' || change.kind === 'replace', 'somebody new gets a ticket');
    const nodeId = change.kind === 'add' ? change.nodeId : change.newNodeId;
    const { log, replica } = this.#options;
    const issued = await log.issueToken(nodeId, { ...words, phase: 'token issued' });
    const { clusterId, groupId } = replica.status();
    const raftAddress = memberOf(view, nodeId)?.raftAddress ?? change.raftAddress;
    const joinAddresses = view.members.filter((one) => one.isActive).map((one) => one.raftAddress);
    return { clusterId, groupId, nodeId, raftAddress, joinAddresses, ...issued };
  }

  /** A new node takes its time: whoever waits asks again. */
  async #wait(step: PlanStep, undertaking: Undertaking, view: GroupView): Promise<RunOutcome> {
    const { change } = undertaking;
    const isTicketDue = step.kind === 'join' && undertaking.ticket === null;
    if (isTicketDue && change.kind === 'replace' && this.#isTicketVoid(change.newNodeId)) {
      undertaking.ticket = await this.issueTicket(change, undertaking.words, view);
    }
    return this.#pending(step.kind, undertaking, view);
  }

  #pending(phase: PlanStep['kind'], undertaking: Undertaking, view: GroupView): RunOutcome {
    const { change } = undertaking;
    const plan = planOf(change, view);
    const course = courseOf(change, view);
    // The core may find somebody behind whom we find close enough.
    const awaited = awaitedOf(course, view) ?? course.newcomers[0];
    assert(awaited !== undefined, 'somebody is waited for');
    const progress = this.#options.meter.report(awaited, view);
    const checks = this.#checks(undertaking, view, plan);
    return {
      ...{ kind: 'changed', state: 'pending', phase, plan, checks, progress },
      sentence: sentenceOf(progress),
      configIndex: view.configIndex,
      ticket: undertaking.ticket,
    };
  }

  #isTicketVoid(nodeId: NodeId): boolean {
    return this.#options.replica.state.admin.tokenOf(nodeId) === null;
  }

  async #changeVoters(undertaking: Undertaking, view: GroupView): Promise<RunOutcome | null> {
    const { log, replica } = this.#options;
    const { change, words } = undertaking;
    const plan = planOf(change, view);
    const checks = this.#checks(undertaking, view, plan);
    // What held when the operation began may not hold any more.
    if (hasFailed(checks)) return this.#refuse(undertaking, plan, checks);
    const course = courseOf(change, view);
    const leavers = view.members.filter(({ nodeId }) => course.leavers.includes(nodeId));
    // Before they are gone: afterwards nobody knows their stores.
    for (const { nodeId, raftAddress, ...leaver } of leavers) {
      const storeUuid = leaver.storeUuid ?? leaver.health?.storeUuid ?? '';
      const isNoted = replica.state.admin.retired.some((one) => one.nodeId === nodeId);
      const retired = { kind: 'retire', nodeId, raftAddress, storeUuid } as const;
      if (!isNoted) await log.write(retired, { ...words, phase: 'leaves' });
    }
    return this.#ask(coreSteps(course, view), undertaking, view);
  }

  /** Asks the core. @returns null: in force, committed and stable, or to be looked at again */
  async #ask(
    steps: readonly MembershipStep[],
    undertaking: Undertaking,
    view: GroupView,
  ): Promise<RunOutcome | null> {
    const { replica, situation } = this.#options;
    const outcome = await replica.changeMembership(steps, view.configIndex);
    if (outcome.kind === 'accepted') {
      await situation.untilSettled(outcome.index);
      return null;
    }
    const { problems } = outcome;
    if (problems.some(({ kind }) => kind === 'notLeader')) throw new LeadershipLost();
    if (problems.every(isPassing)) {
      await situation.pause();
      return null;
    }
    const isOnlyBehind = problems.every((one) => isPassing(one) || one.kind === 'learnerBehind');
    // It was close enough when we looked: a busy group is a little ahead again, and that passes.
    if (undertaking.change.kind === 'replace' && isOnlyBehind) {
      return this.#pending('catchUp', undertaking, view);
    }
    const plan = planOf(undertaking.change, view);
    return this.#refuse(undertaking, plan, problems.map(checkOfProblem));
  }

  async #finish(undertaking: Undertaking, view: GroupView): Promise<RunOutcome> {
    const { change, options } = undertaking;
    const isWaited =
      change.kind === 'add' && undertaking.ticket === null && this.#awaitsProcess(change, view);
    if (isWaited) undertaking.ticket = await this.issueTicket(change, undertaking.words, view);
    await this.#release(undertaking, 'done');
    const plan = planOf(change, view);
    return {
      ...{ kind: 'changed', state: 'done', phase: '', plan, progress: null },
      sentence: doneSentence(change, options),
      configIndex: view.configIndex,
      checks: [],
      ticket: undertaking.ticket,
    };
  }

  #awaitsProcess({ nodeId }: { nodeId: GroupView['self'] }, view: GroupView): boolean {
    const member = memberOf(view, nodeId);
    return member !== null && member.storeUuid === null && !member.isMet;
  }

  /** What has to wait for a node stays an operation; anything else is over with its refusal. */
  async #refuse(
    undertaking: Undertaking,
    plan: Plan,
    checks: readonly Check[],
  ): Promise<RunOutcome> {
    if (undertaking.change.kind !== 'replace') await this.#release(undertaking, 'refused');
    return { kind: 'refused', plan, checks };
  }

  async #release({ operationId, words }: Undertaking, phase: string): Promise<void> {
    // It may have been stolen meanwhile: then it is not ours to give back.
    await this.#options.log.write({ kind: 'releaseLock', operationId }, { ...words, phase });
  }

  #checks({ change, options, operationId }: Undertaking, view: GroupView, plan: Plan) {
    return checksOf(change, view, options, plan, operationId);
  }
}

function sentenceOf({ nodeId, state, lagBytes }: CatchupReport): string {
  switch (state) {
    case 'joining':
      return `${nodeId} is a learner; its process has not joined yet`;
    case 'silent':
      return `${nodeId} has joined and is not heard now`;
    case 'copying':
    case 'caughtUp':
      return `${nodeId} copies the log and lacks ${sizeText(lagBytes)} of it`;
    case 'voting':
      return `${nodeId} is a voter`;
    default:
      return unreachable(state);
  }
}

function doneSentence(change: MembershipWish, { actor }: ChangeOptions): string {
  const by = actor === '' ? '' : `, asked by ${actor}`;
  switch (change.kind) {
    case 'add':
      return `${change.nodeId} is a learner${by}`;
    case 'promote':
      return `${manyAre(change.nodeIds, 'a voter', 'voters')}${by}`;
    case 'remove':
      return `${manyAre(change.nodeIds, 'not a member any more', 'not members any more')}${by}`;
    case 'replace':
      return `${change.newNodeId} is a voter in place of ${change.oldNodeId}${by}`;
    default:
      return unreachable(change);
  }
}

function manyAre(nodeIds: readonly NodeId[], one: string, many: string): string {
  return `${nodeIds.join(', ')} ${nodeIds.length === 1 ? `is ${one}` : `are ${many}`}`;
}
