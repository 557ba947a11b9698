import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ENTRY_HEADER_LAYOUT } from '../protocol/entry-codec.ts';
import { DURABLE_NOTE_LAYOUT } from './durable-ring.ts';
import { BASE_LAYOUT } from './log-base.ts';
import { SEGMENT_HEADER_LAYOUT } from './segment.ts';
import { SUPERBLOCK_SLOT_LAYOUT } from './superblock.ts';

interface Field {
  readonly name: string;
  readonly at: number;
  readonly sizeBytes: number;
}

const pages = [
  { page: 'commit-log.md', name: 'SEGMENT_HEADER_LAYOUT', layout: SEGMENT_HEADER_LAYOUT },
  { page: 'commit-log.md', name: 'ENTRY_HEADER_LAYOUT', layout: ENTRY_HEADER_LAYOUT },
  { page: 'commit-log.md', name: 'DURABLE_NOTE_LAYOUT', layout: DURABLE_NOTE_LAYOUT },
  { page: 'base.md', name: 'BASE_LAYOUT', layout: BASE_LAYOUT },
  { page: 'superblock.md', name: 'SUPERBLOCK_SLOT_LAYOUT', layout: SUPERBLOCK_SLOT_LAYOUT },
] as const;

for (const { page, name, layout } of pages) {
  test(`docs/format/${page} says of ${name} what the code does`, () => {
    assert.deepEqual(tableAfter(readFileSync(`docs/format/${page}`, 'utf8'), name), layout);
  });

  test(`the fields of ${name} do not overlap`, () => {
    const fields: readonly Field[] = layout;
    for (const [i, field] of fields.entries()) {
      const next = fields[i + 1];
      if (next !== undefined) assert.ok(field.at + field.sizeBytes <= next.at, field.name);
    }
  });
}

function tableAfter(text: string, name: string): readonly Field[] {
  const marker = `<!-- layout: ${name} -->`;
  const start = text.indexOf(marker);
  assert.ok(start >= 0, `${marker} is in the page`);
  const fields: Field[] = [];
  for (const line of text.slice(start + marker.length).split('\n')) {
    const row = /^\| (\d+) \| (\d+) \| (\w+) \|/.exec(line);
    if (row !== null) fields.push({ at: Number(row[1]), sizeBytes: Number(row[2]), name: row[3]! });
    else if (fields.length > 0) break;
  }
  return fields;
}
