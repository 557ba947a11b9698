/** `mq-raft cluster`: a group as a whole. */
import { type Command, Option } from 'commander';
import { addStaleOption, askGroup, type StaleFlag } from '../admin-question.ts';
import { addChangeOptions, brokerGroupOption, type ChangeFlags, runChange } from '../change.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import { type Invocation, parseCount, type Run } from '../invocation.ts';
import { checkReportJson, checkReportText } from '../render/doctor.ts';
import { eventsJson, eventsText, featuresJson, featuresText } from '../render/trail.ts';
import { addNoun, type Verb } from '../verb.ts';
import { initVerb } from './init.ts';
import { rollingRestart } from './rolling-restart.ts';
import { statusVerb } from './status.ts';
import { addVerifyCommand } from './verify.ts';

const EVENTS_COUNT_DEFAULT = 50;
const EVENTS_COUNT_MAX = 1000;
const LEVEL_MAX = 65_535;

const check: Verb = {
  name: 'check',
  short: 'check',
  description: 'the doctor: quorum margin, copies, zones, disks, clocks, versions, repairs',
  help: `Exit code 8 when a check has failed.

Examples:
  mq-raft cluster check
  mq-raft check -o json | jq '.checks[] | select(.verdict != "ok")'`,
  build: (command, run) =>
    void command
      .addOption(brokerGroupOption())
      .action((_options, self: Command) => run(self, showCheck)),
};

interface EventsOptions extends StaleFlag {
  readonly since: number;
  readonly count: number;
}

const events: Verb = {
  name: 'events',
  short: 'events',
  description: 'the audit trail: who changed what, by which plan, under which config',
  help: `Examples:
  mq-raft events
  mq-raft events --since 120 -o json`,
  build: (command, run) =>
    void addStaleOption(command)
      .addOption(
        new Option('--since <n>', 'only those after number n')
          .argParser(parseCount('--since', 0, Number.MAX_SAFE_INTEGER))
          .default(0),
      )
      .addOption(
        new Option('--count <n>', 'at most so many')
          .argParser(parseCount('--count', 1, EVENTS_COUNT_MAX))
          .default(EVENTS_COUNT_DEFAULT),
      )
      .action((options: EventsOptions, self: Command) =>
        run(self, (invocation) => showEvents(invocation, options)),
      ),
};

interface FeaturesOptions extends StaleFlag, ChangeFlags {
  readonly finalize?: number;
}

const features: Verb = {
  name: 'features',
  short: 'features',
  description: 'the feature level in force, and what each node supports; raise it',
  help: `A level is raised when every member runs a program that supports it, and never
goes back.

Examples:
  mq-raft features
  mq-raft features --finalize 2 --dry-run`,
  build: (command, run) =>
    void addChangeOptions(command)
      .option('--stale', 'also without a leader: what one node knows by itself')
      .option('--finalize <level>', 'raise it', parseCount('--finalize', 1, LEVEL_MAX))
      .action((options: FeaturesOptions, self: Command) =>
        run(
          self,
          (invocation) => showFeatures(invocation, options),
          options.finalize === undefined ? 'none' : 'change',
        ),
      ),
};

const unlock: Verb = {
  name: 'unlock',
  short: 'unlock',
  description: 'give up the operation that is under way; what it has done stays',
  help: `The operation of somebody else is given up with --steal.

Examples:
  mq-raft member list
  mq-raft unlock`,
  build: (command, run) =>
    void addChangeOptions(command).action((options: ChangeFlags, self: Command) =>
      run(
        self,
        (invocation) => {
          const confirm = options.steal === true ? 'steal' : null;
          return runChange(invocation, { kind: 'unlock' }, options, { confirm });
        },
        'change',
      ),
    ),
};

export function addClusterCommand(program: Command, run: Run): readonly Command[] {
  const description = 'the group as a whole: init, check, events, features';
  const verbs = [statusVerb, initVerb, check, events, features, rollingRestart, unlock];
  const added = addNoun(program, { name: 'cluster', description, verbs }, run);
  const cluster = added.find((command) => command.name() === 'cluster');
  if (cluster !== undefined) addVerifyCommand(cluster, run);
  return added;
}

async function showCheck(invocation: Invocation): Promise<CliExit> {
  const { environment, output, paint, print } = invocation;
  const { report } = await askGroup(invocation, { kind: 'check' }, 'check');
  const { columns } = environment.stdout;
  print(output === 'json' ? checkReportJson(report) : checkReportText(report, columns, paint));
  const isHealthy = report.checks.every(({ verdict }) => verdict !== 'failed');
  return isHealthy ? CLI_EXIT.ok : CLI_EXIT.unhealthy;
}

async function showEvents(invocation: Invocation, options: EventsOptions): Promise<CliExit> {
  const { environment, output, paint, print, note } = invocation;
  const { since, count, stale } = options;
  const question = { kind: 'events' as const, afterSequence: since, countMax: count };
  const { report } = await askGroup(invocation, question, 'events', stale === true);
  if (output === 'json') print(eventsJson(report));
  else if (report.events.length === 0) note('no event yet');
  else print(eventsText(report.events, environment.stdout.columns, paint));
  const last = report.events.at(-1)?.sequence ?? since;
  if (last < report.lastSequence) note(`there are more: mq-raft events --since ${last}`);
  return CLI_EXIT.ok;
}

async function showFeatures(invocation: Invocation, options: FeaturesOptions): Promise<CliExit> {
  const { output, paint, print } = invocation;
  const { finalize, stale } = options;
  if (finalize !== undefined) {
    const change = { kind: 'finalizeFeatures' as const, level: finalize };
    const typed = `features --finalize ${finalize}`;
    return runChange(invocation, change, options, { confirm: `level ${finalize}`, typed });
  }
  const { report } = await askGroup(invocation, { kind: 'features' }, 'features', stale === true);
  print(output === 'json' ? featuresJson(report) : featuresText(report, paint));
  return CLI_EXIT.ok;
}
