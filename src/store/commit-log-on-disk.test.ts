import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { NodeDisk } from '../io/node/node-disk.ts';
import { openTestLog } from './log-fixture.ts';

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
