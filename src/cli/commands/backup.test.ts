import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { aBackupNode, type MemoryBackupNode } from '../../store/backup/backup-fixture.ts';
import { aGroupLog } from '../../store/recover/recovery-fixture.ts';
import { MemoryTerminal, reportOf } from '../memory-environment.ts';

const lastJson = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
const MEMBERS = 'm1=10.0.0.1:10912,m2=10.0.0.2:10912,m3=10.0.0.3:10912';

async function aTerminal(): Promise<{ terminal: MemoryTerminal; node: MemoryBackupNode }> {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.idDigits = 16;
  const node = await aBackupNode(aGroupLog(21));
  terminal.backupNode = () => node;
  return { terminal, node };
}

async function backedUp(): Promise<MemoryTerminal> {
  const { terminal } = await aTerminal();
  equal(await terminal.run('backup', '/b/'), 0, terminal.stderr.text);
  return terminal;
}

test('backup says what it holds, and that it was verified', async () => {
  const terminal = await backedUp();
  match(terminal.stderr.text, /^reading from n1, from entry 1 on$/m);
  match(terminal.stdout.text, /^of +group g1 of test-cluster, taken \d{4}-/m);
  match(terminal.stdout.text, /^log +entries 1 to \d+ with 21 messages$/m);
  match(terminal.stdout.text, /^state +1 topic and 0 groups at entry \d+$/m);
  match(terminal.stdout.text, /^backup +\/b is whole$/m);
});

test('backup and verify as JSON: 64-bit numbers are strings', async () => {
  const { terminal } = await aTerminal();
  equal(await terminal.run('backup', '/b', '-o', 'json'), 0);
  const line = lastJson(terminal.stdout.text);
  equal(line.kind, 'backup');
  equal(line.messageCount, '21');
  equal(typeof line.lastIndex, 'string');
  equal(await terminal.run('backup', 'verify', '/b', '-o', 'json'), 0);
  const verified = lastJson(terminal.stdout.text);
  deepEqual({ ...verified, kind: 'backup' }, line);
});

test('a directory that holds something is left alone', async () => {
  const terminal = await backedUp();
  equal(await terminal.run('backup', '/b'), 4);
  match(terminal.stderr.text, /\/b holds a whole backup/);
  await terminal.writable.writeFile('/other/notes', new Uint8Array(1));
  equal(await terminal.run('backup', '/other'), 4);
  match(terminal.stderr.text, /\/other is not empty/);
});

test('without a leader nothing is begun; a node that goes away leaves what can be gone on with', async () => {
  const { terminal, node } = await aTerminal();
  node.isGone = true;
  equal(await terminal.run('backup', '/b'), 11);
  match(terminal.stderr.text, /nobody could say what has been acknowledged/);
  deepEqual(terminal.writable.paths, []);
  node.isGone = false;
  const { entries } = node;
  node.entries = async function* (pull, signal) {
    yield* entries({ ...pull, lastIndex: 5 }, signal);
    node.isGone = true;
    terminal.interruptNow();
  };
  equal(await terminal.run('backup', '/b'), 130);
  equal(await terminal.run('backup', 'verify', '/b'), 8);
  match(terminal.stderr.text, /begun and not finished/);
});

test('what was cut off is gone on with; with a damaged note it is begun anew', async () => {
  for (const isDamaged of [false, true]) {
    const { terminal, node } = await aTerminal();
    const { entries } = node;
    node.entries = async function* (pull, signal) {
      yield* entries({ ...pull, lastIndex: 5 }, signal);
      terminal.interruptNow();
      node.isGone = true;
    };
    equal(await terminal.run('backup', '/b'), 130);
    const { terminal: next } = await aTerminal();
    for (const path of terminal.writable.paths) {
      await next.writable.writeFile(path, terminal.writable.contentOf(path));
    }
    if (isDamaged) next.writable.rot('/b/UNFINISHED.json', 0, Uint8Array.of(0));
    equal(await next.run('backup', '/b'), 0, next.stderr.text);
    match(next.stderr.text, isDamaged ? /begun anew/ : /going on with entry 6$/m);
    equal(await next.run('backup', 'verify', '/b'), 0);
  }
});

