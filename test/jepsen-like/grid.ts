/**
 *     npm run jepsen:grid -- --seconds 120 --cells 20
 *
 * The full grid: each fault row with each workload, on three nodes and on five, and combinations of rows. It can be
 * stopped at any time and goes on where it was: a cell that has verdicts is done. Every cell leaves its own
 * folder; the summary page covers all that are done.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { checkRun } from './checkers/check-run.ts';
import { printVerdicts } from './checkers/print.ts';
import { cellsOf } from './grid-cells.ts';
import { EVIDENCE_FILES } from './history/evidence.ts';
import { writeReport } from './report/write-report.ts';
import { writeSummary } from './report/write-summary.ts';
import { runOnce } from './run.ts';

interface GridFlags {
  readonly out: string;
  readonly seconds: number;
  readonly cells: number;
  readonly seed: number;
  readonly only: string;
  readonly nodes: string;
  readonly together?: true;
}

const flags = new Command('jepsen:grid')
  .option('--out <folder>', 'where the cells are', 'jepsen-runs/grid')
  .option('--seconds <n>', 'of faults in each cell', Number, 120)
  .option('--cells <n>', 'run at most so many', Number, Number.POSITIVE_INFINITY)
  .option('--seed <n>', 'of the first pass; another one is another pass', Number, 1)
  .option('--only <words>', 'cells whose name contains one of these, by commas', '')
  .option('--nodes <list>', 'sizes of the groups', '3,5')
  .option('--together', 'all core workloads in one cell of each row')
  .parse(process.argv)
  .opts<GridFlags>();

const sizes = flags.nodes.split(',').map(Number);
const words = flags.only.split(',');
const { seed, seconds, together: isTogether = false } = flags;
const cells = cellsOf({ seed, seconds, isTogether }).filter(
  ({ name, options }) =>
    sizes.includes(options.nodeCount) && words.some((word) => name.includes(word)),
);
const isDone = (name: string): boolean =>
  existsSync(join(flags.out, name, EVIDENCE_FILES.verdicts));
const open = cells.filter(({ name }) => !isDone(name));
console.log(`${cells.length - open.length} of ${cells.length} cells are done`);
let failureCount = 0;
for (const { name, options } of open.slice(0, flags.cells)) {
  const folder = join(flags.out, name);
  console.log(name);
  await runOnce(options, folder);
  const verdicts = checkRun(folder);
  writeReport(folder);
  printVerdicts(verdicts);
  if (verdicts.some(({ valid }) => valid === false)) failureCount++;
  writeSummary(flags.out);
}
writeSummary(flags.out);
console.log(`${failureCount} cells with anomalies; ${join(flags.out, 'index.html')}`);
process.exit(failureCount === 0 ? 0 : 1);
