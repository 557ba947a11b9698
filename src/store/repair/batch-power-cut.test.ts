/**
 * Power fails while a batch of lost entries is written, at each step, and each subset of the sectors that are
 * not synced then survives: the next start puts back what is still missing, and all bytes are what they
 * were. Where the batch was named by its right side it needs nobody who knows anything as committed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, Term } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import type { EntryId } from '../../raft/entry.ts';
import type { StoredEntry } from '../commit-log.ts';
import { EntryChain, payloadOf, Steps } from '../log-fixture.ts';
import { answerOf, everything, heal, RING, segmentPath, spoil, storeOf } from './repair-fixture.ts';
import { NOTHING_COMMITTED, type RepairRange } from './repair-source.ts';

/** 256 subsets at a step, each a start and a repair. */
const SECTORS_MAX = 8;
const SIZES = [100, 500, 300, 700, 200, 800, 90];
const SEGMENT = segmentPath(0);

function chainOf(sizes: readonly number[], seed: number, after: readonly StoredEntry[] = []) {
  const chain = new EntryChain(8192);
  chain.entries.push(...after);
  for (const [i, size] of sizes.entries()) {
    const payload = payloadOf(size, seed + i);
    chain.append({ payload, term: Term(1), leaderCommit: LogIndex(0) });
  }
  return chain;
}

const chain = chainOf(SIZES, 0);
const count = chain.entries.length;

function place(index: number): readonly [number, number] {
  const { physicalOffset, sizeBytes } = chain.at(index).desc;
  return [physicalOffset, sizeBytes];
}

function zero(disk: MemoryDisk, from: number, to: number): void {
  const [start] = place(from);
  const [last, sizeBytes] = place(to);
  disk.rot(SEGMENT, start, new Uint8Array(last + sizeBytes - start));
}

/** Writes that were lost: what stands there is good, and was never followed by what follows. */
function stale(disk: MemoryDisk, sizes: readonly number[]): void {
  const old = chainOf(sizes, 50, chain.entries.slice(0, 1));
  zero(disk, 2, 6);
  for (const { desc, bytes } of old.entries.slice(1)) {
    disk.rot(SEGMENT, desc.physicalOffset, bytes);
  }
  assert.ok(old.end <= place(7)[0]);
}

interface Case {
  readonly damage: (disk: MemoryDisk) => void;
  /** How much of the log is committed, by the word of peers. */
  readonly committed: EntryId;
  /** Peers give what is before, too. */
  readonly isTooMuch?: boolean;
}

const lastCommitted = chain.entries.at(-1)!.desc;

const CASES: Readonly<Record<string, Case>> = {
  'what was lost is zeros': {
    damage: (disk) => zero(disk, 2, 6),
    committed: NOTHING_COMMITTED,
  },
  'what was lost is rotten': {
    damage: (disk) => {
      for (let index = 2; index <= 6; index++) spoil(disk, chain, index);
    },
    committed: NOTHING_COMMITTED,
  },
  'what was lost is old entries of the same sizes': {
    damage: (disk) => stale(disk, SIZES.slice(1, 6)),
    committed: NOTHING_COMMITTED,
  },
  'what was lost is old entries, and more than was asked for comes': {
    damage: (disk) => stale(disk, SIZES.slice(1, 6)),
    committed: NOTHING_COMMITTED,
    isTooMuch: true,
  },
  'what was lost is old entries, smaller ones': {
    damage: (disk) => stale(disk, [60, 90, 250, 500]),
    committed: NOTHING_COMMITTED,
  },
  'what was lost is old entries, larger ones': {
    damage: (disk) => stale(disk, [900, 1100]),
    committed: NOTHING_COMMITTED,
  },
  'the end is named by the note': {
    damage: (disk) => zero(disk, 3, 7),
    committed: NOTHING_COMMITTED,
  },
  'the end is named by nothing': {
    damage: (disk) => {
      disk.vanish(RING);
      zero(disk, 3, 7);
    },
    committed: lastCommitted,
  },
};

for (const [what, { damage, committed, isTooMuch = false }] of Object.entries(CASES)) {
  test(`${what}: each subset of the sectors of a batch, at each step`, async () => {
    const original = (await storeOf(chain, 'closed')).powerCutKeeping(everything);
    const ask = (range: RepairRange) => {
      const from = isTooMuch ? LogIndex(1) : range.from;
      return answerOf(chain.entries, { ...range, from }, committed);
    };
    let starts = 0;
    let widest = 0;
    for (let stepCount = 0, isOver = false; !isOver; stepCount++) {
      const steps = new Steps();
      const disk = new MemoryDisk({ later: steps.later });
      for (const path of original.paths) {
        await steps.until(disk.writeFile(path, original.contentOf(path)));
      }
      damage(disk);
      const healing = heal(disk, ask, 1e6);
      let isDone = false;
      void healing.then(() => {
        isDone = true;
      });
      for (let i = 0; i < stepCount && !isDone; i++) await steps.next();
      isOver = isDone;
      const dirty = disk.dirtySectors.get(SEGMENT) ?? [];
      assert.ok(dirty.length <= SECTORS_MAX, `${dirty.length} sectors`);
      widest = Math.max(widest, dirty.length);
      for (let subset = 0; subset < 2 ** dirty.length; subset++) {
        const survivor = disk.powerCutKeeping({
          sector: (path, sector) =>
            path !== SEGMENT || ((subset >> dirty.indexOf(sector)) & 1) === 1,
          name: () => true,
        });
        const label = `step ${stepCount}, sectors ${subset} of ${dirty.join()}`;
        const { log } = await steps.until(heal(survivor, ask, 1e6));
        assert.equal(log.recovered.entries.length, count, label);
        assert.deepEqual(survivor.contentOf(SEGMENT), original.contentOf(SEGMENT), label);
        starts += 1;
      }
    }
    assert.ok(widest >= 2 && starts > 16, `${starts} starts, ${widest} sectors`);
  });
}
