/** Ends are counted, for what goes wrong in one of ten is not seen in one. */
import { deepEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const writing = JSON.stringify(new URL('./disk-log-writer.js', import.meta.url).href);
const ending = JSON.stringify(new URL('./end-process.js', import.meta.url).href);

const DISK_FAILED = 74;
/** With one bad end in ten, 40 good ones are a matter of one chance in 60. */
const ENDS = 40;
const AT_ONCE = 4;

/** Its disk thread fails, and it ends itself when it hears so, as a broker does. */
const failing = `
  import { NodeLogWriter } from ${writing};
  import { endProcess } from ${ending};
  const writer = new NodeLogWriter({ onFail: () => endProcess(${DISK_FAILED}), onSync: () => {} });
  const file = writer.open('/no/such/directory/file');
  const write = { file, position: 0, bytes: new Uint8Array(8) };
  writer.submit({ writes: [write], note: null, sync: 'together', onDone: () => {} });`;

async function endOf(script: string): Promise<number | string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  const [code, signal] = await once(child, 'close');
  return code ?? signal;
}

test('a process whose disk thread has failed ends with its exit code, each time', async (t) => {
  const ends: (number | string)[] = [];
  let left = ENDS;
  const lane = async (): Promise<void> => {
    while (left-- > 0) ends.push(await endOf(failing));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  t.diagnostic(`${ends.length} ends`);
  deepEqual(
    ends.filter((end) => end !== DISK_FAILED),
    [],
  );
});
