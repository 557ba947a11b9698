import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { FatalError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import type { EntryDesc } from '../raft/entry.ts';
import type { CommitLog, StoredEntry } from './commit-log.ts';
import {
  EntryChain,
  openTestLog,
  payloadOf,
  peerOf,
  persisted,
  Steps,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const identity = { ...TEST_IDENTITY, segmentSizeBytes: 8192 };

function descsOf(chain: EntryChain): readonly EntryDesc[] {
  return chain.entries.map(({ desc }) => desc);
}

function startsWith(whole: readonly EntryDesc[], part: readonly EntryDesc[]): boolean {
  return part.every((desc, i) => isDeepStrictEqual(desc, whole[i]));
}

/** Old entries over three segments, then a cut of most of them and one new entry. */
async function cutUnderWay(seed: number): Promise<{
  readonly steps: Steps;
  readonly disk: MemoryDisk;
  readonly old: EntryChain;
  readonly chain: EntryChain;
  readonly isDurable: () => boolean;
}> {
  const steps = new Steps();
  const disk = new MemoryDisk({ later: steps.later });
  const log = await steps.until(openTestLog(disk, { identity }));
  const old = new EntryChain(identity.segmentSizeBytes);
  const chain = new EntryChain(identity.segmentSizeBytes);
  for (let i = 0; i < 8; i++) old.append({ payload: payloadOf(1200, i), term: Term(1) });
  await steps.until(persisted(log, { hardState: term(1), entries: old.entries }));
  await steps.drain();
  chain.entries.push(...old.entries.slice(0, 2));
  // Sometimes the new entry is as long as the old one in its place, so that successors would fit.
  const payload = payloadOf(seed % 2 === 0 ? 1200 : 333, 77);
  chain.append({ payload, term: Term(2) });
  let isDurable = false;
  log.persist({
    hardState: { term: Term(2), votedFor: NodeId('n2') },
    base: null,
    truncateFrom: LogIndex(3),
    entries: chain.entries.slice(2),
    onDurable: () => {
      isDurable = true;
    },
  });
  return { steps, disk, old, chain, isDurable: () => isDurable };
}

test('a crash at any step of a cut leaves the old log, a part of it, or the new one', async () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 6; seed++) {
    for (let stepCount = 0, isOver = false; !isOver; stepCount++) {
      const { steps, disk, old, chain, isDurable } = await cutUnderWay(seed);
      for (let i = 0; i < stepCount; i++) isOver = !(await steps.next());
      const random = new Prng(seed * 1000 + stepCount);
      const log = await steps.until(openTestLog(disk.powerCut(random), { identity }));
      const { entries, hardState } = log.recovered;
      const label = `seed ${seed}, step ${stepCount}, ${entries.length} entries`;
      assert.ok(entries.length >= 2, label);
      const isNew = startsWith(descsOf(chain), entries);
      const isOld = startsWith(descsOf(old), entries);
      assert.ok(isNew || isOld, label);
      if (isDurable()) {
        assert.deepEqual(entries, descsOf(chain), label);
        assert.deepEqual(hardState, { term: 2, votedFor: 'n2' });
      }
      if (entries.length > 2 && isNew) assert.equal(hardState.term, 2, 'hard state comes first');
      outcomes.add(isNew && isOld ? 'common part' : isNew ? 'new' : 'old');

      // The leader sends its entry again; what follows must not bring old entries back.
      await steps.drain();
      const cut = { hardState: term(2), truncateFrom: LogIndex(3) };
      await steps.until(persisted(log, { ...cut, entries: chain.entries.slice(2) }));
      await steps.until(log.close());
    }
  }
  assert.deepEqual([...outcomes].sort(), ['common part', 'new', 'old']);
});

test('after a crash old successors do not come back behind a new entry of the same size', async () => {
  for (let seed = 0; seed < 10; seed += 2) {
    const { steps, disk, chain } = await cutUnderWay(seed);
    await steps.drain();
    const survivor = disk.powerCut(new Prng(seed));
    const log = await steps.until(openTestLog(survivor, { identity }));
    assert.deepEqual(log.recovered.entries, descsOf(chain));
    assert.equal(log.recovered.tornBytes, 0);
  }
});

