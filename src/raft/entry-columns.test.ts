import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantError } from '../base/assert.ts';
import { PhysicalOffset } from '../base/units.ts';
import { EntryColumns } from './entry-columns.ts';

/** The number of entries in a chunk, as the memory of a full one shows. */
const CHUNK = 1024;

function grow(columns: EntryColumns, endRow: number): void {
  for (let row = columns.endRow; row < endRow; row++) {
    const physicalOffset = PhysicalOffset(row * 72);
    columns.push({
      type: 'data',
      physicalOffset,
      sizeBytes: 72,
      payloadSizeBytes: 8,
      payloadCrc: 0,
    });
  }
}

test('forgotten rows are released chunk by chunk, and the others keep their numbers', () => {
  const columns = new EntryColumns(0);
  grow(columns, 10 * CHUNK);
  equal(columns.chunkCount, 10);
  columns.forgetBefore(CHUNK - 1);
  equal(columns.chunkCount, 10);
  columns.forgetBefore(7 * CHUNK + 1);
  equal(columns.chunkCount, 3);
  equal(columns.at(7 * CHUNK + 1).physicalOffset, (7 * CHUNK + 1) * 72);
  throws(() => columns.at(7 * CHUNK), InvariantError);
  columns.forgetBefore(10 * CHUNK);
  equal(columns.chunkCount, 0);
});

test('a log that is forgotten as fast as it grows stays small', () => {
  const columns = new EntryColumns(0);
  for (let endRow = 100; endRow <= 20 * CHUNK; endRow += 100) {
    grow(columns, endRow);
    columns.forgetBefore(endRow - 50);
    equal(columns.chunkCount <= 2, true);
  }
});

test('columns that begin at a high row hold no more than what is in them', () => {
  for (const firstRow of [5_000_000_000, 5_000_000 * CHUNK, 5_000_000 * CHUNK - 1]) {
    const columns = new EntryColumns(firstRow);
    equal(columns.chunkCount, 0);
    grow(columns, firstRow + 2);
    equal(columns.endOffsetAt(firstRow + 1), (firstRow + 2) * 72);
    columns.shrinkTo(firstRow);
    equal(columns.endRow, firstRow);
    grow(columns, firstRow + 1);
    equal(columns.sizeBytesAt(firstRow), 72);
    throws(() => columns.sizeBytesAt(firstRow + 1), InvariantError);
  }
});

test('rows that are gone, cut or not there yet are refused', () => {
  const columns = new EntryColumns(10);
  grow(columns, 20);
  columns.forgetBefore(15);
  throws(() => columns.at(14), InvariantError);
  throws(() => columns.at(20), InvariantError);
  throws(() => columns.shrinkTo(14), InvariantError);
  throws(() => columns.shrinkTo(21), InvariantError);
  throws(() => columns.forgetBefore(14), InvariantError);
  throws(() => columns.forgetBefore(21), InvariantError);
});
