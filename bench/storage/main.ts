/**
 * `npm run bench:storage [-- --gib N --catch-up-gib M]`: what a large log costs. Recovery to ready, the
 * rebuild of derived state, the catch-up of an empty replica and what clients feel of it, peak memory of
 * each. Prints a table and appends a line to bench/results/storage.jsonl.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { probe } from '../probes.ts';
import { measureCatchUp } from './catch-up.ts';
import { measureRecovery } from './recovery.ts';
import { storageTable } from './report.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const RESULTS = 'bench/results/storage.jsonl';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '1' },
    /** 0: no catch-up. */
    'catch-up-gib': { type: 'string', default: '1' },
    'segment-mib': { type: 'string', default: '256' },
    'calm-seconds': { type: 'string', default: '10' },
    'dry-run': { type: 'boolean', default: false },
  },
});
const positive = (name: 'gib' | 'segment-mib' | 'calm-seconds'): number => {
  const value = Number(values[name]);
  if (!(value > 0)) throw new Error(`--${name} ${values[name]}: must be a number above 0`);
  return value;
};
const segmentSizeBytes = positive('segment-mib') * MIB;
const catchUpGib = Number(values['catch-up-gib']);
if (!(catchUpGib >= 0)) throw new Error(`--catch-up-gib ${values['catch-up-gib']}: not a number`);

const loadAtStart = loadavg();
const recovery = await measureRecovery(positive('gib') * GIB, segmentSizeBytes);
const catchUp =
  catchUpGib === 0
    ? null
    : await measureCatchUp(catchUpGib * GIB, segmentSizeBytes, positive('calm-seconds'));

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
};
console.log(storageTable(run));
if (!values['dry-run']) {
  mkdirSync(dirname(RESULTS), { recursive: true });
  appendFileSync(RESULTS, `${JSON.stringify(run)}\n`);
  console.error(`Recorded in ${RESULTS}`);
}
