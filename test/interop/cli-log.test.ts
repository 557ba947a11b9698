/** `mq-raft log` on the directory of a real broker: in use, closed, killed, and then damaged. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { aWorkingDirectory, type CommandEnd, jsonLines, mqRaft } from './dev-process.ts';
import { type Owner, owning } from './owner.ts';
import { TestCluster } from './test-cluster.ts';

const SEGMENT_SIZE_BYTES = 256 * 1024;

suite('inspection of a real directory', { timeout: 120_000 }, () => {
  const releases: (() => Promise<void>)[] = [];
  const owner: Owner = { after: (release) => releases.push(release) };
  let cwd = '';
  let cluster: TestCluster;
  let directory = '';
  const log = (...args: readonly string[]) => mqRaft(owner, cwd, 'log', ...args);
  const send = (...args: readonly string[]) =>
    mqRaft(owner, cwd, 'send', ...args, '--namesrv', cluster.nameServer);

  before(async () => {
    cwd = aWorkingDirectory(owner);
    cluster = await TestCluster.start({ nodeCount: 1, segmentSizeBytes: SEGMENT_SIZE_BYTES });
    owner.after(() => cluster.close());
    directory = cluster.node('n1').directory;
    ends(await send('orders', 'hello', '--key', 'A-1', '--tag', 'paid'), 0);
    ends(await send('orders', '--count', '600', '--size', '1000'), 0);
    const consume = ['consume', 'orders', '--group', 'g', '--max', '2'];
    ends(await mqRaft(owner, cwd, ...consume, '--namesrv', cluster.nameServer), 0);
  });
  after(() =>
    owning(async (all) => {
      for (const release of releases) all.after(release);
    }),
  );

  test('a directory in use is refused by its process id, and read with --live', async () => {
    for (const verb of ['info', 'dump', 'verify']) {
      const refused = await log(verb, directory);
      ends(refused, 4);
      match(refused.stderr, new RegExp(`process ${cluster.pidOf('n1')} holds its lock`));
    }
    const live = await log('verify', directory, '--live', '-o', 'json');
    ends(live, 0);
    match(live.stderr, /its newest entries may be half written/);
    const info = await log('info', directory, '--live', '-o', 'json');
    ends(info, 0);
    equal(jsonLines<InfoLine>(info.stdout)[0]?.startup, null);
    ok(cluster.isRunning('n1'), 'the broker noticed nothing');
    ends(await send('orders', 'still there'), 0);
  });

  test('of a killed broker: intact, or torn where its last write was', async () => {
    await cluster.kill('n1');
    const [info] = jsonLines<InfoLine>((await log('info', directory, '-o', 'json')).stdout);
    equal(info?.cleanEnd, null);
    equal(info?.startup?.verdict, 'opens');
    const before = filesOf(directory);
    ends(await log('verify', directory), 0);
    ends(await log('dump', directory, '--records'), 0);
    deepEqual(filesOf(directory), before, 'nothing is written, not even the lock');
    await cluster.startNode('n1');
    await cluster.leader();
    await cluster.kill('n1', 'SIGTERM');
  });

  test('of a closed log: info, dump and verify agree', async () => {
    const [info] = jsonLines<InfoLine>((await log('info', directory, '-o', 'json')).stdout);
    ok(info !== undefined);
    equal(info.identity.nodeId, 'n1');
    equal(info.bootCount, 2);
    equal(info.cleanEnd?.index, info.last.index);
    equal(info.derived.appliedIndex, info.last.index, 'read from the file of the database');
    ok(info.segments.length >= 3);

    const dump = await log('dump', directory, '-o', 'json', '--records', '--bodies', 'text');
    ends(dump, 0);
    const entries = jsonLines<EntryLine>(dump.stdout);
    deepEqual(
      entries.map(({ index }) => Number(index)),
      Array.from({ length: Number(info.last.index) }, (_, i) => i + 1),
    );
    const records = entries.flatMap((entry) => entry.records ?? []);
    const messages = records.filter(({ kind }) => kind === 'message');
    equal(messages.length, 602);
    ok(
      messages.some(
        ({ body, keys, tag }) => body === 'hello' && keys?.[0] === 'A-1' && tag === 'paid',
      ),
    );
    const commands = new Set(records.map(({ command }) => command).filter(Boolean));
    for (const command of ['topicPut', 'deliver', 'acknowledge'])
      ok(commands.has(command), command);

    const verify = await log('verify', directory, '-o', 'json');
    ends(verify, 0);
    const [verdict] = jsonLines<VerdictLine>(verify.stdout);
    deepEqual(
      [verdict?.verdict, verdict?.entryCount, verdict?.messageCount],
      ['intact', info.last.index, '602'],
    );
  });

  test('text is within 80 columns', async () => {
    const commands = [
      ['info', directory],
      ['verify', directory],
      ['dump', directory, '--records', '--limit', '20'],
      ['dump', directory, '--bodies', 'hex', '--topic', 'orders', '--limit', '3'],
    ];
    for (const command of commands) {
      const end = await log(...command);
      ends(end, 0);
      deepEqual(
        end.stdout.split('\n').filter((line) => line.length > 80),
        [],
      );
    }
  });

  test('one changed byte in a copy is found, and the exit code is 8', async () => {
    const copy = join(cwd, 'copy');
    cpSync(directory, copy, { recursive: true });
    const [entry] = jsonLines<EntryLine>(
      (await log('dump', copy, '--type', 'data', '--from', '4', '--limit', '1', '-o', 'json'))
        .stdout,
    );
    ok(entry !== undefined);
    const file = join(copy, entry.file);
    const bytes = readFileSync(file);
    const at = entry.position + 64 + 10;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(file, bytes);

    const verify = await log('verify', copy, '-o', 'json');
    equal(verify.code, 8);
    const [damage, verdict] = jsonLines<DamageLine & VerdictLine>(verify.stdout);
    deepEqual(
      [damage?.damage, damage?.file, damage?.index, damage?.belowWatermark],
      ['payload', entry.file, entry.index, true],
    );
    deepEqual([verdict?.verdict, verdict?.damageCount], ['damaged', 1]);
    const info = await log('info', copy);
    equal(info.code, 8);
    match(info.stdout, /would refuse with exit code 76/);
    equal((await log('dump', copy)).code, 8);
  });

  test('a ruined directory is described without a crash', async () => {
    const ruin = join(cwd, 'ruin');
    cpSync(directory, ruin, { recursive: true });
    writeFileSync(join(ruin, 'superblock'), 'not a superblock');
    writeFileSync(join(ruin, 'durable.ring'), '');
    const [first = '', second = ''] = readdirSync(join(ruin, 'data'));
    writeFileSync(join(ruin, 'data', first), Buffer.alloc(SEGMENT_SIZE_BYTES, 0x4d));
    truncateSync(join(ruin, 'data', second), 10_000);
    writeFileSync(join(ruin, 'derived', '1', 'data.mdb'), Buffer.alloc(20_000, 0x11));
    for (const verb of ['info', 'verify', 'dump']) {
      const end = await log(verb, ruin);
      equal(end.code, 8, end.stderr);
      equal(end.stderr, '');
    }
    match((await log('info', ruin)).stdout, /derived\/1, .*: cannot be read/);
  });

  test('what is no store ends with 3', async () => {
    ends(await log('info', join(cwd, 'absent')), 3);
    ends(await log('info', cwd), 3);
    ends(await log('dump', directory, '--from', '1000000'), 3);
  });
});

interface InfoLine {
  readonly identity: { readonly nodeId: string };
  readonly bootCount: number;
  readonly cleanEnd: { readonly index: string } | null;
  readonly last: { readonly index: string };
  readonly derived: { readonly appliedIndex: string };
  readonly segments: readonly unknown[];
  readonly startup: { readonly verdict: string } | null;
}
interface EntryLine {
  readonly index: string;
  readonly file: string;
  readonly position: number;
  readonly records?: readonly {
    readonly kind: string;
    readonly command?: string;
    readonly body?: string;
    readonly keys?: readonly string[];
    readonly tag?: string;
  }[];
}
interface VerdictLine {
  readonly verdict: string;
  readonly damageCount: number;
  readonly entryCount: string;
  readonly messageCount: string;
}
interface DamageLine {
  readonly damage: string;
  readonly file: string;
  readonly index: string;
  readonly belowWatermark: boolean;
}

/** Names, sizes and times of change of everything in a directory. */
function filesOf(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true })
    .map((name) => join(directory, String(name)))
    .map((path) => `${path} ${statSync(path).size} ${statSync(path).mtimeMs}`)
    .sort();
}

function ends(end: CommandEnd, code: number): void {
  equal(end.code, code, `${end.stdout.slice(0, 2000)}${end.stderr}`);
}
