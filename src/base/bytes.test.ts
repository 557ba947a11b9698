import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { adjacentRuns, concatBytes, joinBytes } from './bytes.ts';

test('joined parts are the same bytes, in as few runs as their buffers allow, and a copy only if need be', () => {
  const cut = fc.record({ buffer: fc.nat(1), from: fc.nat(20), size: fc.nat(6) });
  fc.assert(
    fc.property(fc.array(cut, { maxLength: 8 }), fc.boolean(), (cuts, areNeighbours) => {
      const buffers = [0, 1].map((seed) =>
        Uint8Array.from({ length: 60 }, (_, i) => i + 100 * seed),
      );
      let at = 0;
      const parts = cuts.map(({ buffer, from, size }) => {
        const start = areNeighbours ? at : from;
        at = start + size;
        return buffers[areNeighbours ? 0 : buffer]!.subarray(start, at);
      });
      const whole = concatBytes(parts);
      const runs = adjacentRuns(parts);
      assert.deepEqual(concatBytes(runs), whole);
      assert.deepEqual(joinBytes(parts), whole);
      for (const [i, run] of runs.entries()) {
        const next = runs[i + 1];
        const end = run.byteOffset + run.length;
        assert.ok(next === undefined || next.buffer !== run.buffer || next.byteOffset !== end);
      }
      if (areNeighbours && parts.length > 0) {
        assert.equal(joinBytes(parts).buffer, buffers[0]!.buffer);
      }
    }),
  );
});
