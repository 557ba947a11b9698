/**
 * How fast a log is read and checked: past the page cache, as the scrubber and `mq-raft verify` do without a
 * limit, beside the bare device and the bare memory on the same file. Prints a table.
 *
 * `node dist/bench/scrub.js [--mib 512] [--dir /var/tmp]`
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GIB, KIB, MIB } from '../src/base/sizes.ts';
import { NodeId, Term } from '../src/base/units.ts';
import { NodeClock } from '../src/io/node/node-clock.ts';
import { NodeDisk } from '../src/io/node/node-disk.ts';
import type { CommitLog } from '../src/store/commit-log.ts';
import { EntryChain, payloadOf, persisted, term } from '../src/store/log-fixture.ts';
import { openCommitLog } from '../src/store/open-commit-log.ts';
import { SCRUB_READ_SIZE_BYTES } from '../src/store/scrub/limits.ts';

const SEGMENT_SIZE_BYTES = 64 * MIB;
const ENTRIES_PER_WRITE = 32;

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const logSizeBytes = Number(values.mib) * MIB;
if (!(logSizeBytes > 0 && logSizeBytes <= 64 * GIB)) throw new Error(`--mib ${values.mib}`);

const directory = mkdtempSync(join(values.dir, 'mq-raft-scrub-'));
const disk = new NodeDisk();
try {
  for (const entrySizeBytes of [2 * KIB, 64 * KIB, MIB]) {
    const own = join(directory, String(entrySizeBytes));
    const log = await logWith(own, entrySizeBytes);
    const paths = readdirSync(join(own, 'data'))
      // The next segment is prepared beside.
      .filter((name) => name.endsWith('.seg'))
      .sort()
      .map((name) => join(own, 'data', name));
    const row = {
      entryKiB: entrySizeBytes / KIB,
      'check, device (MB/s)': await rateOf(() => checkAll(log)),
      'bare device (MB/s)': await rateOf(() => readAll(paths, 'readPastCache')),
      'bare memory (MB/s)': await rateOf(() => readAll(paths, 'read')),
    };
    console.log(JSON.stringify(row));
    await log.close();
    rmSync(own, { recursive: true });
  }
} finally {
  await disk.close();
  rmSync(directory, { recursive: true, force: true });
}

async function logWith(own: string, entrySizeBytes: number): Promise<CommitLog> {
  const log = await openCommitLog(disk, {
    directory: own,
    identity: {
      clusterId: 'bench',
      groupId: 'g',
      nodeId: NodeId('n1'),
      segmentSizeBytes: SEGMENT_SIZE_BYTES,
    },
    mintUuid: randomUUID,
    mintBootId: () => '00000000000000aa',
    clock: new NodeClock(),
    onFatal: (error) => {
      throw error;
    },
  });
  await persisted(log, { hardState: term(1) });
  const chain = new EntryChain(SEGMENT_SIZE_BYTES);
  while (chain.end < logSizeBytes) {
    const from = chain.entries.length;
    for (let i = 0; i < ENTRIES_PER_WRITE; i++) {
      chain.append({ payload: payloadOf(entrySizeBytes - 64, from + i), term: Term(1) });
    }
    await persisted(log, { entries: chain.entries.slice(from) });
  }
  return log;
}

/** @returns bytes */
async function checkAll({ onDisk }: CommitLog): Promise<number> {
  let sizeBytes = 0;
  for (const { firstIndex, lastIndex } of onDisk.segments()) {
    for (let next = firstIndex; next <= lastIndex; ) {
      const outcome = await onDisk.check(next, lastIndex, SCRUB_READ_SIZE_BYTES);
      if (outcome.kind !== 'good') throw new Error(`A log of this bench is ${outcome.kind}`);
      sizeBytes += outcome.sizeBytes;
      next = (outcome.lastIndex + 1) as typeof next;
    }
  }
  return sizeBytes;
}

async function readAll(paths: readonly string[], way: 'read' | 'readPastCache'): Promise<number> {
  let readBytes = 0;
  for (const path of paths) {
    for (let at = 0; at < SEGMENT_SIZE_BYTES; at += SCRUB_READ_SIZE_BYTES) {
      await disk[way](path, at, SCRUB_READ_SIZE_BYTES);
      readBytes += SCRUB_READ_SIZE_BYTES;
    }
  }
  return readBytes;
}

async function rateOf(work: () => Promise<number>): Promise<number> {
  const startedAtMs = performance.now();
  const sizeBytes = await work();
  return Math.round(sizeBytes / 1e3 / (performance.now() - startedAtMs));
}
