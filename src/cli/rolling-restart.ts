/**
 * Walks an operator through the restart of all voters: drain one, wait until its clients are elsewhere, restart
 * its process (by a command, or by hand: then its next start is noticed), wait until the group is whole, undrain.
 *
 * What is done is seen in the group itself: which nodes are drained, and when their processes started. So
 * whoever comes back after an interruption gives the time at which it began, and it goes on.
 */
import type { NodeId } from '../base/units.ts';
import { delay } from '../client/delay.ts';
import {
  type AdminChange,
  AdminError,
  type ChangedResponse,
  NO_OPTIONS,
} from '../protocol/admin.ts';
import type { Check } from '../protocol/admin-plan.ts';
import type { MemberReport, MembersReport, NodeHealth } from '../protocol/admin-report.ts';
import { CliError } from './cli-error.ts';
import { type NodeCommand, quoted } from './command-words.ts';
import { CLI_EXIT, type CliExit } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';
import { Progress } from './progress.ts';
import { jsonLine } from './render/json.ts';
import { hasStarted, missingWithout, nextToRestart } from './restart-order.ts';

const LOOK_INTERVAL_MS = 1_000;
/** An election, or a lost connection, while something is waited for. */
const FAILURES_MAX = 30;
/** From the end of the command to the process that answers: a log of some size is read at the start. */
const RESTART_MS_MAX = 10 * 60_000;
/** From the answer of the process to a group that is whole: it copies what it lacks. */
const GATE_MS_MAX = 60 * 60_000;

export interface RestartOptions {
  /** Processes that started later are done; null: begin now. */
  readonly sinceMs: number | null;
  /** null: somebody does it by hand. */
  readonly command: NodeCommand | null;
}

interface Restarted {
  readonly nodeId: NodeId;
  readonly awayMs: number;
}

export class RollingRestart {
  readonly #invocation: Invocation;
  readonly #command: NodeCommand | null;
  readonly #sinceMs: number;
  readonly #isContinued: boolean;
  readonly #progress: Progress;
  readonly #restarted: Restarted[] = [];
  #hasBegun = false;
  /** What is being waited for. */
  #doing = 'asking the group';

  constructor(invocation: Invocation, { sinceMs, command }: RestartOptions) {
    const { clock, stderr } = invocation.environment;
    this.#invocation = invocation;
    this.#command = command;
    this.#sinceMs = sinceMs ?? clock.wallMs();
    this.#isContinued = sinceMs !== null;
    this.#progress = new Progress(stderr, clock, () => `${this.#doing} ...`);
  }

  async run(): Promise<CliExit> {
    try {
      await this.#requirePossible();
      this.#hasBegun = true;
      await this.#all();
      this.#progress.stop();
      return this.#finished();
    } catch (error) {
      this.#progress.stop();
      if (this.#hasBegun) this.#sayHowToGoOn();
      throw error;
    }
  }

  async #all(): Promise<void> {
    for (;;) {
      const report = await this.#members();
      const times = await this.#startTimes(report);
      const startedAt = (nodeId: NodeId): number | null => times.get(nodeId) ?? null;
      const nodeId = nextToRestart(report, startedAt, this.#sinceMs);
      if (nodeId === null) return;
      const isBack = hasStarted(startedAt(nodeId), this.#sinceMs);
      if (!isBack) await this.#restart(memberOf(report, nodeId));
      await this.#untilWhole(nodeId);
      await this.#change({ kind: 'undrain', nodeId }, `undraining ${nodeId}`);
      this.#progress.say(`${nodeId}: undrained`);
    }
  }

  async #restart(member: MemberReport): Promise<void> {
    const { clock } = this.#invocation.environment;
    const { nodeId } = member;
    const before = await this.#health(member);
    const { sentence } = await this.#change({ kind: 'drain', nodeId }, `draining ${nodeId}`);
    this.#progress.say(`drained: ${sentence}`);
    // It took a while, and somebody else may have gone meanwhile.
    await this.#until(`the group to do without ${nodeId}`, GATE_MS_MAX, async () =>
      missingWithout(await this.#members(), nodeId),
    );
    const leftAtMs = clock.monotonicMs();
    if (this.#command === null) {
      this.#progress.say(`${nodeId}: restart its process now`);
      await this.#untilStarted(member, before, Number.POSITIVE_INFINITY);
    } else {
      await this.#runCommand(this.#command, member);
      await this.#untilStarted(member, before, RESTART_MS_MAX);
    }
    const awayMs = Math.round(clock.monotonicMs() - leftAtMs);
    this.#restarted.push({ nodeId, awayMs });
    this.#progress.say(`${nodeId}: started again`);
  }

  async #runCommand(command: NodeCommand, { nodeId, raftAddress }: MemberReport): Promise<void> {
    const { environment, signal } = this.#invocation;
    const host = raftAddress.slice(0, raftAddress.lastIndexOf(':'));
    const words = command.for({ node: nodeId, host });
    this.#doing = `${nodeId}: ${words.join(' ')}`;
    this.#progress.say(`${nodeId}: ${words.join(' ')}`);
    const trouble = await environment.runCommand(words, signal);
    signal.throwIfAborted();
    if (trouble === null) return;
    throw new CliError({
      exit: CLI_EXIT.failure,
      what: `rolling-restart: ${nodeId} is drained, and its command failed`,
      why: `${words.join(' ')}: ${trouble}`,
      todo: `see to it that the process of ${nodeId} runs, and go on`,
    });
  }

