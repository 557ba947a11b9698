/** Command lines of the suite's programs. */
import { Command, InvalidArgumentError } from 'commander';
import { json } from './history/evidence.ts';
import { RUN_SECONDS_DEFAULT } from './limits.ts';
import { ROWS, rowNamed } from './nemesis/rows.ts';
import { type RunOptions, type RunPlan, WORKLOADS, type WorkloadName } from './plan.ts';

const SEED_MAX = 2 ** 31;

type Script = Pick<RunPlan, 'schedule'>;

export interface RunFlags {
  readonly nemesis: readonly string[];
  readonly workload: readonly WorkloadName[];
  readonly nodes: 1 | 3 | 5;
  readonly seconds: number;
  readonly seed: number;
  readonly network: RunOptions['network'];
  readonly script?: string;
  readonly canary?: string;
  readonly upgradeFrom?: string;
  readonly out: string;
}

export function parseRun(argv: readonly string[]): { options: RunOptions; folder: string } {
  const flags = new Command('jepsen')
    .description('Runs real brokers under faults, and checks what their clients saw')
    .option('--nemesis <rows>', `fault rows, or all: ${names()}`, parseRows, ['kill', 'partition'])
    .option('--workload <list>', WORKLOADS.join(', '), parseWorkloads, ['queue'])
    .option('--nodes <n>', '1, 3 or 5', parseNodes, 3)
    .option(
      '--seconds <n>',
      'of faults; healing and reading to the end come on top',
      Number,
      RUN_SECONDS_DEFAULT,
    )
    .option('--seed <n>', 'of the schedule of faults', Number, Date.now() % SEED_MAX)
    .option('--network <kind>', 'auto, namespaces or proxies', 'auto')
    .option(
      '--script <file>',
      'steps instead of a schedule: the plan.json of a run, or one cut down',
    )
    .option('--canary <id>', 'plant a bug, to see that it is found')
    .option('--upgrade-from <checkout>', 'an earlier commit, built: the nodes begin with it')
    .option('--out <folder>', 'where the evidence goes', 'jepsen-runs/last')
    .parse([...argv], { from: 'user' })
    .opts<RunFlags>();
  const { nemesis: rows, workload: workloads, nodes: nodeCount, out: folder, ...rest } = flags;
  const { seconds, seed, network, canary = null, upgradeFrom = null } = rest;
  const script = rest.script === undefined ? {} : { script: json<Script>(rest.script).schedule };
  const common = { workloads, nodeCount, seconds, seed, network };
  // A script takes the place of the rows.
  const drawn = rest.script === undefined ? rows : [];
  const options = { ...common, rows: drawn, canary, upgradeFrom, ...script };
  return { options, folder };
}

function names(): string {
  return ROWS.map(({ name, id }) => `${name} (${id})`).join(', ');
}

function parseRows(text: string): readonly string[] {
  if (text === 'all') return ROWS.map(({ name }) => name);
  if (text === 'none') return [];
  return text.split(',').map((name) => rowNamed(name).name);
}

function parseWorkloads(text: string): readonly WorkloadName[] {
  if (text === 'all') return WORKLOADS;
  return text.split(',').map((name) => {
    const found = WORKLOADS.find((each) => each === name);
    if (found === undefined) throw new InvalidArgumentError(`there are ${WORKLOADS.join(', ')}`);
    return found;
  });
}

function parseNodes(text: string): 1 | 3 | 5 {
  const count = Number(text);
  if (count === 1 || count === 3 || count === 5) return count;
  throw new InvalidArgumentError('1, 3 or 5');
}
