/**
 * `npm run bench:storage [-- --gib N --catch-up-gib M --repair-mib L]`: what a large log costs. Recovery to
 * ready, the rebuild of derived state, the catch-up of an empty replica, the repair of a lost segment, what
 * clients feel of these two, peak memory of each. What is 0 is left out. Prints a table and appends a line to bench/results/storage.jsonl.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { probe } from '../probes.ts';
import { measureCatchUp } from './catch-up.ts';
import { measureRecovery } from './recovery.ts';
import { measureRepair, type RepairReport } from './repair.ts';
import { storageTable } from './report.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const KIB = 1024;
const RESULTS = 'bench/results/storage.jsonl';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '1' },
    'catch-up-gib': { type: 'string', default: '1' },
    /** Sizes of the segment that is lost. */
    'repair-mib': { type: 'string', default: '64' },
    'repair-entry-kib': { type: 'string', default: '1,64' },
    /** A repair that takes longer is left alone; what came until then counts. */
    'repair-seconds-max': { type: 'string', default: '120' },
    'segment-mib': { type: 'string', default: '256' },
    'calm-seconds': { type: 'string', default: '10' },
    'dry-run': { type: 'boolean', default: false },
  },
});
const numbers = (name: keyof typeof values & string): readonly number[] => {
  const parts = String(values[name]).split(',').map(Number);
  if (!parts.every((value) => value >= 0)) throw new Error(`--${name} ${values[name]}: no number`);
  return parts;
};
const number = (name: keyof typeof values & string): number => numbers(name)[0]!;
const segmentSizeBytes = number('segment-mib') * MIB;
const calmSeconds = number('calm-seconds');
const gib = number('gib');
const catchUpGib = number('catch-up-gib');

const loadAtStart = loadavg();
const recovery = gib === 0 ? null : await measureRecovery(gib * GIB, segmentSizeBytes);
const catchUp =
  catchUpGib === 0 ? null : await measureCatchUp(catchUpGib * GIB, segmentSizeBytes, calmSeconds);
const repairs: RepairReport[] = [];
for (const lostMib of numbers('repair-mib').filter((value) => value > 0)) {
  for (const entryKib of numbers('repair-entry-kib')) {
    const lost = { lostSizeBytes: lostMib * MIB, entrySizeBytes: entryKib * KIB };
    repairs.push(await measureRepair(lost, calmSeconds, number('repair-seconds-max')));
  }
}

const run = {
  atIso: new Date().toISOString(),
  commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGib: Math.round(totalmem() / GIB),
  loadAverage: { atStart: loadAtStart, atEnd: loadavg() },
  segmentSizeBytes,
  probes: await probe(),
  recovery,
  catchUp,
  repairs,
};
console.log(storageTable(run));
if (!values['dry-run']) {
  mkdirSync(dirname(RESULTS), { recursive: true });
  appendFileSync(RESULTS, `${JSON.stringify(run)}\n`);
  console.error(`Recorded in ${RESULTS}`);
}