  async #untilStarted(
    member: MemberReport,
    before: NodeHealth | null,
    patienceMs: number,
  ): Promise<void> {
    const { nodeId } = member;
    await this.#until(`${nodeId} to be started again`, patienceMs, async () => {
      const health = await this.#health(member);
      if (health === null) return `${nodeId} is down, waiting for its process`;
      const isNew = before === null || health.bootCount !== before.bootCount;
      return isNew ? null : `${nodeId} still runs as before, waiting for its restart`;
    });
  }

  /** The same checks that a plan of a rolling restart needs: any voter could be away next. */
  async #untilWhole(nodeId: NodeId): Promise<void> {
    await this.#until(`the group to be whole with ${nodeId}`, GATE_MS_MAX, async () => {
      const failed = await this.#failedChecks();
      return failed[0] === undefined
        ? null
        : `${nodeId} is not caught up yet: ${failed[0].observed}`;
    });
  }

  /** @param look says in words what is missing; null: nothing */
  async #until(
    what: string,
    patienceMs: number,
    look: () => Promise<string | null>,
  ): Promise<void> {
    const { environment, signal } = this.#invocation;
    const untilMs = environment.clock.monotonicMs() + patienceMs;
    for (;;) {
      const missing = await this.#asking(look);
      if (missing === null) return;
      this.#doing = missing;
      if (environment.clock.monotonicMs() >= untilMs) {
        throw new CliError({
          exit: CLI_EXIT.pending,
          what: `rolling-restart: waited ${Math.round(patienceMs / 60_000)} min in vain for ${what}`,
          why: missing,
          todo: 'see what keeps it, and go on',
        });
      }
      await delay(environment.clock, LOOK_INTERVAL_MS, signal);
    }
  }

  async #change(change: AdminChange, doing: string): Promise<ChangedResponse> {
    const { environment, signal } = this.#invocation;
    const options = { ...NO_OPTIONS, actor: environment.actor };
    this.#doing = doing;
    for (;;) {
      const response = await this.#asking(() =>
        this.#invocation.admin().change(change, options, { signal }),
      );
      if (response.kind === 'refused') throw refusal(`${change.kind}`, response.checks);
      if (response.kind !== 'changed') {
        throw new AdminError('internal', `The group answered ${response.kind} to a change`);
      }
      if (response.state !== 'pending') return response;
      this.#doing = response.sentence;
      await delay(environment.clock, LOOK_INTERVAL_MS, signal);
    }
  }

  async #requirePossible(): Promise<void> {
    const { members } = await this.#members();
    const drained = members.find(({ isDrained }) => isDrained);
    // Half done: that one may be down, and comes first. Each restart has its own look at the others.
    if (drained !== undefined && this.#isContinued) return;
    const failed = await this.#failedChecks();
    if (failed.length > 0) throw refusal('rolling-restart', failed);
    if (drained === undefined) return;
    throw new CliError({
      exit: CLI_EXIT.refused,
      what: `rolling-restart: refused, ${drained.nodeId} is drained`,
      why: 'somebody has drained it for a reason of their own, or a rolling restart was interrupted',
      todo: `mq-raft undrain ${drained.nodeId}; or go on with the --since that was printed then`,
    });
  }

  async #failedChecks(): Promise<readonly Check[]> {
    const { environment, signal } = this.#invocation;
    const options = { ...NO_OPTIONS, actor: environment.actor, dryRun: true };
    const response = await this.#asking(() =>
      this.#invocation.admin().change({ kind: 'rollingRestart' }, options, { signal }),
    );
    if (response.kind !== 'planned' && response.kind !== 'refused') return [];
    return response.checks.filter(({ verdict }) => verdict === 'failed');
  }

  async #members(): Promise<MembersReport> {
    const { signal } = this.#invocation;
    const answer = await this.#asking(() =>
      this.#invocation.admin().question({ kind: 'members' }, { signal }),
    );
    if (answer.kind === 'members') return answer.report;
    throw new AdminError('internal', `The group answered ${answer.kind} where members was asked`);
  }

  /** By our own clock: nobody compares the clocks of two machines. */
  async #startTimes({ members }: MembersReport): Promise<ReadonlyMap<NodeId, number>> {
    const { clock } = this.#invocation.environment;
    const times = new Map<NodeId, number>();
    await Promise.all(
      members.map(async (member) => {
        const health = await this.#health(member);
        if (health !== null) times.set(member.nodeId, clock.wallMs() - health.uptimeMs);
      }),
    );
    return times;
  }

  async #health({ nodeId, raftAddress }: MemberReport): Promise<NodeHealth | null> {
    const node = { nodeId, raft: raftAddress, grpc: null, http: null };
    const health = await this.#invocation.admin().nodeHealth(node, this.#invocation.signal);
    return typeof health === 'string' ? null : health;
  }

  /** Asks again while nobody can say. */
  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return await ask();
      } catch (error) {
        const isForNow = error instanceof AdminError && ['timeout', 'busy'].includes(error.code);
        if (!isForNow || failures >= FAILURES_MAX) throw error;
      }
    }
  }

  #finished(): CliExit {
    const { output, paint, print } = this.#invocation;
    const names = this.#restarted.map(({ nodeId }) => nodeId);
    if (output === 'json') {
      print(jsonLine({ kind: 'rollingRestart', since: this.#since, restarted: this.#restarted }));
    } else {
      print(
        `${paint('done', 'good')}: ${names.join(', ') || 'no node'} restarted, one after another\n`,
      );
    }
    return CLI_EXIT.ok;
  }

  #sayHowToGoOn(): void {
    const command = this.#command === null ? '' : ` --command ${quoted(this.#command.text)}`;
    this.#invocation.note(
      `what is done stays done; it goes on with\n  mq-raft rolling-restart --since ${this.#since}${command}`,
    );
  }

  get #since(): string {
    return new Date(this.#sinceMs).toISOString();
  }
}

function memberOf({ members }: MembersReport, nodeId: NodeId): MemberReport {
  const member = members.find((each) => each.nodeId === nodeId);
  if (member !== undefined) return member;
  throw new AdminError('internal', `The group has a voter ${nodeId} and no member of that name`);
}

function refusal(what: string, checks: readonly Check[]): CliError {
  const failed = checks.filter(({ verdict }) => verdict === 'failed');
  return new CliError({
    exit: CLI_EXIT.refused,
    what: `${what}: refused`,
    why: failed.map(({ id, observed }) => `${id}: ${observed}`).join('; '),
    todo: failed.find(({ remedy }) => remedy !== '')?.remedy ?? null,
  });
}
