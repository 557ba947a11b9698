/** What a process holds of its log follows what the log keeps, not what it once read. */
import { equal, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { KIB } from '../../src/base/sizes.ts';
import type { CommitLog } from '../../src/store/commit-log.ts';
import { NO_BUGS } from './stack-bugs.ts';
import { StackWorld } from './stack-world.ts';
import { Workload } from './workload.ts';

const CALM_TIMEOUT_MS = 60_000;
const ENTRY_COUNT = 60;

/** Everything that nobody can reach is gone when it returns. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof gc !== 'function') throw new Error('there is a collector');
  gc();
}

test('when core, replay and table are built nothing holds the entries that start-up has read', async () => {
  const opened: { readonly log: CommitLog; readonly firsts: readonly WeakRef<object>[] }[] = [];
  const bugs = {
    ...NO_BUGS,
    wrapLog: (log: CommitLog) => {
      const { entries, memberships } = log.recovered;
      const firsts = [entries, memberships, ...entries].map((each) => new WeakRef<object>(each));
      opened.push({ log, firsts });
      return log;
    },
  };
  const world = new StackWorld(4, { bugs, retentionSizeBytes: 16 * KIB });
  world.startAll();
  const workload = new Workload(world);
  workload.start(4, 2);
  const acked = () => workload.receipts.size >= ENTRY_COUNT || world.observer.isBroken;
  ok(await world.until(acked, CALM_TIMEOUT_MS));
  for (const node of world.nodes) await node.kill();
  opened.length = 0;
  world.startAll();
  const compacted = world.observer.compactionCount;
  const isCompacted = () => world.observer.compactionCount > compacted + 3;
  ok(await world.until(() => isCompacted() || world.observer.isBroken, CALM_TIMEOUT_MS));
  equal(world.observer.violations.length, 0);
  equal(opened.length, 3);
  collect();
  for (const { log, firsts } of opened) {
    ok(firsts.length > 10, 'there was something to hold');
    equal(firsts.filter((first) => first.deref() !== undefined).length, 0, log.identity.nodeId);
    throws(() => log.recovered.entries, /before they are released/);
    throws(() => log.recovered.memberships, /before they are released/);
  }
  await world.endAll();
});
