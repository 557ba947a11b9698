/**
 * Every change of the group goes the same way: its plan first, as a dry run; then, where it destroys, the
 * user's word; then the change itself, bound to the very plan that was shown; then, as long as it takes, the
 * same change again until nothing is left to do.
 *
 * Whoever leaves in between (Ctrl-C, a lost connection) leaves a state that the same command goes on from.
 */
import { type Command, Option } from 'commander';
import { LogIndex } from '../base/units.ts';
import { delay } from '../client/delay.ts';
import type {
  AdminChange,
  AdminResponse,
  ChangedResponse,
  ChangeOptions,
  JoinTicket,
} from '../protocol/admin.ts';
import { AdminError } from '../protocol/admin.ts';
import {
  ALLOWANCES,
  type Allowance,
  type Check,
  type Plan,
  type PlanStep,
} from '../protocol/admin-plan.ts';
import { CliError, usageError } from './cli-error.ts';
import { CLI_EXIT, type CliExit } from './exit-codes.ts';
import { brokenFor, type Invocation, parseCount, parseDurationMs } from './invocation.ts';
import { Progress } from './progress.ts';
import { catchupText } from './render/catchup.ts';
import {
  changedJsonLine,
  checksText,
  type PlanOutcome,
  planJsonLine,
  planText,
  ticketText,
} from './render/plan.ts';

const POLL_INTERVAL_MS = 1_000;
/** What is asked again and again may fail in between: an election, a lost connection. */
const POLL_FAILURES_MAX = 30;
const WAIT_DEFAULT_MS = 5 * 60_000;
/** A copy of a whole log takes its time. */
export const WAIT_COPY_MS = 24 * 3_600_000;

export interface ChangeFlags {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly ifConfig?: number;
  readonly ifPlan?: string;
  readonly steal?: true;
  /** true: as long as it usually takes; false: not at all. */
  readonly wait?: number | boolean;
  readonly allow?: readonly Allowance[];
}

/** What a command knows of its change beside the wish itself. */
export interface ChangeKind {
  /** What is typed to confirm; null: nothing is destroyed. */
  readonly confirm: string | null;
  readonly waitMs?: number;
  /** Flags that were given as options of their own. */
  readonly allow?: readonly Allowance[];
  /** There is nothing to run. */
  readonly isPlanOnly?: true;
  /** The command as it is typed, where the plan does not say all of it. */
  readonly typed?: string;
  /** What the user may want next. */
  readonly next?: string;
}

export function addChangeOptions(command: Command): Command {
  return command
    .addOption(brokerGroupOption())
    .option('--dry-run', 'print the plan and all checks, and change nothing')
    .option('--yes', 'do not ask')
    .option('--if-config <n>', 'only if config entry #n is in force', parseConfigIndex)
    .option('--if-plan <hash>', 'only if the plan is still the one with this hash')
    .option(
      '--wait [duration]',
      'until it is done (that is the default; 5m, or as given)',
      parseWait,
    )
    .option('--no-wait', 'return when it has begun')
    .addOption(
      new Option('--allow <risk>', 'take a risk that a check names')
        .choices(ALLOWANCES)
        .argParser(collectedRisk),
    )
    .option('--steal', 'take the operator lock from whoever holds it');
}

export function brokerGroupOption(): Option {
  return new Option('--group <id>', 'broker group, where the cluster has several');
}

/** Several may be given; commander's own check of choices goes with its own parser. */
function collectedRisk(text: string, before: readonly Allowance[] = []): readonly Allowance[] {
  const risk = ALLOWANCES.find((each) => each === text);
  if (risk !== undefined) return [...before, risk];
  throw usageError(`--allow '${text}' is no risk`, `one of ${ALLOWANCES.join(', ')}`);
}

const parseConfigIndex = parseCount('--if-config', 0, Number.MAX_SAFE_INTEGER);

function parseWait(text: string): number {
  return parseDurationMs(text);
}