test('backup --rate wants a rate; --node a node that is known', async () => {
  const { terminal } = await aTerminal();
  equal(await terminal.run('backup', '/b', '--rate', '1K'), 2);
  match(terminal.stderr.text, /at least 256K/);
  equal(await terminal.run('backup', '/b', '--node', 'n9'), 3);
  match(terminal.stderr.text, /no node n9 is known/);
  equal(await terminal.run('backup', '/b', '--node', 'n2', '--rate', '20M'), 0);
});

test('verify: 3 where there is none, 8 for one changed byte', async () => {
  const terminal = await backedUp();
  equal(await terminal.run('backup', 'verify', '/nothing'), 3);
  const path = terminal.writable.paths.find((each) => each.endsWith('.seg'))!;
  const content = terminal.writable.contentOf(path);
  terminal.writable.rot(path, 5_000, Uint8Array.of(content[5_000]! ^ 1));
  equal(await terminal.run('backup', 'verify', '/b'), 8);
  match(terminal.stderr.text, /\/b is damaged/);
  equal(await terminal.run('restore', '/b', '--to', '/new', '--node', MEMBERS), 8);
  const stores = terminal.writable.paths.filter((each) => each.endsWith('/superblock'));
  deepEqual(stores, []);
});

test('restore --dry-run says what would be different, and makes nothing', async () => {
  const terminal = await backedUp();
  const before = terminal.writable.paths;
  const args = ['restore', '/b', '--to', '/new', '--node', MEMBERS, '--dry-run'];
  equal(await terminal.run(...args), 0);
  match(terminal.stdout.text, /^cluster +test-cluster-\w{8} instead of test-cluster/m);
  match(terminal.stdout.text, /^removed +n1, n2, n3: these names are never members of it$/m);
  match(terminal.stdout.text, /^makes +\/new\/m1, \/new\/m2, \/new\/m3: /m);
  equal(await terminal.run(...args, '-o', 'json'), 0);
  const line = lastJson(terminal.stdout.text);
  equal(line.kind, 'restorePlan');
  equal(line.members.length, 3);
  deepEqual(terminal.writable.paths, before);
});

test('restore makes a directory for each member and prints the lines that start them', async () => {
  const terminal = await backedUp();
  const args = ['restore', '/b', '--to', '/new/', '--node', MEMBERS, '--cluster-id', 'payments-2'];
  equal(await terminal.run(...args), 0, terminal.stderr.text);
  const lines = terminal.stdout.text.split('\n').filter((each) => each.includes('mq-raft-broker'));
  equal(lines.length, 3);
  match(
    lines[0]!,
    /--node-id m1 --cluster-id payments-2 --group-id g1 --members m1=\S+,m2=\S+,m3=/,
  );
  match(lines[0]!, /--dir \/new\/m1 --raft 10\.0\.0\.1:10912/);
  equal(await terminal.run(...args), 4);
  match(terminal.stderr.text, /\/new\/m1 is not empty/);
});

test('members that are restored one by one are the same as those made at once', async () => {
  const terminal = await backedUp();
  const args = ['restore', '/b', '--node', MEMBERS, '--cluster-id', 'payments-2'];
  equal(await terminal.run(...args, '--to', '/once'), 0);
  for (const id of ['m1', 'm2', 'm3']) {
    equal(await terminal.run(...args, '--to', '/each', '--node-id', id), 0);
  }
  const files = terminal.writable.paths.filter((path) => path.startsWith('/once/'));
  for (const path of files) {
    const other = path.replace('/once/', '/each/');
    deepEqual(terminal.writable.contentOf(other), terminal.writable.contentOf(path), other);
  }
  const unnamed = ['restore', '/b', '--to', '/x', '--node', MEMBERS, '--node-id', 'm1'];
  equal(await terminal.run(...unnamed), 2);
  match(terminal.stderr.text, /give --cluster-id/);
});

test('restore refuses the id of the old cluster, its node ids, and members that are none', async () => {
  const terminal = await backedUp();
  const args = ['restore', '/b', '--to', '/new', '--node'];
  equal(await terminal.run(...args, 'n1=a:1,m2=b:1', '--cluster-id', 'test-cluster'), 4);
  match(terminal.stderr.text, /is the cluster that was backed up/);
  match(terminal.stderr.text, /n1 was a node of test-cluster/);
  equal(await terminal.run(...args, 'm1'), 2);
  equal(await terminal.run(...args, MEMBERS, '--node-id', 'm7', '--cluster-id', 'c'), 4);
});
