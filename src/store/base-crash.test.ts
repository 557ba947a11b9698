/** Every crash point of a compaction and of an installation (H8, H17, H18), and the bugs this must find. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Prng } from '../base/prng.ts';
import { LogIndex, Term } from '../base/units.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import type { CommitLog, LogBase, StoredEntry } from './commit-log.ts';
import { sameBase, tipOfBase } from './log-base.ts';
import {
  baseAt,
  chainOfSegments,
  EntryChain,
  openTestLog,
  payloadOf,
  persisted,
  Steps,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';
import { generationOf } from './log-paths.ts';
import { parseSegmentFileName } from './segment.ts';
import { type StoreRules, standardStoreRules } from './store-rules.ts';

const SMALL = 8192;
const identity = { ...TEST_IDENTITY, segmentSizeBytes: SMALL };
const everything = { sector: () => true, name: () => true };
const nothing = { sector: () => false, name: () => false };

/** A log that may be found after a crash: this base, and at least so many of these entries. */
interface Legal {
  readonly base: LogBase;
  readonly entries: readonly StoredEntry[];
  readonly atLeast: number;
}

interface Undertaking {
  readonly disk: MemoryDisk;
  readonly steps: Steps;
  /** What may be found now. */
  readonly legal: () => readonly Legal[];
}

type Begin = (rules: StoreRules) => Promise<Undertaking>;

function behind(chain: EntryChain, base: LogBase): readonly StoredEntry[] {
  return chain.entries.filter(({ desc }) => desc.index > tipOfBase(base).index);
}

async function opened(
  rules: StoreRules,
): Promise<{ steps: Steps; disk: MemoryDisk; log: CommitLog }> {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const log = await steps.until(openTestLog(disk, { identity, rules }));
  return { steps, disk, log };
}

/** Four segments, of which the first two go while entries are appended. */
const compaction: Begin = async (rules) => {
  const { steps, disk, log } = await opened(rules);
  const chain = chainOfSegments(SMALL, 4);
  const written = chain.entries.length;
  await steps.until(persisted(log, { hardState: term(1), entries: chain.entries.slice() }));
  await steps.drain();
  log.noteCommitIndex(LogIndex(written));
  const base = baseAt(chain, 2 * SMALL);
  let isDone = false;
  void log.compact(base.desc!).then(() => {
    isDone = true;
  });
  let durable = written;
  for (let i = 0; i < 2; i++) {
    const from = chain.entries.length;
    chain.append({ payload: payloadOf(900, 40 + i), term: Term(1) });
    const count = chain.entries.length;
    void persisted(log, { entries: chain.entries.slice(from) }).then(() => {
      durable = count;
    });
  }
  const legal = (): readonly Legal[] => {
    const gone = tipOfBase(base).index;
    const after = { base, entries: behind(chain, base), atLeast: durable - gone };
    return isDone
      ? [after]
      : [{ base: chain.base, entries: chain.entries, atLeast: durable }, after];
  };
  return { disk, steps, legal };
};

/** Six segments that nobody has committed give way to a log that begins where the third one did. */
function installationOf(newCount: number): Begin {
  return async (rules) => {
    const { steps, disk, log } = await opened(rules);
    const old = chainOfSegments(SMALL, 6);
    await steps.until(persisted(log, { hardState: term(1), entries: old.entries.slice() }));
    await steps.drain();
    const chain = chainOfSegments(SMALL, 5, 2);
    const base = baseAt(chain, 2 * SMALL);
    const entries = behind(chain, base).slice(0, newCount);
    let isDone = false;
    void persisted(log, { hardState: term(2), base, entries }).then(() => {
      isDone = true;
    });
    const legal = (): readonly Legal[] => {
      const after = { base, entries, atLeast: isDone ? entries.length : 0 };
      if (isDone) return [after];
      return [{ base: old.base, entries: old.entries, atLeast: old.entries.length }, after];
    };
    return { disk, steps, legal };
  };
}