type Act =
  | { readonly kind: 'append'; readonly sizes: readonly number[] }
  | { readonly kind: 'cut'; readonly keep: number; readonly sizes: readonly number[] }
  | { readonly kind: 'vote' }
  | { readonly kind: 'pin'; readonly peer: number }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'powerCut'; readonly seed: number }
  | { readonly kind: 'kill' }
  | { readonly kind: 'close' };

const someSizes = fc.array(fc.integer({ min: 0, max: 2500 }), { minLength: 1, maxLength: 5 });
const anAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), sizes: someSizes }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('cut' as const),
      keep: fc.nat({ max: 1000 }),
      sizes: someSizes,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'vote' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('pin' as const), peer: fc.nat({ max: 3 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('steps' as const), count: fc.nat({ max: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('powerCut' as const), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'kill' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'close' as const }) },
);

/** The log next to what it has promised, and every state it may legally be in after a crash. */
class Model {
  readonly steps = new Steps();
  disk = new MemoryDisk({ later: this.steps.later });
  #log: CommitLog | null = null;
  #chain = new EntryChain(identity.segmentSizeBytes);
  #term = 1;
  #payloadSeed = 0;
  /** States of log and term: the durable one, then one per write that is under way. */
  #states: { readonly entries: readonly EntryDesc[]; readonly term: number }[] = [
    { entries: [], term: 0 },
  ];
  readonly #made: StoredEntry[] = [];
  readonly #durablePins = new Map<string, string>();

  async perform(act: Act): Promise<void> {
    this.#log ??= await this.#open();
    switch (act.kind) {
      case 'append':
        this.#persist(null, act.sizes);
        return;
      case 'cut': {
        if (this.#chain.entries.length === 0) return;
        const from = LogIndex(1 + (act.keep % this.#chain.entries.length));
        this.#term += 1;
        this.#persist(from, act.sizes);
        return;
      }
      case 'vote':
        this.#term += 1;
        this.#persist(null, []);
        return;
      case 'pin': {
        const uuid = `uuid-${this.#term}-${act.peer}`;
        const pin = this.#log.rememberPeer(NodeId(`p${act.peer}`), peerOf(uuid));
        void pin.then(() => this.#durablePins.set(`p${act.peer}`, uuid));
        return;
      }
      case 'steps':
        for (let i = 0; i < act.count; i++) await this.steps.next();
        return;
      case 'powerCut':
        this.disk = this.disk.powerCut(new Prng(act.seed));
        this.#log = null;
        return;
      case 'kill':
        this.disk = this.disk.killed();
        this.#log = null;
        return;
      case 'close':
        await this.steps.until(this.#log.close());
        assert.equal(this.#states.length, 1, 'a close finishes what was handed over');
        this.#log = null;
    }
  }

  #persist(truncateFrom: LogIndex | null, sizes: readonly number[]): void {
    assert.ok(this.#log);
    if (truncateFrom !== null) this.#chain.truncateFrom(truncateFrom);
    const kept = this.#chain.entries.length;
    const term = Term(this.#term);
    for (const size of sizes) {
      this.#chain.append({ payload: payloadOf(size, this.#payloadSeed++), term });
    }
    this.#made.push(...this.#chain.entries.slice(kept));
    const state = { entries: descsOf(this.#chain), term: this.#term };
    this.#states.push(state);
    this.#log.persist({
      hardState: { term, votedFor: null },
      base: null,
      truncateFrom,
      entries: this.#chain.entries.slice(kept),
      onDurable: () => {
        this.#states.splice(0, this.#states.indexOf(state));
      },
    });
  }

  async #open(): Promise<CommitLog> {
    const log = await this.steps.until(openTestLog(this.disk, { identity }));
    const { entries, hardState } = log.recovered;
    const [durable] = this.#states;
    assert.ok(durable);
    assert.ok(hardState.term >= durable.term, 'no durable term is forgotten');
    // Each write under way either changes nothing, cuts some, or adds a part of its entries.
    const isLegal = this.#states.some(
      (state, i) => startsWith(state.entries, entries) && this.#mustKeep(i) <= entries.length,
    );
    assert.ok(isLegal, `${entries.length} entries of ${this.#states.map((s) => s.entries.length)}`);
    for (const [peer, uuid] of this.#durablePins) {
      assert.ok(log.peers.get(NodeId(peer)) !== undefined, `${peer} stays pinned to ${uuid}`);
    }
    this.#chain = this.#chainOf(entries);
    this.#term = Math.max(this.#term, hardState.term);
    this.#states = [{ entries, term: hardState.term }];
    return log;
  }

  /** Entries that all states from the durable one to the i-th have in common are never lost. */
  #mustKeep(i: number): number {
    let common = this.#states[0]!.entries;
    for (const state of this.#states.slice(1, i + 2)) {
      let length = 0;
      while (length < common.length && isDeepStrictEqual(state.entries[length], common[length])) {
        length += 1;
      }
      common = common.slice(0, length);
    }
    return common.length;
  }

  /** The bytes of entries, as this run made them. */
  #chainOf(entries: readonly EntryDesc[]): EntryChain {
    const chain = new EntryChain(identity.segmentSizeBytes);
    for (const desc of entries) {
      const stored = this.#made.find((made) => isDeepStrictEqual(made.desc, desc));
      assert.ok(stored, `entry ${desc.index} was made by this run`);
      chain.entries.push(stored);
    }
    return chain;
  }
}

test('whatever happens, what was durable is there after a crash', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anAct, { minLength: 5, maxLength: 40, size: 'max' }),
      async (acts) => {
        const model = new Model();
        for (const act of acts) await model.perform(act);
        await model.perform({ kind: 'kill' });
        await model.perform({ kind: 'close' });
      },
    ),
    { numRuns: 100, includeErrorInReport: true },
  );
});

