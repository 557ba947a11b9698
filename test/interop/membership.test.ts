/**
 * A group changes its members under the load of the official client: nothing acknowledged is lost, nothing
 * is there twice, the order is kept, and the longest time without an acknowledgement is told.
 */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { suite, type TestContext, test } from 'node:test';
import { EXIT_CODE } from '../../src/base/errors.ts';
import { NodeId } from '../../src/base/units.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { disorderOf, Operator } from './operator.ts';
import { type Owner, owning } from './owner.ts';
import { TestCluster } from './test-cluster.ts';

const LANES = 8;
/** An election, as after the death of a leader; planned changes take a hand-over. */
const WRITE_GAP_MS_MAX = 3_000;
const ALLOW_ALL = ['evenVoters', 'belowThree', 'lessTolerance', 'planned'] as const;

const remove = (nodeId: string) => ({ kind: 'remove', nodeId: NodeId(nodeId) }) as const;
const promote = (nodeId: string) => ({ kind: 'promote', nodeId: NodeId(nodeId) }) as const;

interface Scene {
  readonly cluster: TestCluster;
  readonly operator: Operator;
  readonly load: LoadProducer;
  readonly leader: string;
  readonly followers: readonly string[];
}

/** Whom the client is told: it asks that node for routes as long as it lives, so it is one that stays. */
type Anchor = 'leader' | 'firstFollower' | 'secondFollower';

/** @param act what the operator does while messages come in */
async function underLoad(
  t: TestContext,
  topic: string,
  anchor: Anchor,
  act: (scene: Scene) => Promise<void>,
): Promise<void> {
  await owning(async (owner: Owner) => {
    const cluster = await TestCluster.start();
    owner.after(() => cluster.close());
    const leader = await cluster.leader();
    const followers = cluster.nodes.map(({ nodeId }) => nodeId).filter((id) => id !== leader);
    const staying = { leader, firstFollower: followers[0]!, secondFollower: followers[1]! }[anchor];
    const endpoints = cluster.node(staying).grpc;
    const producer = await startProducer(owner, endpoints, topic);
    const load = new LoadProducer(owner, producer, topic, LANES);
    await sentMore(load, 100);
    await act({ cluster, operator: new Operator(cluster), load, leader, followers });
    await sentMore(load, 100);
    await load.stop();
    await cluster.converged();
    const gapMs = load.longestGapMs();
    t.diagnostic(`${load.sent.length} messages, longest gap ${Math.round(gapMs)} ms`);
    deepEqual(
      load.failures.map(({ message }) => message),
      [],
    );
    ok(gapMs < WRITE_GAP_MS_MAX, `gap of ${gapMs} ms`);
    await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, topic);
    deepEqual(await disorderOf(cluster, load, topic), []);
  });
}

/** The node was told, said so, and went. */
async function hasGone(cluster: TestCluster, nodeId: string): Promise<void> {
  equal(await cluster.exitOf(nodeId), EXIT_CODE.removedFromGroup);
  match(cluster.logOf(nodeId), /was removed from its group .* never used again/);
  cluster.dropNode(nodeId);
}

