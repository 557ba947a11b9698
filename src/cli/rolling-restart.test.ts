import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId } from '../base/units.ts';
import type { AdminRequest, AdminResponse } from '../protocol/admin.ts';
import { aChanged, aCheck, aHealth, aMembersReport, aPlan, MemoryGroup } from './memory-group.ts';

const IDS = ['n1', 'n2', 'n3'].map(NodeId);
const UPTIME_MS = 86_400_000;

/** Three nodes that can be drained, restarted by whoever does that, and asked. */
class Restartable {
  readonly group = new MemoryGroup();
  readonly drained = new Set<NodeId>();
  readonly deeds: string[] = [];
  leader = NodeId('n1');
  /** Looks at a drained node until its clients have left. */
  looksUntilLeft = 2;
  isWhole = true;
  readonly down = new Set<NodeId>();
  readonly #boots = new Map<NodeId, { count: number; atMs: number }>();
  #looks = 0;

  constructor() {
    const { clock } = this.group.terminal;
    for (const id of IDS) this.#boots.set(id, { count: 7, atMs: clock.wallMs() - UPTIME_MS });
    this.group.answerQuestion = (request, address) => this.#answer(request, address);
  }

  restart(id: NodeId): void {
    this.deeds.push(`restart ${id}`);
    const count = (this.#boots.get(id)?.count ?? 0) + 1;
    this.#boots.set(id, { count, atMs: this.group.terminal.clock.wallMs() });
  }

  get text(): string {
    return this.group.terminal.stderr.text;
  }

  #answer(request: AdminRequest, address: string): AdminResponse | null {
    switch (request.kind) {
      case 'members': {
        const { members } = aMembersReport();
        const live = members.map((member) => ({
          ...member,
          isDrained: this.drained.has(member.nodeId),
          isLive: !this.down.has(member.nodeId),
        }));
        return { kind: 'members', report: aMembersReport({ leader: this.leader, members: live }) };
      }
      case 'health': {
        const id = NodeId(`n${/^10\.0\.0\.(\d)/.exec(address)?.[1]}`);
        const boot = this.#boots.get(id);
        const uptimeMs = this.group.terminal.clock.wallMs() - (boot?.atMs ?? 0);
        return { kind: 'health', health: aHealth(id, { bootCount: boot?.count ?? 0, uptimeMs }) };
      }
      case 'rollingRestart': {
        const checks = [aCheck({ id: 'quorumDuring', verdict: this.isWhole ? 'ok' : 'failed' })];
        return { kind: 'planned', plan: aPlan(), checks };
      }
      case 'drain':
        if (!this.drained.has(request.nodeId)) this.deeds.push(`drain ${request.nodeId}`);
        this.drained.add(request.nodeId);
        if (this.#looks++ < this.looksUntilLeft) {
          return aChanged({ state: 'pending', phase: 'leave', sentence: '2 clients still use it' });
        }
        this.#looks = 0;
        return aChanged({ sentence: 'no client needs it' });
      case 'undrain':
        this.deeds.push(`undrain ${request.nodeId}`);
        this.drained.delete(request.nodeId);
        return aChanged();
      default:
        return null;
    }
  }
}

const COMMAND = ['--command', 'restart {node} at {host}'];

test('while it waits it says for what', async () => {
  const nodes = new Restartable();
  nodes.looksUntilLeft = 8;
  nodes.group.terminal.onCommand = ([, node = '']) => {
    nodes.restart(NodeId(node));
    return null;
  };
  equal(await nodes.group.run('rolling-restart', ...COMMAND), 0);
  match(nodes.text, /^2 clients still use it \.\.\.$/m);
});

test('with a command, each node is drained, restarted and undrained, the leader last', async () => {
  const nodes = new Restartable();
  const { terminal } = nodes.group;
  terminal.onCommand = ([, node = '', , host]) => {
    equal(host, `10.0.0.${node.slice(1)}`);
    nodes.restart(NodeId(node));
    return null;
  };
  equal(await nodes.group.run('rolling-restart', ...COMMAND), 0);
  const round = (id: string) => [`drain ${id}`, `restart ${id}`, `undrain ${id}`];
  deepEqual(nodes.deeds, [...round('n2'), ...round('n3'), ...round('n1')]);
  match(terminal.stdout.text, /done: n2, n3, n1 restarted/);
  match(nodes.text, /drained: no client needs it\nn2: restart n2 at/);
});

