/**
 * Decides on what operators want changed: looks at the group, makes the plan and the checks, takes the
 * operator lock, and carries it out. On the leader only, one change after the other.
 */
import { unreachable } from '../../base/assert.ts';
import type { NodeId } from '../../base/units.ts';
import {
  type AdminChange,
  AdminError,
  type AdminResponse,
  type ChangedResponse,
  type ChangeOptions,
} from '../../protocol/admin.ts';
import type { AdminDeed } from '../../protocol/admin-command.ts';
import type { Check, Plan } from '../../protocol/admin-plan.ts';
import type { Departure } from '../../protocol/admin-report.ts';
import { MEMBER_COUNT_MAX } from '../../raft/membership.ts';
import type { Replica } from '../../replica/replica.ts';
import type { AdminLog, Words } from './admin-log.ts';
import { checksOf, hasFailed } from './checks.ts';
import { type GroupView, memberOf } from './group-view.ts';
import { ACTOR_LENGTH_MAX } from './limits.ts';
import type { MembershipRunner, Undertaking } from './membership-runner.ts';
import type { NodeWork } from './node-work.ts';
import { bestHeir, nextStepOf, planOf } from './plan.ts';
import type { Situation } from './situation.ts';
import { actionOf, courseOf, isMembershipWish, type MembershipWish, wishOfAction } from './wish.ts';

export interface ChangeRunnerOptions {
  readonly replica: Replica;
  readonly situation: Situation;
  readonly log: AdminLog;
  readonly members: MembershipRunner;
  readonly work: NodeWork;
}

type OtherChange = Exclude<AdminChange, MembershipWish>;

interface Decision {
  readonly view: GroupView;
  readonly plan: Plan;
  readonly checks: readonly Check[];
  readonly words: Omit<Words, 'phase'>;
}

