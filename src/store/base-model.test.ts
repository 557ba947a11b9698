/**
 * Random appends, cuts, compactions, installations and crashes, against a model that knows nothing of files:
 * a list of logs that may be found, the durable one first, then one for each write that is under way.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { Prng } from '../base/prng.ts';
import { LogIndex, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { type CommitLog, EntriesGone, type LogBase, type StoredEntry } from './commit-log.ts';
import { sameBase, tipOfBase } from './log-base.ts';
import {
  baseBehind,
  EntryChain,
  openTestLog,
  payloadOf,
  Steps,
  TEST_IDENTITY,
} from './log-fixture.ts';
import { generationOf } from './log-paths.ts';
import { parseSegmentFileName } from './segment.ts';
import { type StoreRules, standardStoreRules } from './store-rules.ts';

const SMALL = 8192;
const identity = { ...TEST_IDENTITY, segmentSizeBytes: SMALL };

type Act =
  | { readonly kind: 'append'; readonly sizes: readonly number[] }
  | { readonly kind: 'cut'; readonly keep: number; readonly sizes: readonly number[] }
  | { readonly kind: 'commit' | 'compact' | 'read'; readonly share: number }
  | { readonly kind: 'install'; readonly segments: number; readonly sizes: readonly number[] }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'powerCut'; readonly seed: number }
  | { readonly kind: 'kill' | 'close' };

const sizes = fc.array(fc.integer({ min: 0, max: 2500 }), { minLength: 1, maxLength: 6 });
const share = fc.nat({ max: 999 });
const of = <Kind extends string>(kind: Kind) => fc.constant(kind);
const anAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: of('append'), sizes }) },
  { weight: 1, arbitrary: fc.record({ kind: of('cut'), keep: share, sizes }) },
  { weight: 3, arbitrary: fc.record({ kind: of('commit'), share }) },
  { weight: 3, arbitrary: fc.record({ kind: of('compact'), share }) },
  { weight: 4, arbitrary: fc.record({ kind: of('read'), share }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: of('install'), segments: fc.nat({ max: 3 }), sizes }),
  },
  { weight: 5, arbitrary: fc.record({ kind: of('steps'), count: fc.nat({ max: 8 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: of('powerCut'), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: of('kill') }) },
  { weight: 1, arbitrary: fc.record({ kind: of('close') }) },
);

/** All that was ever said to stand on one beginning. */
interface Log {
  /** Bases it may be found with: the one it began with, and those of its compactions. */
  readonly bases: LogBase[];
  /** The highest of them that is durable. */
  durableBase: LogBase;
  commitIndex: LogIndex;
}

interface State {
  readonly log: Log;
  /** From the beginning of the log, whatever was compacted since. */
  readonly chain: readonly StoredEntry[];
}

class Model {
  readonly steps = new Steps();
  readonly seen = new Set<string>();
  #disk = new MemoryDisk({ later: this.steps.later });
  #log: CommitLog | null = null;
  #chain = new EntryChain(SMALL);
  #term = 1;
  #seed = 0;
  #states: State[] = [{ log: newLog(this.#chain.base), chain: [] }];
  readonly #rules: StoreRules;

  constructor(rules: StoreRules) {
    this.#rules = rules;
  }

  async perform(act: Act): Promise<void> {
    const log = await this.#opened();
    switch (act.kind) {
      case 'append':
        this.#write(log, null, act.sizes);
        return;
      case 'cut':
        this.#cut(log, act.keep, act.sizes);
        return;
      case 'commit':
        this.#commit(log, act.share);
        return;
      case 'compact':
        this.#compact(log, act.share);
        return;
      case 'install':
        this.#install(log, act.segments, act.sizes);
        return;
      case 'read':
        await this.#read(log, act.share);
        return;
      case 'steps':
        for (let i = 0; i < act.count; i++) await this.steps.next();
        return;
      case 'powerCut':
        this.#disk = this.#disk.powerCut(new Prng(act.seed));
        this.#log = null;
        return;
      case 'kill':
        this.#disk = this.#disk.killed();
        this.#log = null;
        return;
      case 'close':
        await this.steps.until(log.close());
        assert.equal(this.#states.length, 1, 'a close finishes what was handed over');
        this.#log = null;
    }
  }

  get #current(): Log {
    return this.#states.at(-1)!.log; // never empty
  }