export async function runChange(
  invocation: Invocation,
  change: AdminChange,
  flags: ChangeFlags,
  kind: ChangeKind,
): Promise<CliExit> {
  const options = optionsOf(invocation, flags, kind);
  const planned = await plannedFirst(invocation, change, options);
  if (planned.kind === 'changed') return finished(invocation, planned, kind);
  const isRefused = planned.checks.some(({ verdict }) => verdict === 'failed');
  if (isRefused) return refused(invocation, planned);
  if (flags.dryRun === true) return shown(invocation, planned, { ...kind, allow: options.allow });
  await confirm(invocation, planned, flags, kind);
  // From here on: this plan or none.
  const bound = { ...options, dryRun: false, ifPlan: planned.plan.hash };
  const response = await ask(invocation, change, bound);
  if (response.kind === 'refused') return refused(invocation, response);
  const started = changedOnly(response);
  const waitMs = waitOf(flags, kind);
  if (started.state !== 'pending' || waitMs === null) return finished(invocation, started, kind);
  return new Waiting(invocation, change, options, kind).until(started, waitMs);
}

function optionsOf(
  { environment }: Invocation,
  flags: ChangeFlags,
  kind: ChangeKind,
): ChangeOptions {
  const { ifConfig, ifPlan = null, steal } = flags;
  const allow = allowancesOf(flags, kind);
  return {
    actor: environment.actor,
    dryRun: true,
    ifConfig: ifConfig === undefined ? null : LogIndex(ifConfig),
    ifPlan,
    steal: steal === true,
    allow,
  };
}

function allowancesOf(flags: ChangeFlags, kind: ChangeKind): readonly Allowance[] {
  return [...new Set([...(kind.allow ?? []), ...(flags.allow ?? [])])];
}

function waitOf({ wait }: ChangeFlags, { waitMs }: ChangeKind): number | null {
  if (wait === false) return null;
  return typeof wait === 'number' ? wait : (waitMs ?? WAIT_DEFAULT_MS);
}

/** As long as nothing was asked for but a plan, nothing can have changed. */
async function plannedFirst(
  invocation: Invocation,
  change: AdminChange,
  options: ChangeOptions,
): Promise<PlanOutcome | ChangedResponse> {
  try {
    const response = await ask(invocation, change, options);
    if (response.kind === 'planned' || response.kind === 'refused') return response;
    return changedOnly(response);
  } catch (error) {
    if (!(error instanceof AdminError) || error.code !== 'timeout') throw error;
    throw new CliError(
      {
        exit: CLI_EXIT.unavailable,
        what: `${change.kind}: no leader answers; nothing was changed`,
        why: error.message,
        todo: '`mq-raft status` shows who is there; a group without its majority cannot be changed',
      },
      { cause: error },
    );
  }
}

async function ask(
  invocation: Invocation,
  change: AdminChange,
  options: ChangeOptions,
): Promise<AdminResponse> {
  const { signal, environment } = invocation;
  const asking = new Progress(environment.stderr, environment.clock, () => 'asking the group ...');
  return invocation
    .admin()
    .change(change, options, { signal })
    .finally(() => asking.stop());
}

function changedOnly(response: AdminResponse): ChangedResponse {
  if (response.kind === 'changed') return response;
  throw new AdminError('internal', `The group answered ${response.kind} where a change was asked`);
}

/** The plan is what a dry run is for: data. */
function shown(invocation: Invocation, planned: PlanOutcome, kind: ChangeKind): CliExit {
  const { environment, output, paint, print } = invocation;
  const { columns } = environment.stdout;
  const { plan, checks } = planned;
  // A plan that is only followed has nobody else who would refuse it.
  const isDeadly = kind.isPlanOnly === true && plan.steps.some(cannotDecide);
  const exit = isDeadly ? CLI_EXIT.refused : CLI_EXIT.ok;
  if (output === 'json') {
    print(planJsonLine(planned));
    return exit;
  }
  print(planText(plan, columns, paint) + checksText(checks, columns, paint));
  const typed = [kind.typed ?? plan.action, ...(kind.allow ?? []).map(flagOfAllowance)].join(' ');
  const yes = kind.confirm === null ? '' : ' --yes';
  const command = `mq-raft ${typed} --if-config ${plan.configIndex}${yes}`;
  print(`Nothing was changed.${kind.isPlanOnly === true ? '' : `  Run:\n  ${command}`}\n`);
  if (isDeadly) invocation.note('Do not follow it now: a step would leave the group undecided.');
  return exit;
}

