import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Prng } from '../../base/prng.ts';
import { LogIndex, NodeId, Term } from '../../base/units.ts';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { encodeMembership } from '../../protocol/membership-codec.ts';
import { foundingMembership } from '../../raft/membership.ts';
import { readFounding, writeFounding } from '../founding-file.ts';
import { appendRecords, messageRecord } from '../inspect/inspect-fixture.ts';
import { inspectStore } from '../inspect/inspect-store.ts';
import { type EntryChain, openTestLog, Steps } from '../log-fixture.ts';
import { disagreementsAmong } from './disagreements.ts';
import type { RecoveryWorld } from './rebirth.ts';
import { aGroupLog, aGroupStore, RECOVERED_GROUP, RECOVERED_IDENTITY } from './recovery-fixture.ts';
import {
  type Disagreement,
  nextClusterId,
  planRecovery,
  type RecoveryVerdict,
} from './recovery-plan.ts';
import { type Survivor, surveySurvivor } from './survivor.ts';
import { executeRecovery, type RecoveryTask, taskOf, unfinishedTask } from './unsafe-recovery.ts';

const [n1, n2, n3] = ['n1', 'n2', 'n3'].map(NodeId) as [NodeId, NodeId, NodeId];
const signal = new AbortController().signal;
async function survey(disk: MemoryDisk, directory: string): Promise<Survivor> {
  const survivor = await surveySurvivor({ disk, directory, signal });
  ok(typeof survivor !== 'string', String(survivor));
  return survivor;
}

function aWorld(disk: MemoryDisk): RecoveryWorld {
  let starts = 0;
  const mintBootId = () => String(++starts).padStart(16, '0');
  return { disk, clock: new ManualClock(), mintBootId };
}

const WISH = { lostAtMs: 1_700_000_010_200, newClusterId: null };

function planned(verdict: RecoveryVerdict) {
  if (verdict.kind === 'refused') throw new Error(verdict.problems.join('\n'));
  return verdict.plan;
}

const problemsOf = (verdict: RecoveryVerdict): string =>
  verdict.kind === 'refused' ? verdict.problems.join('\n') : '';

test('one of three goes on alone, under another cluster id, with all it had', async () => {
  const disk = new MemoryDisk();
  await aGroupStore(disk, '/a', n1, aGroupLog(30));
  const before = await survey(disk, '/a');
  const plan = planned(planRecovery([before], [], WISH));
  equal(plan.newClusterId, 'test-cluster-r1');
  deepEqual(plan.lost, [n2, n3]);

  const lastIndex = await executeRecovery(taskOf(plan, {}), aWorld(disk));

  ok(lastIndex > before.lastIndex);
  const after = await survey(disk, '/a');
  equal(after.problem, null);
  equal(after.clusterId, 'test-cluster-r1');
  equal(after.lastIndex, lastIndex);
  equal(after.lastTerm, plan.newTerm);
  deepEqual(after.membership?.voters, [n1]);
  deepEqual(after.membership?.removed, [n2, n3]);
  const whole = await inspectAll(disk, '/a');
  equal(whole.damageCount, 0);
  equal(whole.messageCount, 30);
  const log = await openTestLog(disk, {
    directory: '/a',
    identity: { ...RECOVERED_IDENTITY, nodeId: n1, clusterId: 'test-cluster-r1' },
  });
  equal(log.recovered.hardState.term, plan.newTerm);
  deepEqual([...log.peers], [], 'nobody of the old group is remembered');
  await log.close();
});