suite('membership under load', { timeout: 600_000 }, () => {
  test('three become five, a joined node restarts without a token, and five become three', async (t) => {
    await underLoad(t, 'grow', 'leader', async ({ cluster, operator, load, followers }) => {
      await operator.addNode('n4');
      await operator.addNode('n5');
      await operator.change(promote('n4'), { allow: ['evenVoters'] });
      await operator.change(promote('n5'));
      deepEqual((await operator.members()).voters, ['n1', 'n2', 'n3', 'n4', 'n5']);
      await sentMore(load, 100);
      await cluster.kill('n4');
      await cluster.startNodeWith('n4', []);
      await sentMore(load, 100);
      for (const nodeId of followers) {
        await operator.change(remove(nodeId), { allow: ALLOW_ALL });
        await hasGone(cluster, nodeId);
      }
      equal((await operator.members()).voters.length, 3);
    });
  });

  test('a dead member is replaced', async (t) => {
    await underLoad(t, 'dead', 'leader', async ({ cluster, operator, load, followers }) => {
      const dead = followers[0]!;
      await cluster.kill(dead);
      await sentMore(load, 100);
      await operator.replace(dead, 'n4', false);
      cluster.dropNode(dead);
      const { voters, removed, lock } = await operator.members();
      ok(voters.includes(NodeId('n4')));
      deepEqual(removed, [dead]);
      equal(lock, null);
    });
  });

  test('a living member and then the leader are replaced; both stop by themselves', async (t) => {
    await underLoad(
      t,
      'living',
      'secondFollower',
      async ({ cluster, operator, load, leader, followers }) => {
        deepEqual(
          await operator.refused({
            kind: 'replace',
            ...{ oldNodeId: NodeId(followers[0]!), newNodeId: NodeId('n9'), raftAddress: 'h:1' },
          }),
          ['oldNodeDown'],
        );
        await operator.replace(followers[0]!, 'n4', true);
        await hasGone(cluster, followers[0]!);
        await sentMore(load, 100);
        await operator.replace(leader, 'n5', true);
        await hasGone(cluster, leader);
      },
    );
  });

  test('the leader is removed: it hands over first', async (t) => {
    await underLoad(t, 'leader', 'firstFollower', async ({ cluster, operator, leader }) => {
      await operator.change(remove(leader), { allow: ALLOW_ALL });
      await hasGone(cluster, leader);
    });
  });

  test('all members are replaced one after another; what is left restarts and goes on', async (t) => {
    await owning(async (owner) => {
      const cluster = await TestCluster.start();
      owner.after(() => cluster.close());
      const operator = new Operator(cluster);
      const loads: LoadProducer[] = [];
      // A client asks the node it was told for routes as long as it lives: it is one that stays for now.
      const loadAt = async (nodeId: string) => {
        const producer = await startProducer(owner, cluster.node(nodeId).grpc, 'all');
        const load = new LoadProducer(owner, producer, 'all', LANES, ` by way of ${nodeId}`);
        loads.push(load);
        await sentMore(load, 50);
        return load;
      };
      const replace = async (old: string, fresh: string, load: LoadProducer) => {
        await operator.replace(old, fresh, true);
        await hasGone(cluster, old);
        await sentMore(load, 50);
      };
      const first = await loadAt('n3');
      await replace('n1', 'n4', first);
      await replace('n2', 'n5', first);
      const second = await loadAt('n4');
      await first.stop();
      await replace('n3', 'n6', second);
      deepEqual((await operator.members()).voters, ['n4', 'n5', 'n6']);
      await cluster.kill('n5');
      await cluster.startNodeWith('n5', []);
      await sentMore(second, 50);
      await second.stop();
      await cluster.converged();
      for (const load of loads) {
        const gapMs = load.longestGapMs();
        t.diagnostic(`${load.sent.length} messages, longest gap ${Math.round(gapMs)} ms`);
        deepEqual(
          load.failures.map(({ message }) => message),
          [],
        );
        ok(gapMs < WRITE_GAP_MS_MAX, `gap of ${gapMs} ms`);
      }
      const all = { sent: loads.flatMap(({ sent }) => sent) };
      await allReceived(owner, all, cluster, cluster.node('n4').grpc, 'all');
      deepEqual(await disorderOf(cluster, all, 'all'), []);
    });
  });

  test('two operators at once: one changes the group, the other one is told who', async (t) => {
    await underLoad(t, 'two', 'leader', async ({ cluster, operator, followers }) => {
      const bob = new Operator(cluster, 'bob');
      const { raft } = await cluster.addNode('n4');
      const wish = {
        kind: 'replace',
        ...{ oldNodeId: NodeId(followers[0]!), newNodeId: NodeId('n4'), raftAddress: raft },
      } as const;
      const options = { allow: ['planned'] } as const;
      const both = await Promise.all([operator.ask(wish, options), bob.ask(wish, options)]);
      deepEqual(both.map(({ kind }) => kind).sort(), ['changed', 'refused']);
      const [won, lost] = both[0].kind === 'changed' ? [operator, bob] : [bob, operator];
      deepEqual(await lost.refused(wish, options), ['operatorLock']);
      const begun = both.find(({ kind }) => kind === 'changed');
      ok(begun?.kind === 'changed' && begun.ticket !== null);
      await won.join(begun.ticket);
      await won.change(wish, options);
      await hasGone(cluster, followers[0]!);
    });
  });

  test('wrong commands change nothing', async (t) => {
    await underLoad(
      t,
      'wrong',
      'leader',
      async ({ cluster, operator, load, leader, followers }) => {
        const [dead, healthy] = followers;
        const before = await operator.members();
        // A directory that was wiped, under its old id.
        await cluster.kill(dead!);
        const { directory, raft } = cluster.node(dead!);
        rmSync(directory, { recursive: true });
        const wiped = { kind: 'add', nodeId: NodeId(dead!), raftAddress: raft } as const;
        equal((await operator.change(wiped)).state, 'alreadySo', 'it is a member, and stays one');
        const empty = ['--join', cluster.node(leader).raft, '--token', 'guessed'];
        await cluster.startNodeWith(dead!, empty).catch(() => undefined);
        equal(await cluster.exitOf(dead!), EXIT_CODE.joinRefused);
        match(cluster.logOf(dead!), /forgotten what it promised/);
        await sentMore(load, 50);
        // The healthy one, in the outage.
        const failed = await operator.refused(remove(healthy!), { allow: ALLOW_ALL });
        deepEqual(failed, ['quorumAfter', 'quorumDuring']);
        equal((await operator.members()).configIndex, before.configIndex);
        // A name that was used before.
        await operator.replace(dead!, 'n4', false);
        deepEqual(await operator.refused(wiped), ['nodeIdUnused']);
        cluster.dropNode(dead!);
      },
    );
  });
});
