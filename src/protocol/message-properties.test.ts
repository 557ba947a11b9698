import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantError } from '../base/assert.ts';
import { formatProperties, parseProperties } from './message-properties.ts';

test('properties are read in the forms that exist', () => {
  const cases: readonly (readonly [string, readonly (readonly [string, string])[] | null])[] = [
    ['', []],
    ['a\x01b\x02', [['a', 'b']]],
    ['a\x01\x02', [['a', '']]],
    [
      'a\x01b\x02c\x01d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    ['a\x01b\x02a\x01c\x02', [['a', 'c']]],
    ['a', null],
    ['\x01b\x02', null],
    ['a\x01b\x02c', null],
  ];
  for (const [text, want] of cases) {
    assert.deepEqual(
      parseProperties(text),
      want === null ? null : new Map(want),
      JSON.stringify(text),
    );
  }
});

test('a separator in a name or value is refused', () => {
  for (const pair of [
    ['a\x01', 'b'],
    ['a', 'b\x02'],
    ['', 'b'],
  ] as const) {
    assert.throws(() => formatProperties(new Map([pair])), InvariantError);
  }
});
