/** The search agrees with a search that is too simple to be wrong. */
import { equal } from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type Act, linearityOf } from './linearizable.ts';

interface Input {
  readonly kind: 'write' | 'read';
  readonly value: number;
}

function register(state: number, { kind, value }: Input): number | null {
  if (kind === 'write') return value;
  return state === value ? state : null;
}

/** Tries every order of every subset of the open operations. */
function isLinearizableSlowly(acts: readonly Act<Input>[], state = 0): boolean {
  const mustEnd = acts.filter(({ endMs }) => endMs !== Infinity);
  if (mustEnd.length === 0) return true;
  const firstEndMs = Math.min(...mustEnd.map(({ endMs }) => endMs));
  return acts.some((act) => {
    // Whatever comes next must have begun before everything that is left has ended.
    if (act.startMs > firstEndMs) return false;
    const next = register(state, act.input);
    const rest = acts.filter((other) => other !== act);
    return next !== null && isLinearizableSlowly(rest, next);
  });
}

const anAct = fc
  .record({
    startMs: fc.nat(12),
    lengthMs: fc.option(fc.nat(6), { nil: Infinity }),
    kind: fc.constantFrom('write' as const, 'read' as const),
    value: fc.nat(2),
  })
  .map(
    ({ startMs, lengthMs, kind, value }): Act<Input> => ({
      // A read whose answer never came says nothing.
      ...{ startMs, endMs: startMs + (kind === 'read' ? Math.min(lengthMs, 6) : lengthMs) },
      ...{ input: { kind, value }, text: `${kind} ${value}` },
    }),
  );

suite('linearityOf()', () => {
  test('agrees with trying every order', () => {
    const seen = { linearizable: 0, notLinearizable: 0 };
    fc.assert(
      fc.property(fc.array(anAct, { maxLength: 6 }), (acts) => {
        const found = linearityOf(acts, 0, register, 100_000).kind;
        const want = isLinearizableSlowly(acts) ? 'linearizable' : 'notLinearizable';
        seen[want]++;
        equal(found, want);
      }),
      { numRuns: 2_000, seed: 11 },
    );
    // A law that is only ever tried on one side proves half of it.
    equal(seen.linearizable > 200 && seen.notLinearizable > 200, true, JSON.stringify(seen));
  });

  test('gives up with `unknown` at its bound', () => {
    const acts = Array.from(
      { length: 12 },
      (_, i): Act<Input> => ({
        ...{ startMs: 0, endMs: 20, input: { kind: 'write', value: i }, text: '' },
      }),
    );
    equal(linearityOf(acts, 0, register, 50).kind, 'unknown');
  });
});
