/**
 *     node dist/test/jepsen-like/check.js RUN [RUN...]
 *
 * The checkers as a program of their own: read the evidence of finished runs, and nothing else. Exit
 * code 1: an anomaly was found.
 */
import { checkRun } from './checkers/check-run.ts';
import { printVerdicts } from './checkers/print.ts';
import { writeReport } from './report/write-report.ts';

let isClean = true;
for (const folder of process.argv.slice(2)) {
  const verdicts = checkRun(folder);
  writeReport(folder);
  console.log(folder);
  printVerdicts(verdicts);
  isClean &&= verdicts.every(({ valid }) => valid !== false);
}
process.exit(isClean ? 0 : 1);
