import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId } from '../../base/units.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { aGroupLog, aGroupStore } from '../../store/recover/recovery-fixture.ts';
import { MemoryTerminal, reportOf } from '../memory-environment.ts';

const lastJson = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
/** Ten seconds after the last message of the fixture. */
const LOST = ['--lost-at', '2023-11-14T22:13:30.200Z'];

async function aTerminal(): Promise<MemoryTerminal> {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.idDigits = 16;
  await aGroupStore(terminal.writable, '/n1', NodeId('n1'), aGroupLog(21));
  return terminal;
}

async function filesOf(disk: MemoryDisk): Promise<readonly string[]> {
  return disk.list('/n1');
}

test('a dry run ranks, bounds the loss, and changes nothing', async () => {
  const terminal = await aTerminal();
  const before = await filesOf(terminal.writable);
  equal(await terminal.run('unsafe-recover', '/n1', ...LOST), 0);
  const { text } = terminal.stdout;
  match(text, /^ {2}\* +n1 +\d+ +1 +\d+ +2023-11-14 22:13:20 +\/n1$/m);
  match(text, /entries up to \d+ are proven committed and present/);
  match(
    text,
    /At the\s+last\s+rate,\s+20\s+messages\s+a\s+second,\s+for\s+10\s+s:\s+at\s+most\s+200/,
  );
  match(text, /test-cluster-r1 instead of test-cluster, from term 2 on/);
  match(text, /n2, n3: never started again/);
  match(terminal.stderr.text, /Nothing was changed/);
  deepEqual(await filesOf(terminal.writable), before);
});

test('--execute wants the group and the number, typed or given', async () => {
  const terminal = await aTerminal();
  const args = ['unsafe-recover', '/n1', ...LOST, '--execute'];
  equal(await terminal.run(...args), 2);
  match(terminal.stderr.text, /--confirm 'g1 200'/);
  terminal.answers = ['g1 199'];
  equal(await terminal.run(...args), 10);
  equal(await terminal.run(...args, '--confirm', 'g1 200'), 0);
  match(terminal.stdout.text, /done: \/n1 is cluster test-cluster-r1 from entry \d+ on/);
  const names = await filesOf(terminal.writable);
  equal(names.includes('recovery-report.json'), true);
  const report = JSON.parse(
    new TextDecoder().decode(terminal.writable.contentOf('/n1/recovery-report.json')),
  );
  equal(report.state, 'done');
  equal(report.task.findings.decidedBy, 'alice@test');
  equal(report.task.findings.loss.messagesMax, '200');
});

test('it ends with 4, and says what to do, while a majority is left', async () => {
  const terminal = await aTerminal();
  await aGroupStore(terminal.writable, '/n2', NodeId('n2'), aGroupLog(20));
  equal(await terminal.run('unsafe-recover', '/n1', '/n2', '--execute'), 4);
  match(terminal.stderr.text, /n1 and n2 are a majority of the voters \{n1, n2, n3\}: start them/);
  equal(await terminal.run('unsafe-recover', '/n1', '/n2', '-o', 'json'), 4);
  equal(lastJson(terminal.stdout.text).survivors.length, 2);
});

test('survivors with different committed entries are refused', async () => {
  const terminal = await aTerminal();
  const other = aGroupLog(15);
  const { term } = other.entries[0]!.desc;
  other.append({ payload: Buffer.from('x'), term, leaderCommit: LogIndex(18) });
  other.append({ payload: Buffer.from('proof'), term, leaderCommit: LogIndex(19) });
  await aGroupStore(terminal.writable, '/n2', NodeId('n2'), other);
  equal(await terminal.run('unsafe-recover', '/n1', '/n2'), 4);
  match(terminal.stderr.text, /n1 and n2 hold different entries at or below entry \d+/);
});

test('a directory in use is refused, and one that is none ends with 3', async () => {
  const terminal = await aTerminal();
  terminal.lockHolders.set('/n1', { pid: 7 });
  equal(await terminal.run('unsafe-recover', '/n1'), 4);
  match(terminal.stderr.text, /process 7 holds its lock/);
  equal(await terminal.run('unsafe-recover', '/nowhere'), 3);
});

test('the plan as JSON, and a wrong time', async () => {
  const terminal = await aTerminal();
  equal(await terminal.run('unsafe-recover', '/n1', ...LOST, '-o', 'json'), 0);
  const plan = lastJson(terminal.stdout.text);
  equal(plan.kind, 'recoveryPlan');
  equal(plan.loss.messagesMax, '200');
  equal(await terminal.run('unsafe-recover', '/n1', '--lost-at', 'yesterday'), 2);
});
