/**
 * Power fails during the last two writes, at each step of them, and of the 512-byte sectors that are not
 * synced then each subset survives (H1, H3, H13): whatever comes back is what the model allows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import type { HardState } from '../raft/effects.ts';
import type { EntryDesc } from '../raft/entry.ts';
import type { CommitLog, StoredEntry } from './commit-log.ts';
import {
  EntryChain,
  openTestLog,
  payloadOf,
  persisted,
  Steps,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const identity = { ...TEST_IDENTITY, segmentSizeBytes: 8192 };
/** 4096 subsets, each a start. */
const SECTORS_MAX = 12;

interface Write {
  readonly hardState?: HardState;
  readonly truncateFrom?: LogIndex;
  readonly entries: readonly StoredEntry[];
}

/** Log and term, as they are when a write is done. */
interface State {
  readonly entries: readonly StoredEntry[];
  readonly term: number;
}

interface Case {
  readonly before: readonly StoredEntry[];
  /** All of them are handed over at once: the second waits for the first, or shares its sync. */
  readonly writes: readonly Write[];
}

function chainOf(sizes: readonly number[], ofTerm = 1, after: readonly StoredEntry[] = []) {
  const chain = new EntryChain(identity.segmentSizeBytes);
  chain.entries.push(...after);
  for (const [i, size] of sizes.entries()) {
    const payload = payloadOf(size, 10 * ofTerm + i);
    chain.append({ payload, term: Term(ofTerm), leaderCommit: LogIndex(0) });
  }
  return chain.entries;
}

const old = chainOf([120, 80]);
const first = chainOf([400, 300], 1, old);
const second = chainOf([200, 500], 1, first);
const replaced = chainOf([90, 260], 2, old);
const votes = (value: number): HardState => ({ term: Term(value), votedFor: NodeId('n2') });

const CASES: Readonly<Record<string, Case>> = {
  'two appends': {
    before: old,
    writes: [{ entries: first.slice(2) }, { entries: second.slice(4) }],
  },
  'an append, then a vote': {
    before: old,
    writes: [{ entries: first.slice(2) }, { hardState: votes(2), entries: [] }],
  },
  'a vote, then an append': {
    before: old,
    writes: [
      { hardState: votes(2), entries: [] },
      { entries: chainOf([400, 300], 2, old).slice(2) },
    ],
  },
  'an append, then a cut of it with what replaces it': {
    before: old,
    writes: [
      { entries: first.slice(2) },
      { hardState: votes(2), truncateFrom: LogIndex(3), entries: replaced.slice(2) },
    ],
  },
  'a cut of durable entries, then an append': {
    before: first,
    writes: [
      { hardState: votes(2), truncateFrom: LogIndex(3), entries: replaced.slice(2, 3) },
      { entries: replaced.slice(3) },
    ],
  },
};

/** What the log is before the writes and after each. */
function statesOf({ before, writes }: Case): readonly State[] {
  const states: State[] = [{ entries: before, term: 1 }];
  for (const { hardState, truncateFrom, entries } of writes) {
    const last = states.at(-1)!; // there is always one
    const kept =
      truncateFrom === undefined ? last.entries : last.entries.slice(0, truncateFrom - 1);
    states.push({ entries: [...kept, ...entries], term: hardState?.term ?? last.term });
  }
  return states;
}

interface Moment {
  readonly disk: MemoryDisk;
  readonly steps: Steps;
  /** How many of the writes were reported durable. */
  readonly durableCount: number;
  readonly isOver: boolean;
}

async function momentAt(story: Case, stepCount: number): Promise<Moment> {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const log = await steps.until(openTestLog(disk, { identity }));
  await steps.until(persisted(log, { hardState: term(1), entries: story.before }));
  // The next start notes all that is there, durably.
  await steps.until(log.close());
  const again = await steps.until(openTestLog(disk, { identity }));
  await steps.drain();
  let durableCount = 0;
  for (const { hardState = null, truncateFrom = null, entries } of story.writes) {
    again.persist({
      hardState,
      base: null,
      truncateFrom,
      entries,
      onDurable: () => durableCount++,
    });
  }
  let isOver = false;
  for (let i = 0; i < stepCount; i++) isOver = !(await steps.next());
  return { disk, steps, durableCount, isOver };
}

function isPrefix(part: readonly EntryDesc[], whole: readonly StoredEntry[]): boolean {
  return part.every((desc, i) => isDeepStrictEqual(desc, whole[i]?.desc));
}

/** Entries that two states share from the first on. */
function commonCount(a: readonly StoredEntry[], b: readonly StoredEntry[]): number {
  let count = 0;
  while (count < a.length && isDeepStrictEqual(a[count]?.desc, b[count]?.desc)) count += 1;
  return count;
}

/**
 * The log is a part of what one of the states not yet left behind has, and no shorter than what it
 * has in common with all before it; a term that was durable is not forgotten.
 */
function checkAllowed(log: CommitLog, states: readonly State[], durable: number, label: string) {
  const { entries, hardState } = log.recovered;
  const possible = states.slice(durable);
  const isAllowed = possible.some((state, i) => {
    const shared = possible.slice(0, i + 2).reduce((least, { entries: other }) => {
      return Math.min(least, commonCount(possible[0]!.entries, other));
    }, Number.POSITIVE_INFINITY);
    return isPrefix(entries, state.entries) && entries.length >= shared;
  });
  assert.ok(isAllowed, `${label}: ${entries.length} entries`);
  assert.ok(hardState.term >= (possible[0]?.term ?? 0), `${label}: term ${hardState.term}`);
}

for (const [what, story] of Object.entries(CASES)) {
  test(`${what}: every subset of the sectors of the last two writes, at every step`, async () => {
    const states = statesOf(story);
    const lengths = new Set<number>();
    let starts = 0;
    for (let stepCount = 0, isOver = false; !isOver; stepCount++) {
      const moment = await momentAt(story, stepCount);
      isOver = moment.isOver;
      const dirty = [...moment.disk.dirtySectors].flatMap(([path, sectors]) =>
        sectors.map((sector) => `${path} ${sector}`),
      );
      assert.ok(dirty.length <= SECTORS_MAX, `${dirty.length} sectors`);
      for (let subset = 0; subset < 2 ** dirty.length; subset++) {
        const survivor = moment.disk.powerCutKeeping({
          sector: (path, sector) => ((subset >> dirty.indexOf(`${path} ${sector}`)) & 1) === 1,
          name: () => true,
        });
        const log = await moment.steps.until(openTestLog(survivor, { identity }));
        const label = `step ${stepCount}, sectors ${subset} of ${dirty.join()}`;
        checkAllowed(log, states, moment.durableCount, label);
        lengths.add(log.recovered.entries.length);
        starts += 1;
        if (isOver) assert.equal(log.recovered.entries.length, states.at(-1)?.entries.length);
      }
    }
    assert.ok(starts > 16, `${starts} starts`);
    assert.ok(lengths.size > 1, 'both all and less than all came back');
  });
}