test('a log whose beginning was removed goes on in the same way, and begins where it began', async () => {
  const disk = new MemoryDisk();
  const chain = aGroupLog(40);
  await aGroupStore(disk, '/a', n1, chain, 'compacted');
  const before = await survey(disk, '/a');
  const begun = await inspectAll(disk, '/a');
  ok(begun.messageCount > 0 && begun.messageCount < 40, `${begun.messageCount} messages are left`);
  deepEqual(before.membership, RECOVERED_GROUP, 'the base knows it');
  const plan = planned(planRecovery([before], [], WISH));
  deepEqual(plan.lost, [n2, n3]);

  const lastIndex = await executeRecovery(taskOf(plan, {}), aWorld(disk));

  const after = await survey(disk, '/a');
  deepEqual([after.problem, after.lastIndex], [null, lastIndex]);
  deepEqual(after.membership?.voters, [n1]);
  const whole = await inspectAll(disk, '/a');
  deepEqual([whole.damageCount, whole.messageCount], [0, begun.messageCount]);
  const log = await openTestLog(disk, {
    directory: '/a',
    identity: { ...RECOVERED_IDENTITY, nodeId: n1, clusterId: 'test-cluster-r1' },
  });
  equal(log.base.desc?.endOffset, RECOVERED_IDENTITY.segmentSizeBytes);
  equal(log.recovered.entries[0]?.index, (log.base.desc?.last.index ?? 0) + 1);
  await log.close();
});

test('the old configuration does not start what has been recovered', async () => {
  const disk = new MemoryDisk();
  await aGroupStore(disk, '/a', n1, aGroupLog(3));
  const plan = planned(planRecovery([await survey(disk, '/a')], [], WISH));
  await executeRecovery(taskOf(plan, {}), aWorld(disk));
  const old = openTestLog(disk, {
    directory: '/a',
    identity: { ...RECOVERED_IDENTITY, nodeId: n1 },
  });
  const error: unknown = await old.then(
    () => null,
    (reason: unknown) => reason,
  );
  match(String(error), /its clusterId is test-cluster-r1, but the configuration says test-cluster/);
});

function inspectAll(disk: MemoryDisk, directory: string) {
  const nothing = (): void => {};
  return inspectStore({
    ...{ disk, directory, signal, isLive: false, depth: 'records' },
    onDamage: nothing,
    onProgress: nothing,
  });
}

/** Of a compacted log some are in the segment that is gone. */
const MESSAGE_COUNTS = { whole: 12, compacted: 40 } as const;

/** Steps of the disk that a whole recovery takes. */
async function begunRecovery(form: 'whole' | 'compacted' = 'whole'): Promise<{
  readonly steps: Steps;
  readonly disk: MemoryDisk;
  readonly task: RecoveryTask;
  readonly running: Promise<LogIndex>;
}> {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  await steps.until(aGroupStore(disk, '/a', n1, aGroupLog(MESSAGE_COUNTS[form]), form));
  const survivor = await steps.until(survey(disk, '/a'));
  const task = taskOf(planned(planRecovery([survivor], [], WISH)), { why: 'test' });
  return { steps, disk, task, running: executeRecovery(task, aWorld(disk)) };
}

for (const form of ['whole', 'compacted'] as const) {
  test(`a power cut at any step is finished by the same call, and nothing is lost (${form} log)`, async () => {
    const whole = await begunRecovery(form);
    let stepCount = 0;
    let isDone = false;
    void whole.running.then(() => {
      isDone = true;
    });
    while (!isDone) {
      await whole.steps.next();
      stepCount++;
    }
    ok(stepCount > 20, `${stepCount} steps`);
    // Without a cut: the test above compares it with what was there before.
    const { messageCount } = await whole.steps.until(inspectAll(whole.disk, '/a'));
    if (form === 'whole') equal(messageCount, MESSAGE_COUNTS.whole);
    for (let cutAt = 0; cutAt < stepCount; cutAt++) {
      const { steps, disk, task } = await begunRecovery(form);
      for (let i = 0; i < cutAt; i++) await steps.next();
      const survived = disk.powerCut(new Prng(cutAt, 'power cut'));
      const state = `cut at step ${cutAt} of ${stepCount}`;
      const after = async (): Promise<void> => {
        const resumed = (await unfinishedTask(survived, '/a')) ?? task;
        await executeRecovery(resumed, aWorld(survived));
        equal(await unfinishedTask(survived, '/a'), null, state);
        const found = await inspectAll(survived, '/a');
        equal(found.damageCount, 0, state);
        equal(found.messageCount, messageCount, state);
        deepEqual(found.memberships.at(-1)?.membership.voters, [n1], state);
        equal(found.view.superblock.newest?.identity.clusterId, 'test-cluster-r1', state);
      };
      await steps.until(after());
    }
  });
}

