/**
 *     npm run jepsen -- --nemesis kill,partition --workload queue --nodes 3 --seconds 60 --seed 7
 *
 * One run, its verdict, and its report. Exit code 0: nothing was found; 1: an anomaly; 2: the suite failed.
 */
import { join } from 'node:path';
import { checkRun } from './checkers/check-run.ts';
import { printVerdicts } from './checkers/print.ts';
import { EVIDENCE_FILES } from './history/evidence.ts';
import { parseRun } from './options.ts';
import { writeReport } from './report/write-report.ts';
import { runOnce } from './run.ts';

const { options, folder } = parseRun(process.argv.slice(2));
try {
  await runOnce(options, folder);
} catch (error) {
  console.error(error);
  process.exit(2);
}
const verdicts = checkRun(folder);
writeReport(folder);
printVerdicts(verdicts);
console.log(`seed ${options.seed}; ${join(folder, EVIDENCE_FILES.report)}`);
process.exit(verdicts.some(({ valid }) => valid === false) ? 1 : 0);
