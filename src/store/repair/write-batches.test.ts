import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Term } from '../../base/units.ts';
import { EntryChain, payloadOf } from '../log-fixture.ts';
import { segmentStartOf } from '../log-paths.ts';
import { writeBatches } from './write-batches.ts';

const SEGMENT = 8192;

test('batches are all entries in order, each of one segment, within bounds, and as few as that allows', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 40 });
  const bounds = fc.record({
    sizeBytesMax: fc.integer({ min: 64, max: 6000 }),
    entriesMax: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(sizes, bounds, (payloadSizes, { sizeBytesMax, entriesMax }) => {
      const chain = new EntryChain(SEGMENT);
      for (const [i, size] of payloadSizes.entries()) {
        chain.append({ payload: payloadOf(size, i), term: Term(1) });
      }
      const batches = writeBatches(chain.entries, SEGMENT, { sizeBytesMax, entriesMax });
      assert.deepEqual(batches.flat(), chain.entries);
      const size = (batch: (typeof batches)[number]) =>
        batch.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const segment = (at: number) =>
        segmentStartOf(chain.entries[at]!.desc.physicalOffset, SEGMENT);
      let at = 0;
      for (const [i, batch] of batches.entries()) {
        assert.ok(batch.length >= 1 && batch.length <= entriesMax);
        assert.ok(batch.length === 1 || size(batch) <= sizeBytesMax);
        assert.equal(segment(at), segment(at + batch.length - 1));
        at += batch.length;
        const next = batches[i + 1]?.[0];
        if (next === undefined) continue;
        const isFull =
          batch.length === entriesMax || size(batch) + next.bytes.length > sizeBytesMax;
        assert.ok(isFull || segment(at) !== segment(at - 1), 'it could have been longer');
      }
    }),
  );
});