export class ChangeRunner {
  readonly #options: ChangeRunnerOptions;
  /** Changes wait for each other: the next one looks at what the last one has made. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ChangeRunnerOptions) {
    this.#options = options;
  }

  /**
   * @throws LeadershipLost ask whoever leads now for the same
   * @throws AdminError
   * @throws BrokerError busy
   */
  run(change: AdminChange, options: ChangeOptions): Promise<AdminResponse> {
    const running = this.#last.then(() => this.#decide(change, options));
    // Whoever asked gets the error; the next one only waits for the end.
    this.#last = running.then(
      () => undefined,
      () => undefined,
    );
    return running;
  }

  async #decide(change: AdminChange, options: ChangeOptions): Promise<AdminResponse> {
    checkOptions(options);
    checkNames(change);
    const { situation } = this.#options;
    const operationId = `${actionOf(change)} by ${options.actor}`;
    let view = await situation.look();
    if (!options.dryRun && (await this.#sweepLock(view))) view = await situation.look();
    const plan = planOf(change, view);
    const checks = checksOf(change, view, options, plan, operationId);
    const words = wordsOf(change, options, plan);
    const decision = { view, plan, checks, words };
    const isReached = this.#isReached(change, decision);
    if (options.dryRun) return { kind: 'planned', plan, checks: isReached ? [] : checks };
    if (isReached) {
      // The last time it was asked, the answer was lost between the end and giving the lock back.
      const isOurs = view.lock?.operationId === operationId;
      if (isOurs)
        await this.#options.log.write(
          { kind: 'releaseLock', operationId },
          { ...words, phase: 'done' },
        );
      return alreadySo(decision, change);
    }
    if (change.kind === 'rollingRestart') {
      throw new AdminError(
        'badRequest',
        'A rolling restart is carried out node by node by whoever runs it: ask for its plan with dryRun.',
      );
    }
    if (change.kind === 'add' && isPartOf(change, options, view)) {
      const ticket = await this.#options.members.issueTicket(change, words, view);
      return { ...done(decision, `${change.nodeId} has a new token`), ticket };
    }
    if (hasFailed(checks)) return { kind: 'refused', plan, checks };
    if (isMembershipWish(change))
      return this.#changeMembers(change, options, operationId, decision);
    return this.#changeOther(change, decision);
  }

  /** Nothing to do, and nothing that only asking again would bring: a new ticket, or the lock back. */
  #isReached(change: AdminChange, { plan, view }: Decision): boolean {
    if (nextStepOf(plan) !== null) return false;
    if (change.kind !== 'add') return true;
    const member = view.members.find(({ nodeId }) => nodeId === change.nodeId);
    const isAwaited = member?.storeUuid === null && !member.isMet;
    return courseOf(change, view).isReached && !isAwaited;
  }

  /**
   * A leader that was lost in the middle, or an operator who went home, leaves the lock of a change that
   * is through: it is given back. Of anything else its owner is to be asked.
   */
  async #sweepLock({ lock }: GroupView): Promise<boolean> {
    const wish = lock === null ? null : wishOfAction(lock.action);
    if (lock === null || wish === null) return false;
    const { situation, log } = this.#options;
    if (!courseOf(wish, situation.glance()).isReached) return false;
    const { operationId, owner: actor, action } = lock;
    await log.write({ kind: 'releaseLock', operationId }, { actor, action, phase: 'done' });
    return true;
  }

  async #changeMembers(
    change: MembershipWish,
    options: ChangeOptions,
    operationId: string,
    { view, plan, checks, words }: Decision,
  ): Promise<AdminResponse> {
    const { log, members } = this.#options;
    const isOurs = view.lock?.operationId === operationId;
    const former = view.lock === null || isOurs ? '' : `taken from ${view.lock.owner}`;
    if (!isOurs) {
      const phase = former === '' ? 'begun' : 'stolen';
      const details = [words.details, former].filter((part) => part !== '').join(', ');
      const deed = { kind: 'takeLock', operationId, steal: options.steal } as const;
      const outcome = await log.write(deed, { ...words, phase, details });
      // Somebody was quicker: the checks of now name who.
      if (outcome !== 'done')
        return this.#refusedByLock(change, options, operationId, checks, plan);
    }
    const undertaking: Undertaking = { change, options, operationId, words, ticket: null };
    const result = await members.run(undertaking, view);
    const warnings = checks.filter(({ verdict }) => verdict === 'warning');
    return result.kind === 'changed' && result.state === 'done'
      ? { ...result, checks: warnings }
      : result;
  }

  #refusedByLock(
    change: MembershipWish,
    options: ChangeOptions,
    operationId: string,
    before: readonly Check[],
    plan: Plan,
  ): AdminResponse {
    const view = this.#options.situation.glance();
    const checks = checksOf(change, view, options, plan, operationId);
    const lock = checks.find(({ id }) => id === 'operatorLock');
    const others = before.filter(({ id }) => id !== 'operatorLock');
    return { kind: 'refused', plan, checks: lock === undefined ? others : [lock, ...others] };
  }

  async #changeOther(change: OtherChange, decision: Decision): Promise<AdminResponse> {
    const { log, situation, work } = this.#options;
    const { view, words } = decision;
    const write = (deed: AdminDeed, phase: string) => log.write(deed, { ...words, phase });
    switch (change.kind) {
      case 'transfer': {
        const to = change.to ?? bestHeir(view, [view.self]);
        if (to === null) throw new AdminError('busy', 'Nobody else can lead now. Ask again.');
        await write({ kind: 'note' }, 'begun');
        await situation.handOver(to);
        return done(decision, `${to} leads`);
      }
      case 'drain': {
        const { nodeId } = change;
        if (!view.drained.includes(nodeId)) await write({ kind: 'drain', nodeId }, 'done');
        const departure = await situation.departureOf(nodeId);
        const heir = nodeId === view.self ? bestHeir(view, [nodeId]) : null;
        if (heir !== null) await situation.handOver(heir);
        const sentence = drainSentence(nodeId, departure);
        return departure === null || departure.state === 'left'
          ? done(decision, sentence)
          : {
              ...changed('pending', sentence, view, decision.plan, decision.checks),
              phase: 'leave',
            };
      }
      case 'undrain':
        await write({ kind: 'undrain', nodeId: change.nodeId }, 'done');
        return done(decision, `${change.nodeId} may lead again`);
      case 'snapshot':
      case 'scrub': {
        await write({ kind: 'note' }, 'begun');
        try {
          const sentence = await work.doOn(change, view);
          await write({ kind: 'note' }, 'done');
          return done(decision, sentence);
        } catch (error) {
          // The trail knows no work without an end, but for that of a node that did not answer.
          if (error instanceof AdminError) await write({ kind: 'note' }, error.code);
          throw error;
        }
      }
      case 'finalizeFeatures':
        await write({ kind: 'setFeatureLevel', level: change.level }, 'done');
        return done(decision, `feature level ${change.level} is in force`);
      case 'unlock': {
        const { lock } = view;
        if (lock === null) return alreadySo(decision, change);
        await write({ kind: 'releaseLock', operationId: lock.operationId }, 'given up');
        return done(
          decision,
          `"${lock.action}" of ${lock.owner} is given up; what it did so far stays`,
        );
      }
      case 'rollingRestart':
        throw new AdminError('badRequest', 'A rolling restart has a plan only.');
      default:
        return unreachable(change);
    }
  }
}

