import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../../base/bytes.ts';
import { Prng } from '../../base/prng.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { aBusyLog, type LossScene, stage } from '../../store/recover/loss-fixture.ts';
import { encodeSuperblock, newestSuperblock } from '../../store/superblock.ts';
import { runCli } from '../main.ts';
import { MemoryTerminal, reportOf } from '../memory-environment.ts';

const DIRECTORIES = ['/n1', '/n2', '/n3'];
const RANGE = ['recover', '--accept-loss', '9-10'];
/** What nobody reads of it, and what goes with it: of the log below. */
const WORDS = /Type (broker|g1) (\d+) to give them up|--confirm 'g1 (\d+)'/;

/** Three members that lack two entries, with a snapshot behind them. */
async function aTerminal(change: Partial<LossScene> = {}): Promise<MemoryTerminal> {
  const terminal = new MemoryTerminal((_, address) => reportOf(address));
  terminal.idDigits = 16;
  const log = aBusyLog(new Prng(11, 'loss'), 24, null);
  const { lastIndex } = log.chain;
  const lengths = { n1: lastIndex, n2: lastIndex, n3: lastIndex };
  const rot = Object.keys(lengths).flatMap((node) =>
    [9, 10].map((index) => ({ node, index, part: 'header' as const })),
  );
  const snapshot = { node: 'n2', index: lastIndex - 1 };
  await stage(terminal.writable, { log, lengths, rot, snapshot, ...change });
  return terminal;
}

const jsonOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const textIn = (disk: MemoryDisk, path: string) => new TextDecoder().decode(disk.contentOf(path));

async function wordsFor(terminal: MemoryTerminal): Promise<string> {
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--execute'), 2);
  const [, , , count] = WORDS.exec(terminal.stderr.text) ?? [];
  return `g1 ${count}`;
}

/** What every start writes that goes as far as that. */
async function startOnce(disk: MemoryDisk, path: string): Promise<void> {
  const superblock = newestSuperblock(disk.contentOf(path));
  ok(superblock !== null);
  const next = encodeSuperblock({ ...superblock, sequence: superblock.sequence + 1 });
  await disk.writeFile(path, concatBytes([next, next]));
}

test('a dry run says what is lost, given up and kept, and changes nothing', async () => {
  const terminal = await aTerminal();
  const before = terminal.writable.paths.map((path) => [path, terminal.writable.contentOf(path)]);
  equal(await terminal.run(...RANGE, ...DIRECTORIES), 0);
  const { text } = terminal.stdout;
  match(text, /^goes on +n1, alone, from \/n1$/m);
  match(
    text,
    /^lost +2 entries, 9-10, in them \d+ messages? that nobody can read; the\s+group had\s+committed all of it/m,
  );
  match(text, /^given up +\d+ messages that can be read, of entries 1 to \d+/m);
  match(text, /^kept +messages from entry \d+ to \d+; topics,/m);
  match(text, /^cluster +test-cluster-r1 instead of test-cluster, from term \d+ on$/m);
  match(text, /^for ever out +n2, n3: never started again/m);
  match(text, /^ {2}topic +queue +lost +at offsets +given up +of offsets$/m);
  match(text, /^not consumed of it, by group$/m);
  match(terminal.stderr.text, /Nothing was changed. With --execute it is done/);
  const after = terminal.writable.paths.map((path) => [path, terminal.writable.contentOf(path)]);
  deepEqual(after, before);
});

test('as JSON the plan is part of the verdict, with 64-bit numbers as text', async () => {
  const terminal = await aTerminal();
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '-o', 'json'), 0);
  const [line] = jsonOf(terminal.stdout.text);
  deepEqual([line.kind, line.verdict], ['acceptedLoss', 'lost']);
  deepEqual(line.plan.lostEntries, [{ from: '9', to: '10' }]);
  deepEqual(
    [line.plan.node, line.plan.newClusterId, line.plan.unseen],
    ['n1', 'test-cluster-r1', null],
  );
  const sum = line.plan.queues.reduce(
    (all: number, { lostMessages }: { lostMessages: string }) => all + Number(lostMessages),
    0,
  );
  equal(String(sum), line.plan.lostMessages);
});

