/**
 * `npm run sim:exhaustive -- [--opening NAME] [--depth N] [--faults N] [--minutes N] [--path CHOICES]`
 *
 * Searches all openings, or one, each for its share of the time or to the depth. A violation is told
 * step by step, with the line that walks its path again; exit code 1.
 */
import { parseArgs } from 'node:util';
import { standardRules } from '../../../src/raft/rules.ts';
import { type Exploration, explore, type Violation } from './exhaustive.ts';
import { OPENINGS, type Opening, openingNamed } from './openings.ts';
import { walk } from './replay.ts';

const MINUTE_MS = 60_000;
/** About 2 GB. */
const STATES_MAX = 20_000_000;
const DEPTH_ENDLESS = 10_000;
const COLUMNS = ['opening', 'states', 'transitions', 'depth', '', 'node states', 'states/s'];

const { values: options } = parseArgs({
  options: {
    opening: { type: 'string' },
    depth: { type: 'string' },
    faults: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '2' },
    path: { type: 'string' },
  },
});

process.exitCode = main();

function main(): number {
  const openings = options.opening === undefined ? OPENINGS : [openingNamed(options.opening)];
  const faults = Number(options.faults);
  if (options.path !== undefined) return walkAgain(openings, options.path, faults);
  const depth = options.depth === undefined ? DEPTH_ENDLESS : Number(options.depth);
  const shareMs = (Number(options.minutes) * MINUTE_MS) / openings.length;
  console.log(`up to ${faults} faults; "all" means: there are no longer schedules`);
  printRow(COLUMNS);
  let exitCode = 0;
  for (const opening of openings) {
    const startMs = performance.now();
    const isOver = (): boolean => performance.now() - startMs > shareMs;
    const result = explore(opening, { depth, faults, statesMax: STATES_MAX, isOver });
    printRow(rowOf(result, performance.now() - startMs));
    if (result.violation === null) continue;
    printViolation(opening, result.violation, faults);
    exitCode = 1;
  }
  return exitCode;
}

function rowOf(result: Exploration, elapsedMs: number): readonly string[] {
  const { opening, statesSeen, transitions, depthReached, nodeStates } = result;
  const extent = result.isExhausted ? 'all' : result.isComplete ? 'complete' : 'cut off';
  const perSecond = Math.round((statesSeen / elapsedMs) * 1000);
  const numbers = [statesSeen, transitions, depthReached].map((value) => `${value}`);
  return [opening, ...numbers, extent, `${nodeStates}`, `${perSecond}`];
}

function printRow([name = '', ...rest]: readonly string[]): void {
  console.log(name.padEnd(18) + rest.map((cell) => cell.padStart(13)).join(''));
}

function printViolation({ name }: Opening, violation: Violation, faults: number): void {
  console.log(violation.path.join('\n'));
  if (!violation.isConfirmed) console.log('NOT CONFIRMED by separate cores: the search is wrong');
  const path = violation.choices.join(',');
  console.log(`npm run sim:exhaustive -- --opening ${name} --faults ${faults} --path ${path}`);
}

function walkAgain(openings: readonly Opening[], path: string, faults: number): number {
  const [opening] = openings;
  if (opening === undefined || openings.length > 1) throw new RangeError('--path needs --opening');
  const choices = path === '' ? [] : path.split(',').map(Number);
  const { lines, breach } = walk(opening, choices, { rules: standardRules, faults });
  console.log(lines.join('\n'));
  return breach === null ? 0 : 1;
}
