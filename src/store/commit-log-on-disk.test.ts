import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { LogIndex, Term } from '../base/units.ts';
import { NodeDisk } from '../io/node/node-disk.ts';
import { EntriesGone } from './commit-log.ts';
import {
  baseAt,
  chainOfSegments,
  openTestLog,
  payloadOf,
  persisted,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'mq-raft-log-'));
after(() => rmSync(root, { recursive: true }));

/** A process that appends for ever and says each index once it is durable. */
function appendForEver(directory: string): string {
  const moduleOf = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  return `
    import { NodeDisk } from ${moduleOf('../io/node/node-disk.js')};
    import { Term } from ${moduleOf('../base/units.js')};
    import * as fixture from ${moduleOf('./log-fixture.js')};
    const { EntryChain, openTestLog, payloadOf, persisted, term, TEST_IDENTITY } = fixture;
    const log = await openTestLog(new NodeDisk(), { directory: ${JSON.stringify(directory)} });
    const chain = new EntryChain(TEST_IDENTITY.segmentSizeBytes);
    await persisted(log, { hardState: term(1) });
    for (let i = 0; ; i++) {
      const entries = chain.append({ payload: payloadOf(3000, i), term: Term(1) });
      await persisted(log, { entries });
      console.log(entries.at(-1).desc.index);
    }`;
}

test('a killed process loses nothing it has called durable', async () => {
  const directory = join(root, 'killed');
  const child = spawn(process.execPath, ['--input-type=module', '-e', appendForEver(directory)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    said = Number(line);
    if (said >= 60 && !child.killed) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL');

  const disk = new NodeDisk();
  const log = await openTestLog(disk, { directory });
  const { entries, bootCount, hardState } = log.recovered;
  assert.ok(entries.length >= said, `${entries.length} entries, ${said} were called durable`);
  assert.equal(bootCount, 2);
  assert.equal(hardState.term, 1);
  const last = entries.at(-1)!.index;
  const read = await log.readEntries(entries[0]!.index, last, 1e9);
  assert.deepEqual(
    read.map(({ desc }) => desc),
    entries,
  );
  await log.close();
  await disk.close();
});

test('a log is compacted, and another one takes its place, in real files', async () => {
  const directory = join(root, 'base');
  const disk = new NodeDisk();
  const segmentSizeBytes = 8192;
  const identity = { ...TEST_IDENTITY, segmentSizeBytes };
  const log = await openTestLog(disk, { directory, identity, tailCacheSizeBytes: 1024 });
  const chain = chainOfSegments(segmentSizeBytes, 6);
  await persisted(log, { hardState: term(1), entries: chain.entries.slice() });
  log.noteCommitIndex(LogIndex(chain.entries.length));
  const wanted = LogIndex(2);
  // Beside the compaction: read, or gone, and never an error of the disk.
  const reads = Promise.all(
    Array.from({ length: 50 }, () =>
      log.readEntries(wanted, wanted, 1).then(
        ([entry]) => entry?.desc.index,
        (error: unknown) => error instanceof EntriesGone && 'gone',
      ),
    ),
  );
  const base = baseAt(chain, 4 * segmentSizeBytes);
  await log.compact(base.desc!);
  for (const outcome of await reads) assert.ok(outcome === 2 || outcome === 'gone', `${outcome}`);
  assert.ok(!readdirSync(join(directory, 'data')).includes('00000000000000024576.seg'));
  const more = chain.append({ payload: payloadOf(900, 1), term: Term(1) });
  await persisted(log, { entries: more });

  const next = chainOfSegments(segmentSizeBytes, 12, 2);
  const installed = baseAt(next, 9 * segmentSizeBytes);
  const entries = next.entries.slice(installed.desc!.last.index);
  await persisted(log, { hardState: term(2), base: installed, entries });
  const first = entries[0]!.desc.index;
  assert.equal((await log.readEntries(first, first, 1))[0]?.desc.index, first);
  await log.close();
  const names = readdirSync(directory).filter((name) => name.startsWith('data'));
  assert.deepEqual(names, ['data-1']);

  const again = await openTestLog(disk, { directory, identity });
  assert.deepEqual(again.recovered.base, installed);
  assert.deepEqual(
    again.recovered.entries,
    entries.map(({ desc }) => desc),
  );
  await again.close();
  await disk.close();
});
