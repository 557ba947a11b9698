/**
 * `npm run bench [-- --seconds N]`: the machine's limit and the produce path in one run, so that the
 * ratio means something. Prints tables and appends a line to bench/results/produce.jsonl.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { probe } from './probes.ts';
import { measureProduce, type ProducePlan } from './produce.ts';
import { type BenchRun, tablesOf } from './report.ts';
import { measureYardstick } from './yardstick.ts';

const BODY_SIZE_BYTES = 1024;
const WARM_UP_SECONDS = 2;
const RESULTS = 'bench/results/produce.jsonl';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    /** Only the plan with this many requests in flight and messages per request, as 16x32. */
    only: { type: 'string' },
    /** CPU profiles of the brokers go into this folder; use it with --only. */
    profile: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`--seconds ${values.seconds}: must be a number above 0`);

const base = { seconds, warmUpSeconds: WARM_UP_SECONDS };
const yardstickPlans = [1, 8, 64, 256].map((inFlight) => ({
  ...base,
  inFlight,
  messagesPerRequest: 1,
}));
const allProducePlans: readonly ProducePlan[] = [
  { ...base, path: 'leader', inFlight: 1, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 8, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 64, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 256, messagesPerRequest: 1 },
  { ...base, path: 'follower', inFlight: 64, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 8, messagesPerRequest: 32 },
  { ...base, path: 'leader', inFlight: 16, messagesPerRequest: 32 },
  { ...base, path: 'leader', inFlight: 32, messagesPerRequest: 32 },
];

const producePlans = allProducePlans.filter(
  (plan) =>
    values.only === undefined ||
    (plan.path === 'leader' && values.only === `${plan.inFlight}x${plan.messagesPerRequest}`),
);
if (producePlans.length === 0) throw new Error(`--only ${values.only}: there is no such plan`);
const isPartial = values.only !== undefined || values.profile !== undefined;

const loadAtStart = loadavg();
console.error(`Yardstick: ${yardstickPlans.length} runs of ${seconds} s ...`);
const yardstick = await measureYardstick(yardstickPlans, BODY_SIZE_BYTES);
const probes = await probe();
console.error(`Produce path: ${producePlans.length} runs of ${seconds} s ...`);
if (values.profile !== undefined) {
  mkdirSync(values.profile, { recursive: true });
  process.env['PROFILE_DIR'] = resolve(values.profile);
  process.env['NODE_OPTIONS'] = `--import=${new URL('./cpu-profiler.js', import.meta.url)}`;
}
const produce = await measureProduce(producePlans, BODY_SIZE_BYTES, values.profile !== undefined);
console.error('Yardstick once more, because a machine has its moods ...');
const [yardstickAfter] = await measureYardstick([yardstickPlans.at(-1)!], BODY_SIZE_BYTES);

const run: BenchRun = {
  atIso: new Date().toISOString(),
  commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGib: Math.round(totalmem() / 2 ** 30),
  /** The run itself keeps the load of a small machine near its number of cores. */
  loadAverage: { atStart: loadAtStart, atEnd: loadavg() },
  bodySizeBytes: BODY_SIZE_BYTES,
  probes,
  yardstick: yardstickPlans.map((plan, i) => ({ ...plan, ...yardstick[i]! })),
  yardstickAfter: yardstickAfter!,
  produce: {
    ...produce,
    results: producePlans.map((plan, i) => ({ ...plan, ...produce.results[i]! })),
  },
};
console.log(tablesOf(run));
if (!values['dry-run'] && !isPartial) {
  mkdirSync(dirname(RESULTS), { recursive: true });
  appendFileSync(RESULTS, `${JSON.stringify(run)}\n`);
  console.error(`Recorded in ${RESULTS}`);
}
