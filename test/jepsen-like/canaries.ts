/**
 *     npm run jepsen:canaries [-- ID...] [--planted]
 *
 * Each planted bug must be found, by an anomaly that fits; and the same faults without it must find nothing
 * (`--planted` leaves that half out).
 */
import { join } from 'node:path';
import { CANARIES, canaryNamed, runOf } from './canaries/cases.ts';
import { checkRun } from './checkers/check-run.ts';
import { printVerdicts } from './checkers/print.ts';
import type { AnomalyKind } from './checkers/verdict.ts';
import { writeReport } from './report/write-report.ts';
import { runOnce } from './run.ts';

const FOLDER = 'jepsen-runs/canaries';

export async function anomaliesOf(id: string, isPlanted: boolean): Promise<readonly AnomalyKind[]> {
  const folder = join(FOLDER, isPlanted ? id : `${id}-without`);
  await runOnce(runOf(canaryNamed(id), isPlanted), folder);
  const verdicts = checkRun(folder);
  writeReport(folder);
  printVerdicts(verdicts);
  return [...new Set(verdicts.flatMap(({ anomalies }) => anomalies.map(({ kind }) => kind)))];
}

const args = process.argv.slice(2);
const isHalf = args.includes('--planted');
const wanted = args.filter((arg) => arg !== '--planted');
const cases = wanted.length === 0 ? CANARIES : wanted.map(canaryNamed);
const lines: string[] = [];
let isClean = true;
for (const { id, finds } of cases) {
  console.log(`${id}, planted`);
  const planted = await anomaliesOf(id, true);
  if (!isHalf) console.log(`${id}, without`);
  const without = isHalf ? [] : await anomaliesOf(id, false);
  const hits = planted.filter((kind) => finds.includes(kind));
  const isFound = hits.length > 0 && without.length === 0;
  isClean &&= isFound;
  const words =
    hits.length > 0 ? `found by ${hits.join(', ')}` : `NOT FOUND (${planted.join(', ')})`;
  lines.push(`${id}: ${words}${without.length === 0 ? '' : `; without it: ${without.join(', ')}`}`);
}
console.log(lines.join('\n'));
process.exit(isClean ? 0 : 1);