test('without one, it says which process, and notices its restart by itself', async () => {
  const nodes = new Restartable();
  const { terminal } = nodes.group;
  const running = nodes.group.run('rolling-restart', '-o', 'json');
  let at = -1;
  const operator = (): void => {
    const said = nodes.text.indexOf('restart its process now', at + 1);
    if (said >= 0) {
      at = said;
      nodes.restart(NodeId(nodes.text.slice(said - 4, said - 2)));
    }
    if (nodes.deeds.length < 9) terminal.clock.setTimer(500, operator);
  };
  terminal.clock.setTimer(500, operator);
  equal(await running, 0);
  equal(nodes.deeds.length, 9);
  const report = JSON.parse(terminal.stdout.text);
  deepEqual(
    report.restarted.map(({ nodeId }: { nodeId: string }) => nodeId),
    ['n2', 'n3', 'n1'],
  );
});

test('interrupted, it says how to go on, and then does not begin anew', async () => {
  const nodes = new Restartable();
  const { terminal } = nodes.group;
  terminal.onCommand = ([, node = '']) => {
    nodes.restart(NodeId(node));
    if (node === 'n3') terminal.interruptNow();
    return null;
  };
  equal(await nodes.group.run('rolling-restart', ...COMMAND), 130);
  const since = /--since (\S+)/.exec(nodes.text)?.[1] ?? '';
  match(since, /^\d{4}-/);

  const again = new Restartable();
  again.drained.add(NodeId('n3'));
  again.restart(NodeId('n2'));
  again.restart(NodeId('n3'));
  again.deeds.length = 0;
  again.group.terminal.onCommand = ([, node = '']) => {
    again.restart(NodeId(node));
    return null;
  };
  equal(await again.group.run('rolling-restart', ...COMMAND, '--since', since), 0);
  deepEqual(again.deeds, ['undrain n3', 'drain n1', 'restart n1', 'undrain n1']);
});

test('a command that fails stops it, with the node drained and the way on', async () => {
  const nodes = new Restartable();
  nodes.group.terminal.onCommand = () => 'it ended with code 255';
  equal(await nodes.group.run('rolling-restart', ...COMMAND), 1);
  deepEqual(nodes.deeds, ['drain n2']);
  match(nodes.text, /restart n2 at 10\.0\.0\.2: it ended with code 255/);
  match(
    nodes.text,
    /goes on with\n {2}mq-raft rolling-restart --since \S+ --command 'restart \{node\} at \{host\}'/,
  );
});

test('a group that could not do without a node is left alone', async () => {
  const nodes = new Restartable();
  nodes.isWhole = false;
  equal(await nodes.group.run('rolling-restart', ...COMMAND), 4);
  deepEqual(nodes.deeds, []);
});

test('a node that went down meanwhile is waited for before another one goes', async () => {
  const nodes = new Restartable();
  const { terminal } = nodes.group;
  nodes.looksUntilLeft = 3;
  terminal.clock.setTimer(1_500, () => nodes.down.add(NodeId('n3')));
  terminal.clock.setTimer(12_000, () => {
    deepEqual(nodes.deeds, ['drain n2']);
    nodes.down.clear();
  });
  terminal.onCommand = ([, node = '']) => {
    nodes.restart(NodeId(node));
    return null;
  };
  equal(await nodes.group.run('rolling-restart', ...COMMAND), 0);
  match(nodes.text, /without n2, 2 of \{n1,n2,n3\} must be live, and only n1 live/);
  equal(nodes.deeds.length, 9);
});

test('somebody who is drained already is a question to the operator', async () => {
  const nodes = new Restartable();
  nodes.drained.add(NodeId('n3'));
  equal(await nodes.group.run('rolling-restart', ...COMMAND), 4);
  deepEqual(nodes.deeds, []);
  match(nodes.text, /mq-raft undrain n3; or go on with the --since/);
});

for (const args of [
  ['--command', 'reboot'],
  ['--since', 'yesterday'],
]) {
  test(`${args.join(' ')} is a wrong usage`, async () => {
    equal(await new Restartable().group.run('rolling-restart', ...args), 2);
  });
}
