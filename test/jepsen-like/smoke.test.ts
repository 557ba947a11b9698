/**
 * A few short cells of the grid on real processes, so that the suite itself does not rot: they find nothing in
 * the product, they find a planted bug, and they leave nothing behind, however they end.
 */
import { deepEqual, equal, notDeepEqual, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { canaryNamed, runOf } from './canaries/cases.ts';
import { checkRun } from './checkers/check-run.ts';
import type { AnomalyKind } from './checkers/verdict.ts';
import { lookAtMachine } from './harness/machine.ts';
import { tryRun } from './harness/shell.ts';
import { removeLeftovers, Slot } from './harness/slot.ts';
import { readEvidence } from './history/evidence.ts';
import type { Step } from './nemesis/step.ts';
import type { RunOptions } from './plan.ts';
import { writeReport } from './report/write-report.ts';
import { runOnce } from './run.ts';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const machine = await lookAtMachine();
const skipOf = (obstacle: string | null): false | string => obstacle ?? false;

suite('fault suite', { timeout: 280_000 }, () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mq-raft-jepsen-smoke-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const anomaliesOf = async (options: RunOptions): Promise<readonly AnomalyKind[]> => {
    await runOnce(options, folder);
    const verdicts = checkRun(folder);
    writeReport(folder);
    ok(existsSync(join(folder, 'report.html')));
    const kinds = new Set<AnomalyKind>();
    for (const { anomalies } of verdicts) {
      for (const { kind, what } of anomalies) {
        kinds.add(kind);
        console.log(`${kind}: ${what}`);
      }
    }
    return [...kinds];
  };

  const cell = (steps: readonly (readonly [number, Step])[], more: Partial<RunOptions>) => ({
    ...{ rows: [], workloads: ['queue' as const], nodeCount: 3 as const, seconds: 8, seed: 1 },
    ...{ network: 'auto' as const, canary: null, upgradeFrom: null },
    script: steps.map(([atMs, step]) => ({ atMs, row: 'smoke', step })),
    ...more,
  });
  const leader = { pick: 'leader' } as const;

  test('kill, pause and a partition of the leader: nothing is found, and work was done', async () => {
    const options = cell(
      [
        [1_000, { kind: 'kill', target: leader, downMs: 500 }],
        [4_000, { kind: 'partition', shape: 'isolate', target: leader, lastsMs: 2_500 }],
        [7_500, { kind: 'pause', target: leader, lastsMs: 2_000 }],
      ],
      { workloads: ['queue', 'ordered', 'offsets', 'admin'], seconds: 10 },
    );
    deepEqual(await anomaliesOf(options), []);
    const { operations, faults } = readEvidence(folder);
    equal(faults.filter(({ skipped }) => skipped === null).length, 3);
    ok(operations.filter(({ outcome }) => outcome === 'ok').length > 100);
  });

  test('power cuts and rot', { skip: skipOf(machine.powerCut) }, async () => {
    const rot: Step = {
      ...{ kind: 'damageLog', target: { pick: 'follower', nth: 0 }, damage: 'bitFlip' },
      ...{ isHelix: false, salt: 3, downMs: 200 },
    };
    const options = cell(
      [
        [1_500, { kind: 'powerCut', target: { pick: 'all' }, downMs: 200, staggerMs: 100 }],
        [5_500, rot],
      ],
      { workloads: ['queue', 'idempotent'], seconds: 8 },
    );
    deepEqual(await anomaliesOf(options), []);
    equal(readEvidence(folder).faults.filter(({ skipped }) => skipped === null).length, 2);
  });

  test('behind relays, where there are no namespaces', async () => {
    const options = cell(
      [[1_500, { kind: 'partition', shape: 'isolate', target: leader, lastsMs: 2_500 }]],
      { network: 'proxies', seconds: 6 },
    );
    deepEqual(await anomaliesOf(options), []);
  });

  test('a planted bug is found: a message that is sent again is stored again', async () => {
    const { finds } = canaryNamed('resend-is-new');
    const found = await anomaliesOf(runOf(canaryNamed('resend-is-new'), true));
    ok(
      found.some((kind) => finds.includes(kind)),
      found.join(', '),
    );
  });

  test('a run that is killed leaves nothing behind once the next one has looked', async () => {
    const before = Slot.all().map(({ number }) => number);
    const args = ['--nemesis', 'none', '--seconds', '60', '--out', join(folder, 'killed')];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'ignore' });
    const newSlots = () => Slot.all().filter(({ number }) => !before.includes(number));
    const pidsOf = (slot: Slot): readonly number[] =>
      existsSync(join(slot.folder, 'pids'))
        ? readFileSync(join(slot.folder, 'pids'), 'utf8').trim().split('\n').map(Number.parseFloat)
        : [];
    const deadlineAtMs = performance.now() + 60_000;
    while (newSlots().every((slot) => pidsOf(slot).length < 5)) {
      ok(performance.now() < deadlineAtMs, 'five processes run in time');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const slots = newSlots();
    const pids = slots.flatMap(pidsOf);
    // A paused process does not see that its parent is gone.
    process.kill(pids.at(-1)!, 'SIGSTOP');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    equal(await removeLeftovers(), slots.length);
    deepEqual(newSlots(), []);
    for (const pid of pids) {
      const path = `/proc/${pid}/stat`;
      const state = existsSync(path) ? / ([A-Z]) /.exec(readFileSync(path, 'utf8'))?.[1] : null;
      ok(state === null || state === 'Z', `process ${pid} is gone`);
    }
    const mounts = existsSync('/proc/mounts') ? readFileSync('/proc/mounts', 'utf8') : '';
    for (const slot of slots) {
      ok(!mounts.includes(`${slot.folder}/`));
      equal(await tryRun('ip', 'link', 'show', slot.bridge), false);
    }
    notDeepEqual(pids, []);
  });
});