function cannotDecide({ quorums }: PlanStep): boolean {
  return quorums.some(({ tolerates }) => tolerates < 0);
}

const ALLOWANCE_FLAGS: Readonly<Record<Allowance, string>> = {
  evenVoters: '--allow-even',
  belowThree: '--force-below-3',
  lessTolerance: '--allow-less-tolerance',
  planned: '--planned',
  slowDisk: '--allow-slow-disk',
};

function flagOfAllowance(allowance: Allowance): string {
  return ALLOWANCE_FLAGS[allowance];
}

const CONFLICTS: readonly Check['id'][] = ['configUnmoved', 'planUnmoved'];

function refused(invocation: Invocation, outcome: PlanOutcome): CliExit {
  const { environment, output, print, paint } = invocation;
  const { plan, checks } = outcome;
  const failed = checks.filter(({ verdict }) => verdict === 'failed');
  if (output === 'json') print(planJsonLine({ ...outcome, kind: 'refused' }));
  else {
    const { stderr } = environment;
    const plain = stderr.isTty ? paint : (text: string): string => text;
    const text = planText(plan, stderr.columns, plain) + checksText(checks, stderr.columns, plain);
    stderr.write(text);
  }
  const isConflict = failed.every(({ id }) => CONFLICTS.includes(id));
  throw new CliError({
    exit: isConflict ? CLI_EXIT.conflict : CLI_EXIT.refused,
    what: `${plan.action}: refused, nothing was changed`,
    // The numbers stand above; whoever reads JSON has only this.
    why: failed
      .map(({ id, observed }) => (output === 'json' ? `${id}: ${observed}` : id))
      .join(output === 'json' ? '; ' : ', '),
    todo: failed.find(({ remedy }) => remedy !== '')?.remedy ?? null,
  });
}

async function confirm(
  invocation: Invocation,
  { plan, checks }: PlanOutcome,
  flags: ChangeFlags,
  { confirm: word }: ChangeKind,
): Promise<void> {
  const isProtected = invocation.context?.isProtected === true;
  if (word === null || isDone(plan) || (flags.yes === true && !isProtected)) return;
  const { environment } = invocation;
  const { stderr } = environment;
  const plain = (text: string): string => text;
  stderr.write(planText(plan, stderr.columns, plain) + checksText(checks, stderr.columns, plain));
  const answer = await environment.ask(`${invocation.where}: type ${word} to go on: `);
  if (answer === word) return;
  const why = isProtected
    ? `context ${invocation.context?.name} is protected, and --yes is not enough`
    : 'it destroys something, and nobody is there to be asked';
  if (answer === null) throw usageError(`${plan.action} needs confirmation: ${why}`, 'give --yes');
  throw new CliError({
    exit: CLI_EXIT.declined,
    what: `${plan.action}: declined, nothing was changed`,
    why: `'${answer}' is not ${word}`,
    todo: null,
  });
}

function isDone({ steps }: Plan): boolean {
  return steps.every(({ status }) => status === 'done');
}

function finished(
  invocation: Invocation,
  response: ChangedResponse,
  { next }: ChangeKind,
): CliExit {
  const { environment, output, paint, print, note } = invocation;
  const { state, sentence, configIndex, checks, ticket } = response;
  // While it is under way they are what is waited for.
  const warnings = state === 'pending' ? [] : checks.filter(({ verdict }) => verdict === 'warning');
  for (const { id, observed } of warnings) note(`mind ${id}: ${observed}`);
  if (output === 'json') print(changedJsonLine(response));
  else {
    const word = { done: 'done', alreadySo: 'already so', pending: 'under way' }[state];
    const text = brokenFor(environment.stdout, `${word}: ${sentence} (config #${configIndex})`);
    print(`${paint(word, state === 'pending' ? 'accent' : 'good')}${text.slice(word.length)}\n`);
    if (ticket !== null)
      print(
        `\n${ticketText(ticket, environment.clock.wallMs(), environment.stdout.columns, paint)}`,
      );
  }
  if (state === 'pending')
    note('the same command goes on where it is; `mq-raft unlock` gives it up');
  else if (state === 'done' && next !== undefined && output === 'table') note(next);
  return CLI_EXIT.ok;
}