test('between its steps the directory starts under no name of the old group', async () => {
  const { steps, disk, running } = await begunRecovery();
  void running;
  const isAside = async (): Promise<boolean> => {
    const names = await disk.list('/a');
    return names.includes('superblock.before-recovery') && !names.includes('superblock');
  };
  while (!(await steps.until(isAside()))) await steps.next();
  const survived = disk.powerCut(new Prng(1, 'power cut'));
  const opened = openTestLog(survived, {
    directory: '/a',
    identity: { ...RECOVERED_IDENTITY, nodeId: n1 },
  });
  const outcome = await steps.until(
    opened.then(
      () => 'opened',
      (error: unknown) => String(error),
    ),
  );
  match(outcome, /superblock is missing/);
});

test('a node that had joined later knows its new cluster by its founding file, too', async () => {
  const disk = new MemoryDisk();
  await aGroupStore(disk, '/a', n1, aGroupLog(3));
  const founders = [{ nodeId: n2, raftAddress: 'h:1' }];
  const group = { clusterId: 'test-cluster', groupId: 'g1', segmentSizeBytes: 8192, founders };
  await writeFounding(disk, '/a', { nodeId: n1, storeUuid: 'uuid', group });
  const plan = planned(planRecovery([await survey(disk, '/a')], [], WISH));
  await executeRecovery(taskOf(plan, {}), aWorld(disk));
  const founding = await readFounding(disk, '/a');
  deepEqual(founding?.group, { ...group, clusterId: 'test-cluster-r1' });
});

test('a second recovery of the same directory counts on', async () => {
  equal(nextClusterId('pay'), 'pay-r1');
  equal(nextClusterId('pay-r1'), 'pay-r2');
  equal(nextClusterId('x'.repeat(64)).length, 64);
  const disk = new MemoryDisk();
  await aGroupStore(disk, '/a', n1, aGroupLog(3));
  const first = planned(planRecovery([await survey(disk, '/a')], [], WISH));
  await executeRecovery(taskOf(first, {}), aWorld(disk));
  const again = await survey(disk, '/a');
  // Alone it is the majority.
  match(problemsOf(planRecovery([again], [], WISH)), /are a majority of the voters/);
});

test('the best log wins: by its last term, then by its length', async () => {
  const disk = new MemoryDisk();
  const five = foundingMembership(
    ['n1', 'n2', 'n3', 'n4', 'n5'].map((id) => ({ nodeId: NodeId(id), raftAddress: 'h:1' })),
  );
  const chain = (count: number, term: Term): EntryChain => {
    const made = aGroupLog(count, term);
    made.append({ payload: encodeMembership(five), term, type: 'config' });
    return made;
  };
  await aGroupStore(disk, '/a', n1, chain(20, Term(1)));
  await aGroupStore(disk, '/b', n2, chain(10, Term(2)));
  const plan = planned(
    planRecovery([await survey(disk, '/a'), await survey(disk, '/b')].map(unproven), [], WISH),
  );
  equal(plan.winner.nodeId, n2);
  equal(plan.newTerm, Term(3));
});

/** As if nothing after the third entry were known as committed. */
const unproven = (survivor: Survivor): Survivor => ({
  ...survivor,
  provenCommitIndex: LogIndex(3),
});

const anySurvivor: Survivor = {
  directory: '/a',
  clusterId: 'c',
  groupId: 'g',
  nodeId: n1,
  storeUuid: 'uuid',
  term: Term(4),
  lastIndex: LogIndex(100),
  lastTerm: Term(4),
  provenCommitIndex: LogIndex(90),
  membership: RECOVERED_GROUP,
  peersMet: [n2, n3],
  traffic: { lastAtMs: 1_000_000, provenAtMs: 1_000_000, messagesPerSecond: 50 },
  problem: null,
};