test('--execute wants the group and the number, and leaves report, messages and what was', async () => {
  const terminal = await aTerminal();
  const words = await wordsFor(terminal);
  terminal.answers = ['g1 1'];
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--execute'), 10);
  const names = await terminal.writable.list('/n1');
  ok(!names.some((name) => /recovery|given-up/.test(name)), 'declined: nothing was written');
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--execute', '--confirm', words), 0);
  match(terminal.stdout.text, /^done: \/n1 is cluster test-cluster-r1 from entry \d+ on$/m);
  match(terminal.stderr.text, /set cluster-id to test-cluster-r1[\s\S]*mq-raft member add/);
  const report = JSON.parse(textIn(terminal.writable, '/n1/recovery-report.json'));
  deepEqual([report.kind, report.state], ['acceptLoss', 'done']);
  deepEqual([report.task.findings.node, report.task.findings.decidedBy], ['n1', 'alice@test']);
  const lines = jsonOf(textIn(terminal.writable, '/n1/given-up-before-test-cluster-r1.jsonl'));
  deepEqual(
    lines.filter(({ kind }) => kind === 'lostEntries'),
    [{ apiVersion: lines[0].apiVersion, kind: 'lostEntries', from: '9', to: '10' }],
  );
  const messages = lines.flatMap(({ records = [] }) => records);
  equal(String(messages.length), report.task.findings.givenUpMessages);
  ok(messages.every(({ kind, messageId }) => kind === 'message' && messageId !== ''));

  equal(await terminal.run('log', 'verify', '/n1'), 0, terminal.stdout.text);
  equal(await terminal.run(...RANGE, ...DIRECTORIES), 4);
  match(terminal.stderr.text, /directories are of several groups/);
});

test('interrupted behind the decision, it is finished by the same command, and nothing else is begun', async () => {
  const terminal = await aTerminal();
  const words = await wordsFor(terminal);
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--execute', '--confirm', words), 0);
  const { writable } = terminal;
  const report = textIn(writable, '/n1/recovery-report.json').replace('"done"', '"begun"');
  await writable.writeFile('/n1/recovery-report.json', new TextEncoder().encode(report));
  equal(await terminal.run(...RANGE, ...DIRECTORIES), 7);
  match(
    terminal.stderr.text,
    /was begun and not finished[\s\S]*Until then the directory does not start/,
  );
  equal(await terminal.run('unsafe-recover', '/n1'), 1);
  match(terminal.stderr.text, /finish it with mq-raft recover --accept-loss --execute/);
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--execute'), 0);
  equal(JSON.parse(textIn(writable, '/n1/recovery-report.json')).state, 'done');
});

test('without a snapshot behind the loss --execute is refused, with the way on', async () => {
  const terminal = await aTerminal({ snapshot: null });
  equal(await terminal.run(...RANGE, ...DIRECTORIES), 0);
  match(
    terminal.stderr.text,
    /no directory holds a whole snapshot at or behind entry 10[\s\S]*mq-raft restore/,
  );
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--execute'), 4);
});

test('the new cluster has a name, and another one', async () => {
  const terminal = await aTerminal();
  const named = (id: string) =>
    terminal.run(...RANGE, ...DIRECTORIES, '--new-cluster-id', id, '--execute');
  equal(await named('test-cluster'), 4);
  equal(await named('a b'), 4);
  match(terminal.stderr.text, /is the old one[\s\S]*'a b' is no cluster id/);
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--new-cluster-id', 'phoenix'), 0);
  match(terminal.stdout.text, /phoenix instead of test-cluster/);
});

test('other entries that nobody has are refused by name', async () => {
  const terminal = await aTerminal();
  equal(await terminal.run('recover', '--accept-loss', '9', ...DIRECTORIES, '--execute'), 4);
  match(terminal.stderr.text, /entries 10 cannot be read by anybody either: --accept-loss 9-10/);
});

test('a member that was neither given nor named may still have them; a lost majority adds its bound', async () => {
  const terminal = await aTerminal();
  equal(await terminal.run(...RANGE, '/n2', '--execute'), 4);
  match(terminal.stderr.text, /n1, n3 may still hold/);
  const lostAt = ['--lost', 'n1,n3', '--lost-at', '2023-11-14T22:15:00Z'];
  equal(await terminal.run(...RANGE, '/n2', ...lostAt), 0);
  match(terminal.stdout.text, /^may be lost +entries after \d+ may have been acknowledged/m);
  equal(await terminal.run(...RANGE, '/n2', '--lost-at', 'yesterday'), 2);
});

test('a directory in use is refused, before anything is read and while it is', async () => {
  const terminal = await aTerminal();
  terminal.lockHolders.set('/n3', { pid: 7 });
  equal(await terminal.run(...RANGE, ...DIRECTORIES, '--execute'), 4);
  match(terminal.stderr.text, /process 7 holds its lock/);
});

test('whoever starts a broker while the words are typed is not overrun', async () => {
  const terminal = await aTerminal();
  const words = await wordsFor(terminal);
  const environment = terminal.environment();
  const ask = async (): Promise<string> => {
    await startOnce(terminal.writable, '/n3/superblock');
    return words;
  };
  equal(await runCli([...RANGE, ...DIRECTORIES, '--execute'], { ...environment, ask }), 9);
  match(terminal.stderr.text, /\/n3 was opened since it was read/);
  const names = await terminal.writable.list('/n1');
  ok(!names.some((name) => /recovery|given-up/.test(name)), 'nothing was written');
});

test('the help says what it needs and what it leaves', async () => {
  const terminal = await aTerminal();
  equal(await terminal.run('recover', '--help'), 0);
  match(terminal.stdout.text, /--accept-loss <range>[\s\S]*--execute[\s\S]*needs a whole snapshot/);
});
