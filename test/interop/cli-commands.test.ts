/** Each command once as a table and once as JSON against a real node, with its exit codes. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import {
  aBasePort,
  aWorkingDirectory,
  type CommandEnd,
  CommandProcess,
  DevProcess,
  jsonLines,
  mqRaft,
} from './dev-process.ts';
import { type Owner, owning } from './owner.ts';

suite('commands against a real node', { timeout: 120_000 }, () => {
  let cwd = '';
  const releases: (() => Promise<void>)[] = [];
  const owner: Owner = { after: (release) => releases.push(release) };
  const run = (line: string) => mqRaft(owner, cwd, ...line.split(' '));

  before(async () => {
    cwd = aWorkingDirectory(owner);
    await DevProcess.start(owner, cwd, '--nodes', '1', '--base-port', String(await aBasePort()));
  });
  after(() =>
    owning(async (all) => {
      for (const release of releases) all.after(release);
    }),
  );

  test('topic create, list and describe', async () => {
    const created = await run('topic create made --queues 5');
    ends(created, 0);
    equal(created.stdout, 'topic made created, 5 queues\n');
    const [again] = jsonLines<TopicLine>(
      (await run('topic create made --queues 5 -o json')).stdout,
    );
    equal(again?.created, false);

    const [described] = jsonLines<TopicLine>((await run('topic describe made -o json')).stdout);
    equal(described?.topic.queueCount, 5);
    deepEqual(
      described?.topic.queues.map(({ queueId, nextOffset }) => [queueId, nextOffset]),
      [0, 1, 2, 3, 4].map((queueId) => [queueId, '0']),
    );
    const table = await run('topic describe made');
    match(table.stdout, /^topic made, 5 queues, 0 messages, read\+write/);
    equal(table.stdout.match(/^ +\d +0 +0 +0$/gm)?.length, 5);

    match((await run('topic list')).stdout, /^ +made +5 +0 +read\+write/m);
    const [list] = jsonLines<{ topics: { name: string }[] }>(
      (await run('topic list -o json')).stdout,
    );
    ok(list?.topics.some(({ name }) => name === 'made'));
  });

  test('send: one message, and many of a size', async () => {
    const one = await run('send sent hello --key A-1 --tag paid');
    ends(one, 0);
    match(one.stdout, /^SEND_OK {2}sent\/\d+@0 /);
    const [receipt] = jsonLines<ReceiptLine>((await run('send sent again -o json')).stdout);
    equal(receipt?.kind, 'sent');
    match(receipt?.messageId ?? '', /^01[0-9A-F]{32}$/);
    equal(receipt?.duplicate, false);

    const many = await run('send sent --count 200 --size 2000');
    ends(many, 0);
    match(many.stdout, /200 messages of 2000 bytes/);
    const [summary] = jsonLines<{ kind: string; sentCount: number; bodySizeBytes: number }>(
      (await run('send sent --count 50 --size 300 -o json')).stdout,
    );
    deepEqual(
      [summary?.kind, summary?.sentCount, summary?.bodySizeBytes],
      ['sendSummary', 50, 300],
    );
    const [topic] = jsonLines<TopicLine>((await run('topic describe sent -o json')).stdout);
    equal(topic?.topic.messageCount, '252', 'every message is stored once');
  });

  test('consume: all, by tag, up to a number; what one group took is there for another', async () => {
    for (const tag of ['paid', 'refund', 'void'])
      ends(await run(`send eaten ${tag} --tag ${tag}`), 0);
    const tags = ['consume', 'eaten', '--group', 'two', '--tag', 'paid || void', '--until-empty'];
    const filtered = await mqRaft(owner, cwd, ...tags, '-o', 'json');
    ends(filtered, 0);
    const bodies = jsonLines<{ body: string }>(filtered.stdout).map(({ body }) => body);
    deepEqual(bodies.sort(), ['paid', 'void']);
    match(filtered.stderr, /2 messages consumed by group two/);

    const table = await run('consume eaten --group all --max 3');
    ends(table, 0);
    equal(table.stdout.match(/^eaten\/\d+@\d+ .* \(acked\)$/gm)?.length, 3);
    const nothing = await run('consume eaten --group all --until-empty -o json');
    ends(nothing, 0);
    equal(nothing.stdout, '', 'what was acknowledged does not come again');
    ends(await run('consume eaten --group all --max 1 --timeout 500ms'), 6);
  });

  test('Ctrl-C ends a consumer with 130 after telling what it did', async () => {
    ends(await run('send waited x'), 0);
    const consumer = new CommandProcess(owner, cwd, ['consume', 'waited', '--group', 'g']);
    await consumer.written('stdout', /\(acked\)/);
    consumer.kill('SIGINT');
    const end = await consumer.end();
    ends(end, 130);
    match(end.stderr, /1 message consumed by group g/);
  });

  test('status and version', async () => {
    const table = await run('status');
    ends(table, 0);
    match(table.stdout, /node +role +term +last +durable +commit +applied +lag/);
    match(table.stdout, /^ +n1 +LEADER +\d/m);
    const [status] = jsonLines<{ groups: { nodes: Record<string, unknown>[] }[] }>(
      (await run('status -o json')).stdout,
    );
    const node = status?.groups[0]?.nodes[0];
    for (const field of ['term', 'lastIndex', 'durableIndex', 'commitIndex', 'appliedIndex']) {
      match(String(node?.[field]), /^\d+$/, field);
    }
    equal(node?.['role'], 'leader');
    equal(node?.['lag'], '0');
    match((await run('version')).stdout, /^mq-raft \d/);
    equal(jsonLines<{ kind: string }>((await run('version -o json')).stdout)[0]?.kind, 'version');
  });

  test('what is wrong with a command is told by its exit code and on stderr only', async () => {
    const usage = ['', 'nonsense', 'send', 'send a', 'send a b --count 0', 'consume a --max 1'];
    for (const line of usage) {
      const end = await mqRaft(owner, cwd, ...line.split(' ').filter((word) => word !== ''));
      ends(end, 2);
    }
    const absent = ['topic describe absent', 'consume absent --group g --max 1'];
    for (const line of absent) {
      const end = await run(line);
      ends(end, 3);
      match(end.stderr, /Topic absent does not exist\n {2}to do: npx mq-raft topic create absent/);
    }
    const nobody = '127.0.0.1:1';
    for (const line of ['status', 'topic list', 'send a b', 'consume a --group g --max 1']) {
      const end = await run(`${line} --namesrv ${nobody} --timeout 300ms`);
      ends(end, 6);
      match(end.stderr, /127\.0\.0\.1:1/);
    }
    ends(await run(`send a b --endpoints ${nobody} --timeout 300ms`), 6);
  });
});

interface TopicLine {
  readonly created?: boolean;
  readonly topic: {
    readonly queueCount: number;
    readonly messageCount: string;
    readonly queues: readonly { readonly queueId: number; readonly nextOffset: string }[];
  };
}
interface ReceiptLine {
  readonly kind: string;
  readonly messageId: string;
  readonly duplicate: boolean;
}

function ends(end: CommandEnd, code: number): void {
  equal(end.code, code, `${end.stdout}${end.stderr}`);
  if (code !== 0 && code !== 130) {
    equal(end.stdout, '', 'data goes to stdout, trouble to stderr');
    ok(end.stderr.length > 0);
  }
}
