/** An older program is told what it understands, and no value is taken for a flag. */
import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { programOf, understoodBy } from './program.ts';

const aFlag = fc.stringMatching(/^--[a-z]{1,6}$/);
/** Some flags stand alone. */
const aSetting = fc.tuple(aFlag, fc.option(fc.stringMatching(/^[a-z0-9:.]{1,8}$/)));

test('what the program does not know goes with its value, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(aSetting), fc.array(aFlag), (settings, known) => {
      const words = (of: typeof settings) =>
        of.flatMap(([flag, value]) => (value === null ? [flag] : [flag, value]));
      const flags = new Set(known.concat(settings.slice(0, 2).map(([flag]) => flag)));
      const program = { ...programOf(null), flags };
      deepEqual(
        understoodBy(program, words(settings)),
        words(settings.filter(([flag]) => flags.has(flag))),
      );
    }),
  );
});

test('this build is told everything', () => {
  deepEqual(understoodBy(programOf(null), ['--a', 'b', '--c']), ['--a', 'b', '--c']);
});