  #write(log: CommitLog, from: LogIndex | null, newSizes: readonly number[]): void {
    if (from !== null) this.#chain.truncateFrom(from);
    const kept = this.#chain.entries.length;
    this.#grow(newSizes);
    this.#persist(log, {
      base: null,
      truncateFrom: from,
      entries: this.#chain.entries.slice(kept),
    });
  }

  #grow(newSizes: readonly number[]): void {
    for (const size of newSizes) {
      const payload = payloadOf(size, this.#seed++);
      const leaderCommit = this.#current.commitIndex;
      this.#chain.append({ payload, term: Term(this.#term), leaderCommit });
    }
  }

  #persist(
    log: CommitLog,
    write: Pick<Parameters<CommitLog['persist']>[0], 'base' | 'truncateFrom' | 'entries'>,
    of: Log = this.#current,
  ): void {
    const state: State = { log: of, chain: this.#chain.entries.slice() };
    this.#states.push(state);
    const hardState = { term: Term(this.#term), votedFor: null };
    const onDurable = (): void => {
      this.#states.splice(0, this.#states.indexOf(state));
    };
    log.persist({ ...write, hardState, onDurable });
  }

  #cut(log: CommitLog, keep: number, newSizes: readonly number[]): void {
    const first = this.#current.commitIndex + 1;
    const count = this.#chain.lastIndex - first + 1;
    if (count <= 0) return;
    this.#term += 1;
    this.#write(log, LogIndex(first + (keep % count)), newSizes);
  }

  /** Only what is durable here is ever applied, and only what is applied is noted as committed. */
  #commit(log: CommitLog, part: number): void {
    const [durable] = this.#states;
    const current = this.#current;
    if (durable?.log !== current) return;
    const same = commonCount(this.#states.map(({ chain }) => chain));
    const last = tipOfBase(this.#chain.base).index + same;
    const index = current.commitIndex + Math.floor(((last - current.commitIndex) * part) / 999);
    if (index <= current.commitIndex) return;
    current.commitIndex = LogIndex(index);
    log.noteCommitIndex(current.commitIndex);
  }

  #compact(log: CommitLog, part: number): void {
    const current = this.#current;
    const ends = log
      .segmentStarts()
      .map(({ firstIndex }) => LogIndex(firstIndex - 1))
      .filter((index) => index > tipOfBase(log.base).index && index <= current.commitIndex);
    const index = ends[Math.floor((part / 1000) * ends.length)];
    if (index === undefined) return;
    const base = baseBehind(this.#chain.at(index));
    current.bases.push(base);
    void log.compact(base.desc!).then(() => {
      // Closed before it came to it, or another log took its place: nothing was promised.
      if (this.#current !== current || tipOfBase(log.base).index < index) return;
      if (tipOfBase(current.durableBase).index < index) current.durableBase = base;
    });
  }

  #install(log: CommitLog, segments: number, newSizes: readonly number[]): void {
    this.#term += 1;
    const whole = new EntryChain(SMALL);
    // The old log may reach further than the new one begins.
    const from = segments * SMALL;
    while (whole.end < from || whole.lastIndex <= this.#current.commitIndex) {
      const payload = payloadOf(2900, this.#seed++);
      whole.append({ payload, term: Term(this.#term) });
    }
    while (whole.end % SMALL !== 0) {
      whole.append({ payload: payloadOf(3000, this.#seed++), term: Term(this.#term) });
      if (whole.entries.at(-2)?.desc.type === 'filler') whole.entries.pop();
    }
    const base = baseBehind(whole.entries.at(-1)!);
    const next = newLog(base);
    this.#chain = new EntryChain(SMALL, base);
    this.#grow(newSizes);
    const entries = this.#chain.entries.slice();
    this.#persist(log, { base, truncateFrom: null, entries }, next);
  }

  /** Beside everything else: right, or gone. */
  async #read(log: CommitLog, part: number): Promise<void> {
    const count = this.#chain.entries.length;
    if (count === 0) return;
    const wanted = this.#chain.entries[Math.floor((part / 1000) ** 2 * count)]!; // below the count
    const { index } = wanted.desc;
    try {
      const [entry] = await this.steps.until(log.readEntries(index, index, 1));
      if (entry !== undefined)
        assert.deepEqual(Buffer.from(entry.bytes), Buffer.from(wanted.bytes));
      this.seen.add('read');
    } catch (error) {
      if (!(error instanceof EntriesGone)) throw error;
      assert.ok(index <= tipOfBase(log.base).index);
      this.seen.add('gone');
    }
  }

  async #opened(): Promise<CommitLog> {
    if (this.#log !== null) return this.#log;
    const log = await this.steps.until(openTestLog(this.#disk, { identity, rules: this.#rules }));
    this.#log = log;
    const { base, entries, provenCommitIndex } = log.recovered;
    const place = this.#states.findIndex((state, i) => {
      return state.log.bases.some((each) => sameBase(each, base)) && this.#isLegal(i, log);
    });
    const isSettled = this.#states.length === 1;
    if (isSettled) assert.equal(log.recovered.tornBytes, 0, 'nothing was under way');
    const sizesOf = this.#states.map(({ chain }) => chain.length);
    assert.ok(place >= 0, `${tipOfBase(base).index}+${entries.length} of ${sizesOf}`);
    const state = this.#states[place]!; // found
    if (tipOfBase(base).index > tipOfBase(state.log.bases[0]!).index) this.seen.add('compacted');
    if (place > 0 && state.log !== this.#states[0]!.log) this.seen.add('installed');
    this.#chain = new EntryChain(SMALL, state.log.bases[0]);
    const lastIndex = entries.at(-1)?.index ?? tipOfBase(base).index;
    const kept = state.chain.filter(({ desc }) => desc.index <= lastIndex);
    this.#chain.entries.push(...kept);
    assert.ok(provenCommitIndex <= lastIndex || lastIndex === tipOfBase(base).index);
    const commitIndex = Math.max(state.log.commitIndex, provenCommitIndex);
    state.log.commitIndex = LogIndex(commitIndex);
    log.noteCommitIndex(LogIndex(commitIndex));
    state.log.durableBase = base;
    this.#term = Math.max(this.#term, log.recovered.hardState.term);
    this.#states = [{ log: state.log, chain: kept }];
    this.#assertTidy(base);
    return log;
  }

  /** The found log is a beginning of this state, and keeps what was durable or never in question. */
  #isLegal(place: number, log: CommitLog): boolean {
    const { base, entries } = log.recovered;
    const state = this.#states[place]!; // a place of it
    const { index } = tipOfBase(base);
    if (index < tipOfBase(state.log.durableBase).index) return false;
    const behind = state.chain.filter(({ desc }) => desc.index > index);
    if (!entries.every((desc, i) => isDeepStrictEqual(desc, behind[i]?.desc))) return false;
    // A cut that comes next may have begun.
    const before = this.#states.slice(0, place + 2).filter((each) => each.log === state.log);
    const isNew = this.#states[0]!.log !== state.log; // never empty
    const sure = isNew ? 0 : commonCount(before.map(({ chain }) => chain));
    const lastIndex = entries.at(-1)?.index ?? index;
    return lastIndex >= tipOfBase(state.log.bases[0]!).index + sure;
  }

  #assertTidy(base: LogBase): void {
    const generations = new Set<number>();
    for (const path of this.#disk.paths) {
      const [, , directory = '', file = ''] = path.split('/');
      const generation = generationOf(directory);
      const start = parseSegmentFileName(file);
      if (generation === null || start === null) continue;
      generations.add(generation);
      assert.ok(start >= tipOfBase(base).end, `${path} is before the base`);
    }
    assert.ok(generations.size <= 1, `generations ${[...generations]}`);
  }
}

function newLog(base: LogBase): Log {
  return { bases: [base], durableBase: base, commitIndex: tipOfBase(base).index };
}

/** How many entries all of them begin with. */
function commonCount(chains: readonly (readonly StoredEntry[])[]): number {
  const [first = [], ...others] = chains;
  let count = 0;
  while (count < first.length && others.every((other) => other[count] === first[count])) count += 1;
  return count;
}

const RUN_COUNT = 150;
/** A planted bug is found by some run of so many. */
const CANARY_RUN_COUNT = 600;

/** @returns in how many runs something happened */
async function runs(count: number, rules: StoreRules): Promise<ReadonlyMap<string, number>> {
  const seen = new Map<string, number>();
  const acts = fc.array(anAct, { minLength: 8, maxLength: 60, size: 'max' });
  const holds = async (some: readonly Act[]): Promise<void> => {
    const model = new Model(rules);
    for (const act of some) await model.perform(act);
    await model.perform({ kind: 'kill' });
    await model.perform({ kind: 'close' });
    for (const what of model.seen) seen.set(what, (seen.get(what) ?? 0) + 1);
  };
  // Nobody reads how a planted bug was found.
  const endOnFailure = rules !== standardStoreRules;
  const options = { numRuns: count, includeErrorInReport: true, endOnFailure };
  await fc.assert(fc.asyncProperty(acts, holds), options);
  return seen;
}

test('whatever happens, the log that was durable is found, on one of its bases', async () => {
  const seen = await runs(RUN_COUNT, standardStoreRules);
  for (const what of ['compacted', 'installed', 'read', 'gone']) {
    assert.ok((seen.get(what) ?? 0) > 0, `${what}: ${seen.get(what) ?? 0} of the runs`);
  }
});

const CANARIES: Readonly<Record<string, Partial<StoreRules>>> = {
  'files go before the base is swapped (H8)': {
    orderOfCompaction: (swapsBase, unlinks) => [...unlinks, swapsBase],
  },
  'segments outlive an installation (C25)': { generationAfter: (generation) => generation },
};

for (const [name, rules] of Object.entries(CANARIES)) {
  test(`canary: ${name}`, async () => {
    await assert.rejects(runs(CANARY_RUN_COUNT, { ...standardStoreRules, ...rules }));
  });
}
