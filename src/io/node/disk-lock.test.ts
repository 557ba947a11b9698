import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { FatalError } from '../../base/errors.ts';
import { lockDirectory } from './disk-lock.ts';

const root = mkdtempSync(join(tmpdir(), 'mq-raft-lock-'));
const children: ChildProcess[] = [];
let directoryCount = 0;
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

function newDirectory(): string {
  const directory = join(root, String(++directoryCount));
  mkdirSync(directory);
  return directory;
}

/** Another process that locks the directory, says how that went, and stays. */
async function lockElsewhere(directory: string): Promise<{ child: ChildProcess; said: string }> {
  const module = new URL('./disk-lock.js', import.meta.url).href;
  const script = `
    import { lockDirectory } from ${JSON.stringify(module)};
    try {
      await lockDirectory(${JSON.stringify(directory)});
      console.log('locked');
    } catch (error) {
      console.log(error.reason + ': ' + error.message);
    }
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [said] = await once(createInterface({ input: child.stdout! }), 'line');
  return { child, said };
}

async function killed(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

test('a directory that another process has is refused, naming the process and the directory', async () => {
  const directory = newDirectory();
  const { child, said } = await lockElsewhere(directory);
  assert.equal(said, 'locked');
  await assert.rejects(lockDirectory(directory), (error) => {
    assert.ok(error instanceof FatalError);
    assert.equal(error.reason, 'directoryLocked');
    assert.equal(error.message, `Cannot lock ${directory}: process ${child.pid} is using it`);
    return true;
  });
  await killed(child);
  const lock = await lockDirectory(directory);
  assert.equal(JSON.parse(readFileSync(join(directory, 'LOCK'), 'utf8')).pid, process.pid);
  await lock.release();
  assert.deepEqual(readdirSync(directory), []);
});

test('of several processes that find the lock of a dead one, exactly one wins', async () => {
  const directory = newDirectory();
  const first = await lockElsewhere(directory);
  assert.equal(first.said, 'locked');
  await killed(first.child);
  const racers = await Promise.all([1, 2, 3, 4].map(() => lockElsewhere(directory)));
  const winners = racers.filter(({ said }) => said === 'locked');
  assert.equal(winners.length, 1, racers.map(({ said }) => said).join('; '));
  for (const { said } of racers) assert.match(said, /^(locked|directoryLocked: )/);
});

test('the file alone keeps others away from a live owner', async () => {
  // As seen from another network namespace, where the socket of the owner is invisible.
  const directory = newDirectory();
  const other = newDirectory();
  const { said } = await lockElsewhere(other);
  assert.equal(said, 'locked');
  writeFileSync(join(directory, 'LOCK'), readFileSync(join(other, 'LOCK')));
  await assert.rejects(lockDirectory(directory), { reason: 'directoryLocked' });
});

const stale = [
  { name: 'a process of another boot', text: '{"pid":1,"bootId":"other","startTime":"1"}' },
  { name: 'a process id in use by a younger process', text: '' },
  { name: 'nobody, being empty after a power cut', text: '' },
  { name: 'nobody, being cut off', text: '{"pid":12' },
];

for (const { name, text } of stale) {
  test(`a lock file of ${name} is taken over`, async () => {
    const directory = newDirectory();
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const younger = JSON.stringify({ pid: process.pid, bootId, startTime: '1' });
    writeFileSync(join(directory, 'LOCK'), name.includes('younger') ? younger : text);
    const lock = await lockDirectory(directory);
    await lock.release();
  });
}

test('a takeover that was killed half-way says what to remove', async () => {
  const directory = newDirectory();
  writeFileSync(join(directory, 'LOCK'), '');
  mkdirSync(join(directory, 'LOCK.takeover'));
  await assert.rejects(lockDirectory(directory), /LOCK\.takeover/);
});
