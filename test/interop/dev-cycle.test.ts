/** `mq-raft dev --json` through a whole life: start, use, loss of nodes, stop, restart, sudden death. */
import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  aBasePort,
  aWorkingDirectory,
  BELOW_NPM,
  CommandProcess,
  DevProcess,
  gone,
  jsonLines,
  killIfAlive,
  mqRaft,
} from './dev-process.ts';
import { startProducer } from './official-client.ts';
import { owning } from './owner.ts';
import { waitFor } from './test-cluster.ts';

interface StatusLine {
  readonly groups: readonly {
    readonly leader: string | null;
    readonly nodes: readonly {
      readonly id: string;
      readonly role: string;
      readonly state: string;
    }[];
  }[];
}
interface MessageLine {
  readonly messageId: string;
  readonly body: string;
}

const MESSAGE_COUNT = 40;

suite('a local cluster of three', { timeout: 120_000 }, () => {
  test('serves the official client, survives its leader, stops cleanly, finds its data again', async () => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const run = (...args: string[]) => mqRaft(owner, cwd, ...args);
      const status = async () => {
        const { stdout } = await run('status', '-o', 'json');
        return jsonLines<StatusLine>(stdout)[0]?.groups[0];
      };
      const basePort = String(await aBasePort());
      const dev = await DevProcess.start(owner, cwd, '--base-port', basePort);
      isTheContract(dev, cwd);

      const sent = new Map<string, string>();
      await owning(async (producerOwner) => {
        const producer = await startProducer(producerOwner, dev.line.grpcEndpoints, 'orders');
        for (let i = 0; i < MESSAGE_COUNT; i++) {
          const body = `order ${i}`;
          const { messageId } = await producer.send({ topic: 'orders', body: Buffer.from(body) });
          sent.set(messageId, body);
        }
      });

      // The client leaves an error of a stream that it has ended unhandled: not before it is closed.
      await waitFor('the client to have left', async () =>
        (await streamCount(dev)) === 0 ? true : null,
      );

      equal((await status())?.leader, dev.leader.id);
      process.kill(dev.leader.pid, 'SIGKILL');
      const after = await waitFor('another leader', async () => {
        const group = await status();
        return typeof group?.leader === 'string' && group.leader !== dev.leader.id ? group : null;
      });
      equal(after.nodes.find(({ id }) => id === dev.leader.id)?.state, 'unreachable');
      equal(after.nodes.filter(({ role }) => role === 'leader').length, 1);
      const receipt = await run('send', 'orders', 'after the kill', '-o', 'json');
      equal(receipt.code, 0, receipt.stderr);
      sent.set(jsonLines<MessageLine>(receipt.stdout)[0]!.messageId, 'after the kill');

      const other = dev.line.nodes.find(({ id }) => id === after.leader)!;
      process.kill(other.pid, 'SIGKILL');
      await theMajorityIsMissed(run);
      const end = await dev.stopped('SIGTERM');
      equal(end.code, 0, end.stderr);
      equal(end.stdout, `${JSON.stringify(dev.line)}\n`, 'one line, and nothing after it');
      match(end.stderr, new RegExp(`${dev.leader.id} \\(process ${dev.leader.pid}\\) exited`));
      match(end.stderr, new RegExp(`no leader \\(it was ${dev.leader.id}\\)`));
      match(end.stderr, /stopped; data is kept/);

      const again = await DevProcess.start(owner, cwd);
      deepEqual(addressesOf(again), addressesOf(dev), 'a restart keeps its addresses');
      const all = await run(...'consume orders --group late --until-empty -o json'.split(' '));
      equal(all.code, 0, all.stderr);
      const received = jsonLines<MessageLine>(all.stdout);
      equal(received.length, sent.size, 'each once');
      deepEqual(new Map(received.map(({ messageId, body }) => [messageId, body])), sent);
      equal((await again.stopped('SIGINT')).code, 0);
    });
  });

  test('kill -9 of `mq-raft dev` itself leaves no process behind, and the next start works', async () => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const nodes = ['--nodes', '1', '--base-port', String(await aBasePort())];
      const dev = await DevProcess.start(owner, cwd, ...nodes);
      equal((await mqRaft(owner, cwd, 'send', 'orders', 'kept')).code, 0);
      dev.command.kill('SIGKILL');
      await gone(dev.pids);
      const again = await DevProcess.start(owner, cwd);
      equal(again.line.nodes.length, 1, 'the directory knows the number of its nodes');
      const received = await mqRaft(owner, cwd, 'consume', 'orders', '--group', 'g', '--max', '1');
      match(received.stdout, /kept/);
    });
  });
});

