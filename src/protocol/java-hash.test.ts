import assert from 'node:assert/strict';
import { test } from 'node:test';
import { javaHashCode, tagsCodeOf } from './java-hash.ts';

test("tags have the code of Java's String.hashCode", () => {
  // Values of the Java language specification's formula: s[0]*31^(n-1) + ... in 32-bit arithmetic.
  const cases: readonly (readonly [string, number])[] = [
    ['', 0],
    ['a', 97],
    ['Aa', 2112],
    ['BB', 2112],
    ['hello', 99_162_322],
    ['TagA', 2_598_919],
    ['polygenelubricants', -2_147_483_648],
    ['é', 233],
    ['😀', 55_357 * 31 + 56_832],
  ];
  for (const [text, want] of cases) assert.equal(javaHashCode(text), want, text);
});

test('no tag has the code 0', () => {
  assert.equal(tagsCodeOf(null), 0);
  assert.equal(tagsCodeOf('TagA'), 2_598_919);
});
