import { deepEqual, equal, match } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NameServerClient } from '../client/name-server-client.ts';
import { startChild } from '../io/node/child-processes.ts';

const script = fileURLToPath(new URL('./namesrv.js', import.meta.url));

async function aProcess(t: TestContext, ...args: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'mq-raft-namesrv-'));
  const logPath = join(folder, 'namesrv.log');
  const child = await startChild({ name: 'namesrv', script, args, logPath });
  t.after(async () => {
    child.kill('SIGKILL');
    await child.exited;
    rmSync(folder, { recursive: true });
  });
  return child;
}

test('a name server process says where it listens, serves, and stops on SIGTERM', async (t) => {
  const child = await aProcess(t, '--listen', '127.0.0.1:0');
  const ready = JSON.parse((await child.readyLine) ?? '{}');
  deepEqual([ready.event, ready.pid], ['ready', child.pid]);
  const client = new NameServerClient(ready.address);
  deepEqual(await client.groups(5_000), []);
  client.close();
  child.kill('SIGTERM');
  deepEqual(await child.exited, { kind: 'code', code: 0 });
});

test('a name server process ends with 79 when its address is taken', async (t) => {
  const first = await aProcess(t, '--listen', '127.0.0.1:0');
  const { address } = JSON.parse((await first.readyLine) ?? '{}');
  const second = await aProcess(t, '--listen', address);
  equal(await second.readyLine, null);
  deepEqual(await second.exited, { kind: 'code', code: 79 });
  match(readFileSync(second.logPath, 'utf8'), /Cannot listen on 127\.0\.0\.1/);
});

test('a name server process ends with 78 for arguments that make no sense', async (t) => {
  const child = await aProcess(t, '--listen', 'nowhere');
  deepEqual(await child.exited, { kind: 'code', code: 78 });
});
