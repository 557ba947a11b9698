/**
 *     npm run jepsen:canaries [-- ID...] [--planted] [--again]
 *
 * Each planted bug must be found, by an anomaly that fits; and the same faults without it must find nothing
 * (`--planted` leaves that half out). It can be stopped at any time and goes on where it was: a half that has
 * verdicts is done, unless `--again` is given.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { CANARIES, type CanaryCase, canaryNamed, runOf } from './canaries/cases.ts';
import { checkRun } from './checkers/check-run.ts';
import { printVerdicts } from './checkers/print.ts';
import type { AnomalyKind, Verdict } from './checkers/verdict.ts';
import { EVIDENCE_FILES, json } from './history/evidence.ts';
import { writeReport } from './report/write-report.ts';
import { runOnce } from './run.ts';

interface CanaryFlags {
  readonly out: string;
  readonly planted?: true;
  readonly again?: true;
}

const command = new Command('jepsen:canaries')
  .argument('[ids...]', `of ${CANARIES.map(({ id }) => id).join(', ')}; none: all of them`)
  .option('--out <folder>', 'where the runs are', 'jepsen-runs/canaries')
  .option('--planted', 'without the innocent halves')
  .option('--again', 'also what is done already')
  .parse(process.argv);
const flags = command.opts<CanaryFlags>();

async function anomaliesOf(canary: CanaryCase, isPlanted: boolean): Promise<AnomalyKind[]> {
  const folder = join(flags.out, isPlanted ? canary.id : `${canary.id}-without`);
  const verdicts = await verdictsOf(canary, isPlanted, folder);
  return [...new Set(verdicts.flatMap(({ anomalies }) => anomalies.map(({ kind }) => kind)))];
}

async function verdictsOf(
  canary: CanaryCase,
  isPlanted: boolean,
  folder: string,
): Promise<readonly Verdict[]> {
  const done = join(folder, EVIDENCE_FILES.verdicts);
  if (existsSync(done) && flags.again === undefined) return json<readonly Verdict[]>(done);
  console.log(`${canary.id}, ${isPlanted ? 'planted' : 'without'}`);
  await runOnce(runOf(canary, isPlanted), folder);
  const verdicts = checkRun(folder);
  writeReport(folder);
  printVerdicts(verdicts);
  return verdicts;
}

const cases = command.args.length === 0 ? CANARIES : command.args.map(canaryNamed);
const lines: string[] = [];
let isClean = true;
for (const canary of cases) {
  const planted = await anomaliesOf(canary, true);
  const without = flags.planted === undefined ? await anomaliesOf(canary, false) : [];
  const hits = planted.filter((kind) => canary.finds.includes(kind));
  isClean &&= hits.length > 0 && without.length === 0;
  const others = planted.filter((kind) => !hits.includes(kind));
  const beside = others.length === 0 ? '' : ` (and ${others.join(', ')})`;
  const words = hits.length > 0 ? `found by ${hits.join(', ')}${beside}` : `NOT FOUND${beside}`;
  lines.push(
    `${canary.id}: ${words}${without.length === 0 ? '' : `; WITHOUT IT: ${without.join(', ')}`}`,
  );
}
console.log(lines.join('\n'));
process.exit(isClean ? 0 : 1);
