/**
 * `npm run bench [-- --seconds N]`: the machine's limit and the produce path in one run, so that the
 * ratio means something. Appends a line to bench/results/produce.jsonl and prints a table.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import type { LoadResult } from './load.ts';
import { measureProduce, type ProducePlan } from './produce.ts';
import { measureYardstick } from './yardstick.ts';

const BODY_SIZE_BYTES = 1024;
const WARM_UP_SECONDS = 2;
const RESULTS = 'bench/results/produce.jsonl';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '8' } } });
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error(`--seconds ${values.seconds}: must be a number above 0`);

const base = { seconds, warmUpSeconds: WARM_UP_SECONDS };
const yardstickPlans = [1, 8, 64, 256].map((inFlight) => ({
  ...base,
  inFlight,
  messagesPerRequest: 1,
}));
const producePlans: readonly ProducePlan[] = [
  { ...base, path: 'leader', inFlight: 1, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 8, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 64, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 256, messagesPerRequest: 1 },
  { ...base, path: 'follower', inFlight: 64, messagesPerRequest: 1 },
  { ...base, path: 'leader', inFlight: 8, messagesPerRequest: 32 },
  { ...base, path: 'leader', inFlight: 32, messagesPerRequest: 32 },
];

console.error(`Yardstick: ${yardstickPlans.length} runs of ${seconds} s ...`);
const yardstick = await measureYardstick(yardstickPlans, BODY_SIZE_BYTES);
console.error(`Produce path: ${producePlans.length} runs of ${seconds} s ...`);
const produce = await measureProduce(producePlans, BODY_SIZE_BYTES);

const limit = yardstick.at(-1)!.messagesPerSecond;
const row = (name: string, result: LoadResult, extra: string): string =>
  [
    name.padEnd(34),
    Math.round(result.messagesPerSecond).toString().padStart(9),
    (result.messagesPerSecond / limit).toFixed(3).padStart(7),
    ...[result.p50Ms, result.p99Ms, result.p999Ms, result.maxMs].map((ms) =>
      ms.toFixed(2).padStart(8),
    ),
    extra,
  ].join(' ');

console.log(
  `${'1 KiB messages'.padEnd(34)}     msg/s   ratio   p50 ms   p99 ms p99.9 ms   max ms  fsync/msg  broker+client CPU us/msg`,
);
for (const [i, plan] of yardstickPlans.entries()) {
  console.log(row(`yardstick, ${plan.inFlight} in flight`, yardstick[i]!, ''));
}
for (const [i, plan] of producePlans.entries()) {
  const result = produce.results[i]!;
  const name = `${plan.path}, ${plan.inFlight} x ${plan.messagesPerRequest} in flight`;
  const extra = `${result.fsyncsPerMessageOnLeader.toFixed(4).padStart(10)}  ${result.brokerCpuMicrosPerMessage.toFixed(0)}+${result.clientCpuMicrosPerMessage.toFixed(0)}`;
  console.log(row(name, result, extra));
}
console.log(
  `start to ready ${Math.round(produce.startToReadyMs)} ms; resident memory of the three brokers: idle ${Math.round(produce.idleResidentMib)} MiB, loaded ${Math.round(produce.loadedResidentMib)} MiB`,
);

const commit = execFileSync('git', ['describe', '--always', '--dirty'], {
  encoding: 'utf8',
}).trim();
const record = {
  atIso: new Date().toISOString(),
  commit,
  node: process.version,
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memoryGib: Math.round(totalmem() / 2 ** 30),
  bodySizeBytes: BODY_SIZE_BYTES,
  yardstick: yardstickPlans.map((plan, i) => ({ ...plan, ...yardstick[i] })),
  produce: {
    ...produce,
    results: producePlans.map((plan, i) => ({ ...plan, ...produce.results[i] })),
  },
};
appendFileSync(RESULTS, `${JSON.stringify(record)}\n`);
console.error(`Recorded in ${RESULTS}`);