suite('a local cluster that npm started', { timeout: 120_000 }, () => {
  test('stops when the shell between npm and it is killed', async () => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const args = ['dev', '--json', '--nodes', '1', '--base-port', String(await aBasePort())];
      const shell = new CommandProcess(owner, cwd, args, BELOW_NPM);
      const dev = await DevProcess.of(owner, shell);
      const supervisor = supervisorOf(cwd);
      notEqual(supervisor, shell.pid);
      owner.after(async () => killIfAlive(supervisor));
      shell.kill('SIGTERM');
      await gone([...dev.pids, supervisor]);
    });
  });

  test('takes the Ctrl-C of the terminal and its copy by npm for one', async () => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const nodes = ['--nodes', '1', '--base-port', String(await aBasePort())];
      const dev = await DevProcess.start(owner, cwd, ...nodes);
      // Two different ones: of two equal ones the system may make one by itself.
      dev.command.kill('SIGINT');
      dev.command.kill('SIGTERM');
      const end = await dev.command.end();
      equal(end.code, 0, end.stderr);
      await gone(dev.pids);
    });
  });
});

function supervisorOf(cwd: string): number {
  const text = readFileSync(join(cwd, '.mq-raft', 'dev.json'), 'utf8');
  return (JSON.parse(text) as { pid: number }).pid;
}

/** The line is the interface for scripts: names, order and meaning of its fields. */
function isTheContract({ line, command }: DevProcess, cwd: string): void {
  equal(command.stdout.split('\n').length, 2, 'exactly one line');
  deepEqual(Object.keys(line), ['apiVersion', 'nodes', 'namesrv', 'grpcEndpoints']);
  equal(line.apiVersion, 'mq-raft/v1');
  deepEqual(
    line.nodes.map(({ id }) => id),
    ['n1', 'n2', 'n3'],
  );
  const roles = line.nodes.map(({ role }) => role).sort();
  deepEqual(roles, ['follower', 'follower', 'leader']);
  const fields = ['id', 'pid', 'role', 'grpc', 'remoting', 'raft', 'http', 'dir'];
  for (const node of line.nodes) {
    deepEqual(Object.keys(node), fields);
    for (const address of [node.grpc, node.raft, node.http]) match(address, /^127\.0\.0\.1:\d+$/);
    equal(node.dir, join(cwd, '.mq-raft', node.id));
    ok(existsSync(node.dir));
  }
  equal(line.namesrv.length, 2);
  for (const server of line.namesrv) deepEqual(Object.keys(server), ['pid', 'address']);
  match(line.grpcEndpoints, /^127\.0\.0\.1:\d+$/);
  const pids = [command.pid, ...line.nodes, ...line.namesrv].map((each) =>
    typeof each === 'number' ? each : each.pid,
  );
  equal(new Set(pids).size, 6, 'six processes');
}

/** One node of three is left: nothing is acknowledged, and both commands say so by their codes. */
async function theMajorityIsMissed(
  run: (...args: string[]) => ReturnType<typeof mqRaft>,
): Promise<void> {
  const unhealthy = await waitFor('a status without a leader', async () => {
    const end = await run('status');
    return end.code === 0 ? null : end;
  });
  equal(unhealthy.code, 8, unhealthy.stderr);
  match(unhealthy.stdout, /no leader: nothing can be sent or received/);
  const unknown = await run('send', 'orders', 'nobody', '--timeout', '500ms');
  notEqual(unknown.code, 0);
  equal(unknown.code, 6, unknown.stderr);
  match(unknown.stderr, /outcome unknown/);
}

async function streamCount({ line }: DevProcess): Promise<number> {
  const counts = line.nodes.map(async ({ http }) => {
    const text = await (
      await fetch(`http://${http}/metrics`, { signal: AbortSignal.timeout(5_000) })
    ).text();
    return Number(/^mqraft_grpc_telemetry_streams (\d+)$/m.exec(text)?.[1]);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

function addressesOf({ line }: DevProcess): readonly string[] {
  const ofNodes = line.nodes.flatMap(({ grpc, raft, http, dir }) => [grpc, raft, http, dir]);
  return [...ofNodes, ...line.namesrv.map(({ address }) => address), line.grpcEndpoints];
}
