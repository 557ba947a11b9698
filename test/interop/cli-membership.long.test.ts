/** The night-time replacement, a rolling restart and a lost majority, typed as an operator types them. */
import { equal, match, ok } from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  aWorkingDirectory,
  type CommandEnd,
  CommandProcess,
  jsonLines,
  mqRaft,
} from './dev-process.ts';
import { type Owner, owning } from './owner.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const TIMEOUT = { timeout: 170_000 };

function ends(end: CommandEnd, code: number): void {
  equal(end.code, code, `${end.stdout}${end.stderr}`);
}

async function aCluster(owner: Owner) {
  const cluster = await TestCluster.start();
  owner.after(() => cluster.close());
  const cwd = aWorkingDirectory(owner);
  const run = (...words: readonly string[]) =>
    mqRaft(owner, cwd, ...words, '--namesrv', cluster.nameServer);
  return { cluster, cwd, run };
}

interface Members {
  readonly voters: readonly string[];
  readonly configIndex: string;
}

test('a dead member is replaced at night, and a wrong command does no harm', TIMEOUT, () =>
  owning(async (owner) => {
    const { cluster, cwd, run } = await aCluster(owner);
    ends(await run('send', 'orders', '--count', '200', '--size', '500'), 0);
    const dead = await cluster.leader();
    await cluster.kill(dead);
    await cluster.leader();
    const [alive] = cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => id !== dead);
    ok(alive !== undefined);

    const wrong = await run('remove', alive, '--yes', '--allow', 'belowThree');
    ends(wrong, 4);
    match(wrong.stderr, /quorum/);
    equal(wrong.stdout, '');

    const { raft } = await cluster.addNode('n4');
    const replace = ['replace', dead, 'n4', '--addr', raft, '--allow-slow-disk'];
    const dry = await run(...replace, '--dry-run', '-o', 'json');
    ends(dry, 0);
    const [planned] = jsonLines<{ plan: { configIndex: string } }>(dry.stdout);
    const stale = await run(...replace, '--yes', '--if-config', '1');
    ends(stale, 9);

    const words = [...replace, '--yes', '--if-config', planned?.plan.configIndex ?? ''];
    const where = ['--namesrv', cluster.nameServer];
    const first = new CommandProcess(owner, cwd, [...words, ...where]);
    const shown = await first.written('stderr', /--token \S+/);
    first.kill('SIGINT');
    const interrupted = await first.end();
    ends(interrupted, 130);
    match(interrupted.stderr, /The same command goes on/);
    match((await run('members')).stdout, /under way: replace/);

    const token = /--token (\S+)/.exec(shown)?.[1] ?? '';
    const join = /--join (\S+)/.exec(shown)?.[1] ?? '';
    const second = new CommandProcess(owner, cwd, [...replace, '--yes', ...where]);
    await cluster.startNodeWith('n4', ['--join', join, '--token', token, '--zone', 'eu-1b']);
    const done = await second.end(60_000);
    ends(done, 0);
    match(done.stdout, /^done: n4 is a voter in place of/);

    match((await run('members')).stdout, /^ {2}n4 +voter +eu-1b /m);
    const [members] = jsonLines<Members>((await run('members', '-o', 'json')).stdout);
    ok(members?.voters.includes('n4') && !members.voters.includes(dead));
    ends(await run(...replace, '--yes'), 0);
    ends(await run('add', dead, '--addr', cluster.node(dead).raft), 4);
    match((await run('events')).stdout, /replace .* done/);
    const consumed = await run('consume', 'orders', '--group', 'g', '--until-empty', '-o', 'json');
    equal(jsonLines(consumed.stdout).length, 200);
  }),
);

test('a rolling restart by its plan: no send fails', TIMEOUT, () =>
  owning(async (owner) => {
    const { cluster, cwd, run } = await aCluster(owner);
    ends(await run('topic', 'create', 'orders'), 0);
    const [plan] = jsonLines<{ plan: { steps: { kind: string; sentence: string }[] } }>(
      (await run('rolling-restart', '--plan', '-o', 'json')).stdout,
    );
    const order = (plan?.plan.steps ?? [])
      .filter(({ kind }) => kind === 'restart')
      .map(({ sentence }) => /\bn\d+\b/.exec(sentence)?.[0] ?? '');
    equal(order.length, 3);
    const count = ['--count', '6000', '--size', '300', '--in-flight', '4'];
    const where = ['--namesrv', cluster.nameServer, '--timeout', '20s'];
    const load = new CommandProcess(owner, cwd, [
      'send',
      'orders',
      ...count,
      '-o',
      'json',
      ...where,
    ]);
    for (const node of order) {
      ends(await run('drain', node), 0);
      await cluster.kill(node, 'SIGTERM');
      await cluster.startNode(node);
      await waitFor(`${node} caught up`, async () => {
        const { code } = await run('catchup', node);
        return code === 0 ? true : null;
      });
      ends(await run('undrain', node), 0);
    }
    const sent = await load.end(120_000);
    ends(sent, 0);
    const [summary] = jsonLines<{ sentCount: number }>(sent.stdout);
    equal(summary?.sentCount, 6000);
  }),
);