/** Another snapshot arrives before the first one is installed, and a compaction behind both. */
const twoInstallations: Begin = async (rules) => {
  const { steps, disk, log } = await opened(rules);
  const old = chainOfSegments(SMALL, 2);
  await steps.until(persisted(log, { hardState: term(1), entries: old.entries.slice() }));
  await steps.drain();
  const [first, second] = [chainOfSegments(SMALL, 4, 2), chainOfSegments(SMALL, 7, 3)];
  const bases = [baseAt(first, 2 * SMALL), baseAt(second, 4 * SMALL)] as const;
  const [some, more] = [behind(first, bases[0]).slice(0, 3), behind(second, bases[1])];
  const compacted = baseAt(second, 5 * SMALL);
  let done = 0;
  const count = (): void => {
    done += 1;
  };
  void persisted(log, { hardState: term(2), base: bases[0], entries: some }).then(count);
  void persisted(log, { hardState: term(3), base: bases[1], entries: more }).then(count);
  log.noteCommitIndex(LogIndex(second.entries.length));
  void log.compact(compacted.desc!).then(count);
  const legal = (): readonly Legal[] => {
    const rest = behind(second, compacted);
    return [
      { base: old.base, entries: old.entries, atLeast: old.entries.length },
      { base: bases[0], entries: some, atLeast: done >= 1 ? some.length : 0 },
      { base: bases[1], entries: more, atLeast: done >= 2 ? more.length : 0 },
      { base: compacted, entries: rest, atLeast: rest.length },
    ].slice(done);
  };
  return { disk, steps, legal };
};

/** Everything in the directory belongs to the log that was opened. */
function assertTidy(disk: MemoryDisk, base: LogBase, label: string): void {
  const used = new Set<number>();
  for (const path of disk.paths) {
    const [, , directory = '', file = ''] = path.split('/');
    const generation = generationOf(directory);
    const start = parseSegmentFileName(file);
    if (generation === null || start === null) continue;
    used.add(generation);
    assert.ok(start >= tipOfBase(base).end, `${label}: ${path} is before the base`);
  }
  assert.ok(used.size <= 1, `${label}: generations ${[...used]}`);
}

async function check(undertaking: Undertaking, after: MemoryDisk, label: string): Promise<string> {
  const { steps, legal } = undertaking;
  const possible = legal();
  const log = await steps.until(openTestLog(after, { identity }));
  const { base, entries } = log.recovered;
  const found = possible.find((each) => sameBase(each.base, base));
  assert.ok(found !== undefined, `${label}: base ${tipOfBase(base).index}`);
  const isPrefix = entries.every((desc, i) => isDeepStrictEqual(desc, found.entries[i]?.desc));
  assert.ok(isPrefix, `${label}: entries of another log`);
  assert.ok(entries.length >= found.atLeast, `${label}: ${entries.length} of ${found.atLeast}`);
  if (entries.length === found.entries.length) assert.equal(log.recovered.tornBytes, 0, label);
  await steps.drain();
  assertTidy(after, base, label);

  // It goes on, and nothing that was left comes back.
  const chain = new EntryChain(SMALL, base);
  chain.entries.push(...found.entries.slice(0, entries.length));
  for (let i = 0; i < 9; i++) chain.append({ payload: payloadOf(1500, 70 + i), term: Term(4) });
  await steps.until(
    persisted(log, { hardState: term(4), entries: chain.entries.slice(entries.length) }),
  );
  const again = await steps.until(openTestLog(after.powerCutKeeping(nothing), { identity }));
  assert.deepEqual(again.recovered.base, base, label);
  const descs = chain.entries.map(({ desc }) => desc);
  assert.deepEqual(again.recovered.entries, descs, label);
  assert.equal(again.recovered.tornBytes, 0, label);
  return `base ${tipOfBase(base).index}`;
}

const FATES = [
  (disk: MemoryDisk) => disk.killed(),
  (disk: MemoryDisk) => disk.powerCutKeeping(nothing),
  (disk: MemoryDisk) => disk.powerCutKeeping(everything),
  (disk: MemoryDisk, seed: number) => disk.powerCut(new Prng(seed)),
  (disk: MemoryDisk, seed: number) => disk.powerCut(new Prng(seed + 1000)),
];

/** @returns what was found, and how many steps there were */
async function everyCrash(begin: Begin, rules = standardStoreRules) {
  const found = new Set<string>();
  let stepCount = 0;
  for (let isOver = false; !isOver; stepCount++) {
    for (const [fate, crash] of FATES.entries()) {
      const undertaking = await begin(rules);
      for (let i = 0; i < stepCount; i++) isOver = !(await undertaking.steps.next());
      const label = `step ${stepCount}, fate ${fate}`;
      found.add(await check(undertaking, crash(undertaking.disk, stepCount), label));
    }
  }
  return { found: [...found].sort(), stepCount };
}