const refusals: readonly (readonly [
  string,
  readonly Survivor[],
  readonly Disagreement[],
  RegExp,
])[] = [
  ['no directory', [], [], /no directory is given/],
  [
    'a majority that is left',
    [anySurvivor, { ...anySurvivor, nodeId: n2, directory: '/b' }],
    [],
    /n1 and n2 are a majority of the voters \{n1, n2, n3\}: start them/,
  ],
  [
    'survivors that disagree about what is committed',
    [anySurvivor],
    [{ a: n1, b: n2, index: LogIndex(90) }],
    /hold different entries at or below entry 90/,
  ],
  [
    'a best log that ends before what another one proves committed',
    [anySurvivor, { ...anySurvivor, nodeId: n2, problem: 'rot', provenCommitIndex: LogIndex(120) }],
    [],
    /n2 proves entry 120 committed/,
  ],
  [
    'a log that cannot be started',
    [{ ...anySurvivor, problem: 'entry 5 is rotten' }],
    [],
    /entry 5 is rotten/,
  ],
  ['an empty log', [{ ...anySurvivor, lastIndex: LogIndex(0) }], [], /holds no entry/],
  [
    'a directory of another group',
    [
      anySurvivor,
      {
        ...anySurvivor,
        nodeId: n2,
        groupId: 'h',
        lastIndex: LogIndex(1),
        provenCommitIndex: LogIndex(1),
      },
    ],
    [],
    /belongs to group h/,
  ],
  ['a copy of a directory', [anySurvivor, anySurvivor], [], /two directories are of n1/],
];
for (const [what, survivors, disagreements, want] of refusals) {
  test(`a recovery refuses ${what}`, () => {
    match(problemsOf(planRecovery(survivors, disagreements, WISH)), want);
  });
}

test('the old cluster id is refused as the new one', () => {
  const verdict = planRecovery([anySurvivor], [], { ...WISH, newClusterId: 'c' });
  match(problemsOf(verdict), /the lost could join again/);
});

test('where the membership was never changed, those it has met are the lost ones', () => {
  const plan = planned(planRecovery([{ ...anySurvivor, membership: null }], [], WISH));
  deepEqual(plan.membership.removed, [n2, n3]);
});

test('what the worse log proves committed the better one must hold; its tail may be another one', async () => {
  const disk = new MemoryDisk();
  await aGroupStore(disk, '/a', n1, aGroupLog(20));
  await aGroupStore(disk, '/b', n2, aGroupLog(10));
  const tail = aGroupLog(5);
  tail.append({ payload: Buffer.from('another'), term: Term(1) });
  await aGroupStore(disk, '/c', n3, tail);
  const committed = aGroupLog(5);
  committed.append({ payload: Buffer.from('another'), term: Term(1) });
  const leaderCommit = committed.lastIndex;
  committed.append({ payload: Buffer.from('proof'), term: Term(1), leaderCommit });
  await aGroupStore(disk, '/d', n3, committed);
  const [a, b, c, d] = await Promise.all(['/a', '/b', '/c', '/d'].map((at) => survey(disk, at)));
  ok(a && b && c && d);
  const disagreements = (...all: readonly Survivor[]) =>
    disagreementsAmong(all, ({ directory }) => ({ disk, directory, signal }));
  deepEqual(await disagreements(b, a), []);
  deepEqual(await disagreements(c, a), []);
  deepEqual(await disagreements(d, a), [{ a: n1, b: n3, index: leaderCommit }]);
});

test('where the better log has lost its beginning there is nothing to compare', async () => {
  const disk = new MemoryDisk();
  await aGroupStore(disk, '/a', n1, aGroupLog(40), 'compacted');
  await aGroupStore(disk, '/b', n2, aGroupLog(2));
  const [a, b] = [await survey(disk, '/a'), await survey(disk, '/b')];
  const placeOf = ({ directory }: Survivor) => ({ disk, directory, signal });
  deepEqual(await disagreementsAmong([a, b], placeOf), []);
});