for (const operation of ['write', 'sync'] as const) {
  test(`a failed ${operation} at any point is fatal, completes nothing, and loses nothing`, async () => {
    for (let after = 0, isOver = false; !isOver; after++) {
      const steps = new Steps();
      const disk = new MemoryDisk({ later: steps.later });
      const failures: FatalError[] = [];
      const onFatal = (error: FatalError): void => {
        failures.push(error);
      };
      const log = await steps.until(openTestLog(disk, { identity, onFatal }));
      await steps.drain();
      disk.failNext({ operation, code: 'EIO', after });
      const chain = new EntryChain(identity.segmentSizeBytes);
      let durableCount = 0;
      for (let i = 0; i < 6; i++) {
        const entries = chain.append({ payload: payloadOf(1500, i), term: Term(1) });
        const lastIndex = chain.entries.length;
        const hardState = i % 3 === 0 ? term(1) : null;
        const onDurable = (): void => {
          assert.deepEqual(failures, [], 'nothing completes after a failure');
          durableCount = lastIndex;
        };
        log.persist({ hardState, base: null, truncateFrom: null, entries, onDurable });
        await steps.next();
      }
      await steps.drain();
      const pin = log.rememberPeer(NodeId('n2'), peerOf('uuid')).then(
        () => 'durable',
        (error: FatalError) => error.reason,
      );
      await steps.drain();
      if (failures.length === 0) {
        isOver = true;
        continue;
      }
      assert.equal(await pin, 'diskFailed');
      assert.deepEqual(
        failures.map(({ reason }) => reason),
        ['diskFailed'],
      );
      await steps.until(log.close());

      // The next process reads the page cache, which may show what the disk does not have (H2).
      const restarted = disk.killed();
      const again = await steps.until(openTestLog(restarted, { identity }));
      const believed = again.recovered.entries;
      assert.ok(believed.length >= durableCount);
      await steps.drain();
      const survivor = restarted.powerCutKeeping({ sector: () => false, name: () => false });
      const third = await steps.until(openTestLog(survivor, { identity }));
      assert.deepEqual(third.recovered.entries, believed, `${operation} ${after}`);
    }
  });
}
