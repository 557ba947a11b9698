import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryKvStore } from './memory-kv-store.ts';
import { Overlay } from './overlay.ts';

const aKey = fc
  .tuple(fc.constantFrom('A', 'B'), fc.constantFrom('', '\x00', 'k', 'ÿ'), fc.nat(5))
  .map(([table, middle, last]) => table + middle + String.fromCharCode(last * 50));
const aStep = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('put' as const), aKey, fc.nat(255)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('delete' as const), aKey, fc.constant(0)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('commit' as const), aKey, fc.constant(0)) },
);

test('reads see the last change of every row, pending, being committed or committed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aStep, { maxLength: 60, size: 'max' }), async (steps) => {
      const store = new MemoryKvStore();
      const overlay = new Overlay(store);
      const model = new Map<string, number>();
      let finish: (() => Promise<void>) | null = null;
      for (const [kind, key, value] of steps) {
        if (kind === 'put') {
          overlay.put(key, Uint8Array.of(value));
          model.set(key, value);
        } else if (kind === 'delete') {
          overlay.delete(key);
          model.delete(key);
        } else if (finish === null) {
          const changes = overlay.freeze();
          finish = () => store.commit(changes);
        } else {
          await finish();
          overlay.thaw();
          finish = null;
        }
        assert.equal(overlay.get(key)?.[0], model.get(key));
        for (const table of ['A', 'B']) {
          const rows = [...overlay.range(`${table}\x00`, `${table}ÿÿ`)];
          const wanted = [...model].filter(([k]) => k >= `${table}\x00` && k < `${table}ÿÿ`);
          assert.deepEqual(
            rows.map((row) => [row.key, row.value[0]]),
            wanted.sort(([a], [b]) => (a < b ? -1 : 1)),
          );
        }
      }
    }),
  );
});
