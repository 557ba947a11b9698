/**
 * `node dist/test/stack/main.js` runs seed after seed over whole nodes and stops at the first that
 * fails.
 *
 *   MQ_RAFT_STACK_SEED=S   only this seed, with what went wrong in full: the replay line of a failure
 *   MQ_RAFT_STACK_FROM=S   the first seed (default 1)
 *   MQ_RAFT_STACK_COUNT=N  how many (default 1000)
 */
import { replayLine, runSeed } from './run.ts';

const PROGRESS_EVERY = 100;
const environment = process.env;

const only = environment['MQ_RAFT_STACK_SEED'];
const from = Number(only ?? environment['MQ_RAFT_STACK_FROM'] ?? 1);
const count = only === undefined ? Number(environment['MQ_RAFT_STACK_COUNT'] ?? 1000) : 1;
const totals = { seeds: 0, acknowledged: 0, consumed: 0, entries: 0, leaders: 0 };
for (let seed = from; seed < from + count; seed++) {
  const result = await runSeed(seed);
  totals.seeds++;
  totals.acknowledged += result.acknowledged;
  totals.consumed += result.consumed;
  totals.entries += result.entries;
  totals.leaders += result.leaders;
  if (only !== undefined) process.stdout.write(`${JSON.stringify(result, textOfMap, 2)}\n`);
  if (result.violations.length > 0) {
    process.stdout.write(`seed ${seed}: ${result.violations.join('\n  ')}\n${replayLine(seed)}\n`);
    process.exitCode = 1;
    break;
  }
  if (totals.seeds % PROGRESS_EVERY === 0) process.stdout.write(`${JSON.stringify(totals)}\n`);
}
process.stdout.write(`${JSON.stringify(totals)}\n`);

function textOfMap(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}
