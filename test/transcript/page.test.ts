import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { withBlocks } from './page.ts';

const PAGE =
  'Look:\n\n<!-- run: one -->\n```\nold\n\nlines\n```\n\n<!-- run: two -->\nOld sentence.\n\nEnd\n';

test('withBlocks() puts each block where it belongs, and leaves the rest as it is', () => {
  const blocks = new Map([
    ['one', '$ new'],
    ['two', 'New sentence.'],
  ]);
  equal(
    withBlocks(PAGE, blocks),
    'Look:\n\n<!-- run: one -->\n```\n$ new\n```\n\n<!-- run: two -->\nNew sentence.\n\nEnd\n',
  );
});

test('withBlocks() refuses a page and a run that do not fit', () => {
  throws(() => withBlocks(PAGE, new Map([['one', '']])), /The run has no two/);
  const more = new Map([
    ['one', ''],
    ['two', ''],
    ['three', ''],
  ]);
  throws(() => withBlocks(PAGE, more), /no place for three/);
});