test(
  'a lost majority: one goes on alone, the old ones are refused, new ones are added',
  TIMEOUT,
  () =>
    owning(async (owner) => {
      const { cluster, cwd, run } = await aCluster(owner);
      ends(await run('send', 'orders', '--count', '100', '--size', '300'), 0);
      await cluster.converged();
      for (const { nodeId } of cluster.nodes) await cluster.kill(nodeId);
      const { directory } = cluster.node('n1');
      const offline = (...words: readonly string[]) =>
        mqRaft(owner, cwd, 'unsafe-recover', ...words);
      ends(await offline(directory, cluster.node('n2').directory), 4);
      // Else the number would grow while it is typed.
      const lostAt = ['--lost-at', new Date().toISOString()];
      const shown = await offline(directory, ...lostAt, '-o', 'json');
      const [fixed] = jsonLines<{ loss: { messagesMax: string } }>(shown.stdout);
      const words = `broker-a ${fixed?.loss.messagesMax}`;
      ends(await offline(directory, ...lostAt, '--execute', '--confirm', words), 0);

      await cluster.startRenamed('n1', 'test-r1');
      const sent = await run('send', 'orders', 'alone');
      ends(sent, 0);
      await cluster.startNode('n2');
      await waitFor('the old node is refused', async () =>
        cluster.logOf('n1').includes('peer.refused') || cluster.logOf('n2').includes('peer.refused')
          ? true
          : null,
      );
      await cluster.kill('n2');
      const endpoints = ['--endpoints', cluster.node('n1').raft];
      const members = await mqRaft(owner, cwd, 'members', '-o', 'json', ...endpoints);
      const [report] = jsonLines<Members & { removed: string[] }>(members.stdout);
      equal(report?.voters.join(), 'n1');
      equal(report?.removed.join(), 'n2,n3');

      const { raft } = await cluster.addNode('n4');
      const alone = (...words: readonly string[]) => mqRaft(owner, cwd, ...words, ...endpoints);
      const added = await alone('add', 'n4', '--addr', raft);
      ends(added, 0);
      const token = /--token (\S+)/.exec(added.stdout)?.[1] ?? '';
      await cluster.startNodeWith('n4', ['--join', cluster.node('n1').raft, '--token', token]);
      await waitFor('n4 caught up', async () =>
        (await alone('catchup', 'n4')).code === 0 ? true : null,
      );
      ends(await alone('promote', 'n4', '--allow-even', '--allow-slow-disk'), 0);
      const [grown] = jsonLines<Members>((await alone('members', '-o', 'json')).stdout);
      equal(grown?.voters.join(), 'n1,n4');
      ends(await run('send', 'orders', 'together'), 0);
    }),
);

test('a broker starts from a file, and says all that is wrong with one', TIMEOUT, () =>
  owning(async (owner) => {
    const { cluster, cwd, run } = await aCluster(owner);
    const path = join(cwd, 'n1.yaml');
    mkdirSync(cwd, { recursive: true });
    const { directory, grpc, raft, http } = cluster.node('n1');
    const members = cluster.nodes.map((each) => `  ${each.nodeId}: ${each.raft}`).join('\n');
    const text = `node-id: n1\ncluster-id: test\ngroup-id: broker-a\nmembers:\n${members}
dir: ${directory}\ngrpc: ${grpc}\nraft: ${raft}\nhttp: ${http}
segment-size-bytes: 4194304\nnamesrv: [${cluster.nameServer}]\nadvertise-grpc: nowhere.invalid:1\n`;
    writeFileSync(path, `${text}gprc: x\nhttpp: y\n`);
    const bad = await run('config', 'validate', path);
    ends(bad, 4);
    match(bad.stderr, /2 problems[\s\S]*did you mean grpc\?[\s\S]*did you mean http\?/);
    writeFileSync(path, text);
    ends(await run('config', 'validate', path), 0);
    await cluster.kill('n1', 'SIGTERM');
    await cluster.startFrom('n1', path);
    await waitFor('the warning about itself', async () =>
      cluster.logOf('n1').includes('clients are told nowhere.invalid:1') ? true : null,
    );
    ends(await run('status'), 0);
  }),
);
