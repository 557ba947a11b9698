/**
 * A group changes its members under the load of the official client: nothing acknowledged is lost, nothing
 * is there twice, the order is kept, and the longest time without an acknowledgement is told.
 */
import { deepEqual, equal } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { NodeId } from '../../src/base/units.ts';
import { hasGone, promote, remove, underLoad } from './membership-scene.ts';
import { sentMore } from './official-client.ts';

suite('membership under load', { timeout: 290_000 }, () => {
  test('three become five, a joined node restarts without a token, and five become three', async (t) => {
    await underLoad(t, 'grow', 'leader', async ({ cluster, operator, load, followers }) => {
      await operator.addNode('n4');
      await operator.addNode('n5');
      await operator.change(promote('n4', 'n5'));
      deepEqual((await operator.members()).voters, ['n1', 'n2', 'n3', 'n4', 'n5']);
      await sentMore(load, 100);
      await cluster.kill('n4');
      await cluster.startNodeWith('n4', []);
      await sentMore(load, 100);
      await operator.change(remove(...followers), { allow: ['lessTolerance'] });
      for (const nodeId of followers) await hasGone(cluster, nodeId);
      equal((await operator.members()).voters.length, 3);
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
});