const CASES: readonly {
  readonly name: string;
  readonly begin: Begin;
  /** Bases that are found at some crash. */
  readonly found: number;
}[] = [
  { name: 'a compaction', begin: compaction, found: 2 },
  { name: 'an installation with entries', begin: installationOf(12), found: 2 },
  { name: 'an installation alone', begin: installationOf(0), found: 2 },
  { name: 'two installations and a compaction', begin: twoInstallations, found: 4 },
];

for (const { name, begin, found } of CASES) {
  test(`a crash at any step of ${name} leaves one log or the next, and nothing beside it`, async () => {
    const outcome = await everyCrash(begin);
    assert.equal(outcome.found.length, found, `${outcome.found}`);
    assert.ok(outcome.stepCount > 8, `${outcome.stepCount} steps`);
  });
}

const CANARIES: readonly {
  readonly name: string;
  readonly rules: Partial<StoreRules>;
  readonly begin: Begin;
}[] = [
  {
    name: 'files go before the base is swapped (H8)',
    rules: { orderOfCompaction: (swapsBase, unlinks) => [...unlinks, swapsBase] },
    begin: compaction,
  },
  {
    name: 'files go back to front',
    rules: {
      orderOfCompaction: (swapsBase, unlinks) => [...unlinks.toReversed().slice(0, 1), swapsBase],
    },
    begin: compaction,
  },
  {
    name: 'segments outlive the installation (C25)',
    rules: { generationAfter: (generation) => generation },
    begin: installationOf(0),
  },
];

for (const { name, rules, begin } of CANARIES) {
  test(`canary: ${name}`, async () => {
    await assert.rejects(everyCrash(begin, { ...standardStoreRules, ...rules }));
  });
}

test('a snapshot over a log that has committed more is a bug (C24)', async () => {
  const { steps, log } = await opened(standardStoreRules);
  const chain = chainOfSegments(SMALL, 4);
  const base = baseAt(chain, 2 * SMALL);
  await steps.until(persisted(log, { hardState: term(1), entries: chain.entries }));
  log.noteCommitIndex(base.desc!.last.index);
  const write = { hardState: null, base, truncateFrom: null, entries: [], onDurable: () => {} };
  assert.throws(() => log.persist(write), /newer than what is committed/);
});

for (const operation of ['write', 'sync'] as const) {
  test(`a failed ${operation} of a compaction is fatal, and loses nothing`, async () => {
    const steps = new Steps();
    const disk = new MemoryDisk({ later: steps.later });
    const failures: string[] = [];
    const onFatal = ({ reason }: { readonly reason: string }): void => {
      failures.push(reason);
    };
    const log = await steps.until(openTestLog(disk, { identity, onFatal }));
    const chain = chainOfSegments(SMALL, 3);
    await steps.until(persisted(log, { hardState: term(1), entries: chain.entries }));
    log.noteCommitIndex(LogIndex(chain.entries.length));
    disk.failNext({ operation, code: 'EIO', after: 0, pathPart: '/base' });
    const compacting = log.compact(baseAt(chain, SMALL).desc!).then(
      () => 'done',
      ({ reason }: { readonly reason: string }) => reason,
    );
    assert.equal(await steps.until(compacting), 'diskFailed');
    assert.deepEqual(failures, ['diskFailed']);
    await steps.until(log.close());
    const again = await steps.until(openTestLog(disk.killed(), { identity }));
    assert.equal(again.recovered.entries.length, chain.entries.length);
  });
}

test('without room for the base a compaction waits, and what is written goes on', async () => {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const clock = new ManualClock();
  const log = await steps.until(openTestLog(disk, { identity, clock }));
  const chain = chainOfSegments(SMALL, 3);
  await steps.until(persisted(log, { hardState: term(1), entries: chain.entries.slice() }));
  await steps.drain();
  log.noteCommitIndex(LogIndex(chain.entries.length));
  disk.limitTo(0);
  const base = baseAt(chain, SMALL);
  let isDone = false;
  const compacting = log.compact(base.desc!).then(() => {
    isDone = true;
  });
  await steps.drain();
  const more = chain.append({ payload: payloadOf(100, 90), term: Term(1) });
  await steps.until(persisted(log, { entries: more }));
  assert.equal(isDone, false);
  assert.equal(tipOfBase(log.base).index, 0);
  disk.limitTo(2 ** 40);
  clock.advance(2000);
  await steps.until(compacting);
  assert.deepEqual(log.base, base);
  await steps.until(log.close());
});
