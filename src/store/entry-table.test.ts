import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { advance, LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import type { EntryDesc } from '../raft/entry.ts';
import { EntryTable } from './entry-table.ts';
import { ORIGIN_TIP } from './log-base.ts';
import { type Tip, tipOf } from './repair/region.ts';

function entryAfter(before: Tip, sizeBytes: number): EntryDesc {
  return {
    index: advance(before.index, 1),
    term: before.term,
    type: sizeBytes % 5 === 0 ? 'filler' : 'data',
    physicalOffset: before.end,
    sizeBytes,
    payloadSizeBytes: 0,
    payloadCrc: 0,
  };
}

type Act =
  | { readonly kind: 'append'; readonly count: number; readonly sizeBytes: number }
  | { readonly kind: 'cut' | 'compact'; readonly share: number }
  | { readonly kind: 'reset'; readonly index: number };

const share = fc.nat({ max: 1000 });
const anAct: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      count: fc.oneof(fc.nat({ max: 5 }), fc.integer({ min: 900, max: 2200 })),
      sizeBytes: fc.integer({ min: 64, max: 500 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), share }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const), share }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reset' as const), index: fc.nat({ max: 5000 }) }),
  },
);

/** The base, then every entry: a list. */
function perform(table: EntryTable, model: Tip[], sizes: number[], act: Act): void {
  const count = model.length - 1;
  switch (act.kind) {
    case 'append':
      for (let i = 0; i < act.count; i++) {
        const desc = entryAfter(model.at(-1)!, act.sizeBytes); // never empty
        const headerCrc = (desc.index * 2_654_435_761) % 2 ** 32;
        table.append(desc, headerCrc);
        model.push(tipOf(desc, headerCrc));
        sizes.push(desc.sizeBytes);
      }
      return;
    case 'cut': {
      if (count === 0) return;
      const kept = Math.floor((act.share / 1001) * count);
      table.truncateFrom(advance(model[0]!.index, kept + 1)); // never empty
      model.length = kept + 1;
      sizes.length = kept;
      return;
    }
    case 'compact': {
      const gone = Math.floor((act.share / 1000) * count);
      table.compactTo(advance(model[0]!.index, gone)); // never empty
      model.splice(0, gone);
      sizes.splice(0, gone);
      return;
    }
    case 'reset': {
      const [index, end] = [LogIndex(act.index), PhysicalOffset(act.index * 100)];
      const base = { index, end, term: Term(7), headerCrc: act.index };
      table.resetTo(base);
      model.splice(0, model.length, base);
      sizes.length = 0;
    }
  }
}

test('a table answers as a list of all entries behind its base does', () => {
  fc.assert(
    fc.property(fc.array(anAct, { maxLength: 20 }), (acts) => {
      const table = new EntryTable();
      const model: Tip[] = [ORIGIN_TIP];
      const sizes: number[] = [];
      for (const act of acts) {
        perform(table, model, sizes, act);
        const [base, last] = [model[0]!, model.at(-1)!]; // never empty
        assert.deepEqual(table.base, base);
        assert.deepEqual(table.tipAt(table.lastIndex), last);
        assert.equal(table.has(base.index), false);
        assert.equal(table.has(advance(last.index, 1)), false);
        if (base.end > 0) assert.equal(table.indexAt(PhysicalOffset(base.end - 1)), null);
        for (let i = 1; i < model.length; i += 1 + Math.floor(model.length / 7)) {
          const tip = model[i]!; // in range
          assert.deepEqual(table.tipAt(tip.index), tip);
          assert.equal(table.sizeOf(tip.index), sizes[i - 1]);
          assert.equal(table.indexAt(PhysicalOffset(tip.end - 1)), tip.index);
        }
        assert.throws(() => table.offsetOf(base.index), /the entry is in the log/);
      }
    }),
    { numRuns: 60 },
  );
});

test('what is compacted gives its memory back', () => {
  const table = new EntryTable();
  let tip: Tip = ORIGIN_TIP;
  const grow = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const desc = entryAfter(tip, 64);
      table.append(desc, 1);
      tip = tipOf(desc, 1);
    }
  };
  for (let round = 1; round <= 30; round++) {
    grow(5000);
    table.compactTo(advance(table.lastIndex, -1000));
    assert.ok(table.chunkCount <= 2, `${table.chunkCount} chunks in round ${round}`);
  }
  assert.equal(table.lastIndex, 150_000);
});
