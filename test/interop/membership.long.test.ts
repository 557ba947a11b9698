/** As in membership.test.ts: the other changes, whoever asks for them, and what must change nothing. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { suite, test } from 'node:test';
import { EXIT_CODE } from '../../src/base/errors.ts';
import { NodeId } from '../../src/base/units.ts';
import {
  ALLOW_ALL,
  hasGone,
  LANES,
  remove,
  underLoad,
  WRITE_GAP_MS_MAX,
} from './membership-scene.ts';
import { allReceived, LoadProducer, sentMore, startProducer } from './official-client.ts';
import { disorderOf, Operator } from './operator.ts';
import { owning } from './owner.ts';
import { everyReplicaHolds } from './replica-audit.ts';
import { TestCluster } from './test-cluster.ts';

suite('membership under load, continued', { timeout: 290_000 }, () => {
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
      await everyReplicaHolds(cluster, 'all', all.sent);
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