/** Of an operation that has begun: elections end, learners catch up, and a disk has a bad minute. */
const PASSING: readonly Check['id'][] = [
  'ownTermCommitted',
  'noTransferInProgress',
  'targetCaughtUp',
  'targetLive',
  'targetDiskSpeed',
  'soleCopy',
];

/** Asks the same again until it is done. */
class Waiting {
  readonly #invocation: Invocation;
  readonly #change: AdminChange;
  readonly #options: ChangeOptions;
  readonly #kind: ChangeKind;
  #shownTicket: JoinTicket | null = null;
  #failures = 0;
  #waitedFor = '';

  constructor(
    invocation: Invocation,
    change: AdminChange,
    options: ChangeOptions,
    kind: ChangeKind,
  ) {
    this.#invocation = invocation;
    this.#change = change;
    // The membership moves as the change goes on: by its own hand.
    this.#options = { ...options, dryRun: false, ifConfig: null, ifPlan: null, steal: false };
    this.#kind = kind;
  }

  async until(started: ChangedResponse, waitMs: number): Promise<CliExit> {
    const { environment, signal } = this.#invocation;
    const { clock, stderr } = environment;
    const deadlineAtMs = clock.monotonicMs() + waitMs;
    let latest = started;
    let phase = '';
    const progress = new Progress(stderr, clock, () => progressText(latest));
    try {
      while (latest.state === 'pending') {
        if (latest.phase !== phase) this.#announce(latest, progress);
        phase = latest.phase;
        if (clock.monotonicMs() >= deadlineAtMs) return this.#late(latest);
        await delay(clock, POLL_INTERVAL_MS, signal);
        latest = (await this.#again(progress)) ?? latest;
      }
    } finally {
      progress.stop();
    }
    // It was not so when it was asked for the first time.
    return finished(this.#invocation, { ...latest, state: 'done' }, this.#kind);
  }

  /** @returns null when nobody could say. @throws CliError when it cannot go on */
  async #again(progress: Progress): Promise<ChangedResponse | null> {
    const { signal } = this.#invocation;
    try {
      const response = await this.#invocation
        .admin()
        .change(this.#change, this.#options, { signal });
      this.#failures = 0;
      if (response.kind !== 'refused') return changedOnly(response);
      const failed = response.checks.filter(({ verdict }) => verdict === 'failed');
      if (failed.every(({ id }) => PASSING.includes(id))) {
        this.#wait(failed, progress);
        return null;
      }
      progress.stop();
      refused(this.#invocation, response);
      return null;
    } catch (error) {
      const isForNow = error instanceof AdminError && ['timeout', 'busy'].includes(error.code);
      if (!isForNow || this.#failures >= POLL_FAILURES_MAX) throw error;
      this.#failures++;
      return null;
    }
  }

  /** What passes by itself was begun, and is waited for: it is said once. */
  #wait(failed: readonly Check[], progress: Progress): void {
    const waitedFor = failed.map(({ id }) => id).join();
    if (waitedFor === this.#waitedFor) return;
    this.#waitedFor = waitedFor;
    progress.say(`waits: ${failed.map(({ observed }) => observed).join('; ')}`);
  }

  #late(latest: ChangedResponse): CliExit {
    finished(this.#invocation, latest, this.#kind);
    return CLI_EXIT.pending;
  }

  #announce(response: ChangedResponse, progress: Progress): void {
    const { environment, output, paint, print } = this.#invocation;
    const { sentence, ticket } = response;
    if (output === 'json') print(changedJsonLine(response));
    progress.say(sentence);
    if (ticket === null || ticket.token === this.#shownTicket?.token || output === 'json') return;
    this.#shownTicket = ticket;
    progress.say(
      `\n${ticketText(ticket, environment.clock.wallMs(), environment.stderr.columns, paint)}`,
    );
  }
}

function progressText({ sentence, progress }: ChangedResponse): string {
  return progress === null ? `${sentence} ...` : catchupText(progress);
}
