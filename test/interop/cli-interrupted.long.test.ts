/**
 * The operator's command dies at any moment, and two operators want different things: under the load of the
 * official client, without one failed send.
 */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  aWorkingDirectory,
  type CommandEnd,
  CommandProcess,
  jsonLines,
  mqRaft,
} from './dev-process.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { disorderOf } from './operator.ts';
import { type Owner, owning } from './owner.ts';
import { TestCluster } from './test-cluster.ts';

const TIMEOUT = { timeout: 170_000 };
const LANES = 4;
/** From before it has read its arguments to after it has asked for the first time. */
const LIFETIMES_MS = [20, 200, 300, 400, 500, 700, 1_000];

interface Members {
  readonly voters: readonly string[];
  readonly removed: readonly string[];
  readonly lock: object | null;
}

interface Event {
  readonly action: string;
  readonly phase: string;
}

interface Scene {
  readonly cluster: TestCluster;
  readonly load: LoadProducer;
  readonly leader: string;
  readonly followers: readonly string[];
  readonly command: (...words: readonly string[]) => CommandProcess;
  readonly run: (...words: readonly string[]) => Promise<CommandEnd>;
}

async function underLoad(topic: string, act: (scene: Scene) => Promise<void>): Promise<void> {
  await owning(async (owner: Owner) => {
    const cluster = await TestCluster.start();
    owner.after(() => cluster.close());
    const leader = await cluster.leader();
    const followers = cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => id !== leader);
    const producer = await startProducer(owner, cluster.node(leader).grpc, topic);
    const load = new LoadProducer(owner, producer, topic, LANES);
    const cwd = aWorkingDirectory(owner);
    const where = ['--namesrv', cluster.nameServer];
    const command = (...words: readonly string[]) =>
      new CommandProcess(owner, cwd, [...words, ...where]);
    const run = (...words: readonly string[]) => mqRaft(owner, cwd, ...words, ...where);
    await sentMore(load, 50);
    await act({ cluster, load, leader, followers, command, run });
    await sentMore(load, 50);
    await load.stop();
    await cluster.converged();
    deepEqual(
      load.failures.map(({ message }) => message),
      [],
    );
    await allReceived(owner, load, cluster, cluster.node(leader).grpc, topic);
    deepEqual(await disorderOf(cluster, load, topic), []);
  });
}

function ends(end: CommandEnd, code: number): void {
  equal(end.code, code, `${end.stdout}${end.stderr}`);
}

async function membersOf(run: Scene['run']): Promise<Members> {
  const [members] = jsonLines<Members>((await run('members', '-o', 'json')).stdout);
  ok(members !== undefined);
  return members;
}

test(
  'a replacement whose command is killed at any step goes on with the same command',
  TIMEOUT,
  () =>
    underLoad('killed', async ({ cluster, followers, load, command, run }) => {
      const dead = followers[0] ?? '';
      await cluster.kill(dead);
      const { raft } = await cluster.addNode('n4');
      const words = ['replace', dead, 'n4', '--addr', raft, '--yes', '--allow-slow-disk'];
      const killedAfter = async (ms: number): Promise<void> => {
        const dying = command(...words);
        await delay(ms);
        dying.kill('SIGKILL');
        await dying.end();
      };
      // Before anything is asked; it can have begun or not, and has no token to show.
      await killedAfter(20);
      const first = command(...words);
      const shown = await first.written('stderr', /--token \S+/);
      first.kill('SIGKILL');
      await first.end();
      match((await run('members')).stdout, /under way: replace/);
      for (const ms of LIFETIMES_MS) await killedAfter(ms);
      const second = command(...words);
      await second.written('stderr', /n4/);
      const token = /--token (\S+)/.exec(shown)?.[1] ?? '';
      const join = /--join (\S+)/.exec(shown)?.[1] ?? '';
      const starting = cluster.startNodeWith('n4', ['--join', join, '--token', token]);
      second.kill('SIGKILL');
      await second.end();
      await starting;
      // Somewhere here it is done: by whichever command was quick enough.
      for (const ms of LIFETIMES_MS) await killedAfter(ms);
      const last = await run(...words);
      ends(last, 0);
      match(last.stdout, /^(done|already so): /);
      cluster.dropNode(dead);
      await sentMore(load, 50);
      const { voters, removed, lock } = await membersOf(run);
      ok(voters.includes('n4'));
      deepEqual([removed, lock], [[dead], null]);
      const events = jsonLines<Event>((await run('events', '-o', 'json')).stdout);
      const phases = events.filter(({ action }) => action.startsWith('replace'));
      equal(phases.filter(({ phase }) => phase === 'begun').length, 1, JSON.stringify(events));
      equal(phases.filter(({ phase }) => phase === 'done').length, 1, JSON.stringify(events));
    }),
);

test('of two operations that are wanted at once one is refused, and names the other', TIMEOUT, () =>
  underLoad('two', async ({ cluster, followers, command, run }) => {
    const [gone = '', kept = ''] = followers;
    const addresses = [(await cluster.addNode('n4')).raft, (await cluster.addNode('n5')).raft];
    const [a = '', b = ''] = addresses;
    const more = ['--planned', '--yes', '--allow-slow-disk', '--no-wait'];
    const both = [
      command('replace', gone, 'n4', '--addr', a, ...more),
      command('replace', kept, 'n5', '--addr', b, ...more),
    ];
    const ended = await Promise.all(both.map((each) => each.end()));
    // The loser is refused by the lock, or its plan was made for a group that the winner has changed.
    const codes = ended.map(({ code }) => code);
    equal(codes.filter((code) => code === 0).length, 1, JSON.stringify(ended));
    const lost = ended.find(({ code }) => code !== 0);
    ok(lost?.code === 4 || lost?.code === 9, JSON.stringify(ended));
    const [fresh, old] = codes[0] === 0 ? ['n5', kept] : ['n4', gone];
    const late = await run(
      'replace',
      old,
      fresh,
      '--addr',
      addresses[fresh === 'n4' ? 0 : 1] ?? '',
      ...more,
    );
    ends(late, 4);
    match(late.stderr, /operatorLock[\s\S]*"replace \S+ \S+" by /);
    ends(await run('unlock'), 0);
    const joined = fresh === 'n4' ? 'n5' : 'n4';
    ends(await run('remove', joined, '--yes'), 0);
    equal((await membersOf(run)).lock, null);
    for (const name of ['n4', 'n5']) cluster.dropNode(name);
  }),
);