/** A group whose messages come when they come; the survivor has those before `cutAt`, and a tail of its own. */
const aHistory = fc.record({
  gapsMs: fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 3, maxLength: 60 }),
  cutShare: fc.double({ min: 0.05, max: 1, noNaN: true }),
  tailMs: fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 5 }),
  slackMs: fc.integer({ min: 0, max: 5_000 }),
});

test('law: whatever is lost was stored in the time that is named, in bursts too; at the rate it is within the bound', () => {
  fc.assert(
    fc.property(aHistory, ({ gapsMs, cutShare, tailMs, slackMs }) => {
      let atMs = 1_000_000;
      const times = gapsMs.map((gapMs) => (atMs += gapMs));
      const provenCount = Math.max(1, Math.floor(times.length * cutShare));
      const proven = times.slice(0, provenCount);
      const lost = times.slice(provenCount);
      const provenAtMs = proven.at(-1)!; // at least one
      // Meanwhile a leader that was cut off goes on writing for a while.
      const lastAtMs = tailMs.reduce((sum, gapMs) => sum + gapMs, provenAtMs);
      const lostAtMs = Math.max(lastAtMs, times.at(-1)!) + slackMs; // at least three
      const spanMs = Math.max(1_000, provenAtMs - proven[0]!); // at least one
      const messagesPerSecond = (Math.max(1, proven.length - 1) * 1_000) / spanMs;
      const traffic = { lastAtMs, provenAtMs, messagesPerSecond };
      const wish = { lostAtMs, newClusterId: null };
      const { loss } = planned(planRecovery([{ ...anySurvivor, traffic }], [], wish));
      const fromMs = lostAtMs - (loss.unseenMs ?? 0);
      ok(lost.every((storedAtMs) => storedAtMs >= fromMs && storedAtMs <= lostAtMs));
      const actual = (lost.length * 1_000) / Math.max(1, loss.unseenMs ?? 0);
      const timesAsMuch = Math.max(1, actual / loss.messagesPerSecond);
      ok(
        lost.length <= Math.ceil(loss.messagesMax * timesAsMuch),
        'k times the rate, k times as much',
      );
    }),
  );
});

test('the time is counted from what is proven, not from the tail of a leader that was cut off', async () => {
  const disk = new MemoryDisk();
  const chain = aGroupLog(5);
  const plan = { topic: 'orders', queueId: 0, queueOffset: 5, body: 'tail' };
  const record = { bytes: messageRecord(plan), kind: 'message' } as const;
  // Nothing proves it.
  appendRecords(chain, [record], { term: Term(1), leaderCommit: LogIndex(0) });
  await aGroupStore(disk, '/a', n1, chain);
  const { traffic, provenCommitIndex, lastIndex } = await survey(disk, '/a');
  ok(provenCommitIndex < lastIndex - 1);
  ok(traffic.provenAtMs !== null && traffic.lastAtMs !== null);
  ok(traffic.provenAtMs <= traffic.lastAtMs);
});

test('law: at a steady rate the bound is never below the true loss', () => {
  const anOutage = fc.record({
    intervalMs: fc.integer({ min: 1, max: 5_000 }),
    seenCount: fc.integer({ min: 2, max: 1_000 }),
    lostCount: fc.integer({ min: 0, max: 100_000 }),
    slackMs: fc.integer({ min: 0, max: 60_000 }),
  });
  fc.assert(
    fc.property(anOutage, ({ intervalMs, seenCount, lostCount, slackMs }) => {
      const lastAtMs = seenCount * intervalMs;
      const spanMs = (seenCount - 1) * intervalMs;
      // Below a second of traffic there is no rate to speak of.
      fc.pre(spanMs >= 1_000);
      const provenAtMs = lastAtMs;
      const traffic = {
        lastAtMs,
        provenAtMs,
        messagesPerSecond: ((seenCount - 1) * 1_000) / spanMs,
      };
      const lostAtMs = lastAtMs + lostCount * intervalMs + slackMs;
      const wish = { lostAtMs, newClusterId: null };
      const { loss } = planned(planRecovery([{ ...anySurvivor, traffic }], [], wish));
      ok(loss.messagesMax >= lostCount, `${loss.messagesMax} >= ${lostCount}`);
    }),
  );
});
