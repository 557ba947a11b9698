/** Where a log is hurt: within what it has, wherever it begins, and in the generation that counts. */
import { equal, ok } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Prng } from '../../../src/base/prng.ts';
import { LogIndex } from '../../../src/base/units.ts';
import { NodeDisk } from '../../../src/io/node/node-disk.ts';
import {
  baseAt,
  chainOfSegments,
  openTestLog,
  persisted,
  TEST_IDENTITY,
  term,
} from '../../../src/store/log-fixture.ts';
import { applyDamage, logFilesOf } from './log-files.ts';

const SEGMENT_SIZE_BYTES = 8192;
const SEGMENTS = 6;
const root = mkdtempSync(join(tmpdir(), 'mq-raft-log-files-'));
after(() => rmSync(root, { recursive: true }));

/** A log of a few full segments, cut in front of the one of that number. */
async function logFrom(name: string, firstSegment: number): Promise<string> {
  const directory = join(root, name);
  const disk = new NodeDisk();
  const identity = { ...TEST_IDENTITY, segmentSizeBytes: SEGMENT_SIZE_BYTES };
  const log = await openTestLog(disk, { directory, identity });
  const chain = chainOfSegments(SEGMENT_SIZE_BYTES, SEGMENTS);
  await persisted(log, { hardState: term(1), entries: chain.entries.slice() });
  log.noteCommitIndex(LogIndex(chain.entries.length));
  if (firstSegment > 0) await log.compact(baseAt(chain, firstSegment * SEGMENT_SIZE_BYTES).desc!);
  await log.close();
  await disk.close();
  return directory;
}

test('a log begins at its base and ends with its last byte', async () => {
  for (const firstSegment of [0, 1, 4]) {
    const directory = await logFrom(`from-${firstSegment}`, firstSegment);
    // Of a snapshot that was being installed when the process was killed.
    mkdirSync(join(directory, 'data-7'));
    const { begin, end, segments } = await logFilesOf(directory);
    equal(begin, firstSegment * SEGMENT_SIZE_BYTES);
    equal(segments[0]?.startOffset, begin);
    ok(end > (SEGMENTS - 1) * SEGMENT_SIZE_BYTES && end <= SEGMENTS * SEGMENT_SIZE_BYTES, `${end}`);
  }
});

test('damage is done at its place, in the segment that holds it, and nowhere else', async () => {
  const directory = await logFrom('hurt', 2);
  const before = await logFilesOf(directory);
  const contents = before.segments.map(({ path }) => readFileSync(path));
  const at = 3 * SEGMENT_SIZE_BYTES + 5_000;
  applyDamage(before, 'bitFlip', at, new Prng(1, 'test'));
  const changed = before.segments.flatMap(({ path, startOffset }, i) => {
    const bytes = readFileSync(path);
    return [...bytes.keys()]
      .filter((position) => bytes[position] !== contents[i]?.[position])
      .map((position) => startOffset + position);
  });
  equal(changed.join(), `${at}`);
  applyDamage(before, 'truncate', at, new Prng(1, 'test'));
  const after = await logFilesOf(directory);
  const sizes = after.segments.map(({ sizeBytes }) => sizeBytes);
  equal(sizes[1], 5_000);
  ok(sizes.filter((size) => size === SEGMENT_SIZE_BYTES).length >= 2, sizes.join());
});