/** The owner of a replacement has lost the ticket of its new node: that is no other operation. */
function isPartOf(
  { nodeId }: Extract<AdminChange, { kind: 'add' }>,
  { actor }: ChangeOptions,
  { lock, members }: GroupView,
): boolean {
  if (lock === null || lock.owner !== actor) return false;
  const wish = wishOfAction(lock.action);
  const member = members.find((one) => one.nodeId === nodeId);
  const isAwaited = member?.storeUuid === null && !member.isMet;
  return wish?.kind === 'replace' && wish.newNodeId === nodeId && isAwaited;
}

function wordsOf(change: AdminChange, options: ChangeOptions, plan: Plan): Omit<Words, 'phase'> {
  const parts = options.allow.map((allowance) => `allows ${allowance}`);
  if ('raftAddress' in change && change.raftAddress !== '') parts.push(`at ${change.raftAddress}`);
  return {
    actor: options.actor,
    action: actionOf(change),
    planHash: plan.hash,
    details: parts.join(', '),
  };
}

function done({ view, plan, checks }: Decision, sentence: string): ChangedResponse {
  return changed('done', sentence, view, plan, checks);
}

function alreadySo({ view, plan }: Decision, change: AdminChange): ChangedResponse {
  const sentence =
    change.kind === 'drain'
      ? drainSentence(change.nodeId, memberOf(view, change.nodeId)?.health?.departure ?? null)
      : `${actionOf(change)}: already so`;
  return changed('alreadySo', sentence, view, plan, []);
}

/** @param departure null: it does not tell, or is down */
function drainSentence(nodeId: NodeId, departure: Departure | null): string {
  const { state, userCount } = departure ?? { state: 'left', userCount: 0 };
  const users = `${userCount} client${userCount === 1 ? '' : 's'} still use${userCount === 1 ? 's' : ''} it`;
  if (state === 'left') {
    return `${nodeId} leads no more until undrain, and ${userCount === 0 ? 'no client needs it' : users}`;
  }
  // Fits into a line of a terminal, where it is rewritten again and again.
  return userCount === 0
    ? `${nodeId} leads no more; its clients renew their routes within 35 s`
    : `${nodeId} leads no more; ${users}, routes are renewed every 30 s`;
}

function changed(
  state: ChangedResponse['state'],
  sentence: string,
  view: GroupView,
  plan: Plan,
  checks: readonly Check[],
): ChangedResponse {
  const { configIndex } = view;
  const shown = { plan, checks: checks.filter(({ verdict }) => verdict === 'warning') };
  return {
    ...{ kind: 'changed', state, sentence, phase: '', configIndex },
    ...shown,
    progress: null,
    ticket: null,
  };
}

/** Texts of an operator become rows of every replica. */
function checkOptions({ actor }: ChangeOptions): void {
  if (actor.length >= 1 && actor.length <= ACTOR_LENGTH_MAX) return;
  throw new AdminError(
    'badRequest',
    `The name of who asks has ${actor.length} characters, from 1 to ${ACTOR_LENGTH_MAX} are needed: it stands in the audit trail.`,
  );
}

function checkNames(change: AdminChange): void {
  if (!('nodeIds' in change)) return;
  const { length } = change.nodeIds;
  if (length >= 1 && length <= MEMBER_COUNT_MAX) return;
  throw new AdminError(
    'badRequest',
    `${change.kind} names ${length} nodes, from 1 to ${MEMBER_COUNT_MAX} are needed.`,
  );
}
