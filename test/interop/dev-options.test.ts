/** The options of `mq-raft dev`, and what it refuses, with real processes. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  aBasePort,
  aWorkingDirectory,
  CommandProcess,
  DevProcess,
  jsonLines,
  mqRaft,
} from './dev-process.ts';
import { type Owner, owning } from './owner.ts';
import { waitFor } from './test-cluster.ts';

suite('options of mq-raft dev', { timeout: 120_000 }, () => {
  test('one node elsewhere, on a taken port: it moves and says so; refusals leave it alone', async () => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const run = (...args: string[]) => mqRaft(owner, cwd, ...args);
      const basePort = await aBasePort();
      await taken(owner, basePort + 2);
      const dev = await DevProcess.start(
        owner,
        cwd,
        ...['--nodes', '1', '--dir', 'elsewhere', '--base-port', String(basePort)],
        ...['--no-auto-create-topics', '--restart-nodes'],
      );
      equal(dev.line.nodes.length, 1);
      equal(dev.leader.dir, join(cwd, 'elsewhere', 'n1'));
      const moved = /port (\d+) is taken: n1 gRPC uses (\d+)/.exec(dev.command.stderr);
      deepEqual(moved?.slice(1), [String(basePort + 2), dev.line.grpcEndpoints.split(':')[1]]);

      const two = await run('dev', '--nodes', '2');
      equal(two.code, 2);
      match(two.stderr, /'2' is not 1, 3 or 5/);
      const second = await run('dev', '--dir', 'elsewhere', '--base-port', String(basePort));
      equal(second.code, 4);
      match(second.stderr, new RegExp(`runs in ./elsewhere already[^]*process ${dev.command.pid}`));

      const servers = dev.line.namesrv.map(({ address }) => address).join(',');
      const send = () => run('send', 'orders', 'x', '--namesrv', servers);
      const refused = await send();
      equal(refused.code, 3, 'topics are not created by themselves when told so');
      match(refused.stderr, /npx mq-raft topic create orders/);
      equal((await run('topic', 'create', 'orders', '--namesrv', servers)).code, 0);
      equal((await send()).code, 0);

      process.kill(dev.leader.pid, 'SIGKILL');
      await dev.command.written('stderr', /n1 runs again, as process \d+/);
      equal((await send()).code, 0);
      equal((await dev.stopped('SIGTERM')).code, 0);

      const three = await run('dev', '--dir', 'elsewhere', '--nodes', '3');
      equal(three.code, 4);
      match(three.stderr, /holds a cluster of 1, not of 3/);
      const wipe = await run('dev', '--dir', 'elsewhere', '--wipe');
      equal(wipe.code, 10, 'nobody to ask');
    });
  });

  test('Ctrl-C while it starts stops what was started', async () => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const dev = new CommandProcess(owner, cwd, ['dev', '--base-port', String(await aBasePort())]);
      await waitFor('its record', async () => {
        const record = join(cwd, '.mq-raft', 'dev.json');
        return existsSync(record) ? true : null;
      });
      dev.kill('SIGINT');
      const end = await dev.end();
      ok(end.code === 130 || end.code === 0, `exit code ${end.code}`);
      match(end.stderr, /stopped; data is kept/);
    });
  });

  test('the banner names every endpoint, role and next step, and fits 80 columns', async () => {
    await owning(async (owner) => {
      const cwd = aWorkingDirectory(owner);
      const dev = new CommandProcess(owner, cwd, ['dev', '--base-port', String(await aBasePort())]);
      const banner = await dev.written('stdout', /Press Ctrl-C/);
      for (const line of banner.split('\n')) ok(line.length <= 80, line);
      const [status] = jsonLines<{
        groups: {
          leader: string;
          nodes: { id: string; role: string; grpc: string; raft: string; http: string }[];
        }[];
        nameServers: { address: string }[];
      }>((await mqRaft(owner, cwd, 'status', '-o', 'json')).stdout);
      const group = status!.groups[0]!;
      equal(group.nodes.length, 3);
      for (const { id, role, ...addresses } of group.nodes) {
        const row = banner.split('\n').find((line) => line.trim().startsWith(id))!;
        ok(row.includes(role === 'leader' ? 'LEADER' : 'follower'), row);
        for (const field of ['grpc', 'raft', 'http'] as const) {
          ok(row.includes(addresses[field].split(':')[1]!), `${field} in ${row}`);
        }
        match(row, /\d ms/);
      }
      for (const { address } of status!.nameServers) ok(banner.includes(address), address);
      match(banner, /Durability +a SEND_OK is on the disks of a majority/);
      for (const next of ['topic create', 'send', 'consume', 'status', 'kill -9 ']) {
        ok(banner.includes(next), next);
      }
      dev.kill('SIGINT');
      equal((await dev.end()).code, 0);
    });
  });
});

async function taken(owner: Owner, port: number): Promise<void> {
  const server = createServer();
  owner.after(() => new Promise((resolve) => server.close(() => resolve())));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
}
