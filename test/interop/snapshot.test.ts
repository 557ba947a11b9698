/** Real brokers that keep little of their log: who was away for too long catches up by a snapshot (H17, H18). */
import { deepEqual, equal } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sentMore } from './official-client.ts';
import { owning } from './owner.ts';
import {
  caughtUp,
  eventCountIn,
  everythingIsThere,
  leaveBehind,
  startSmallLog,
} from './small-log.ts';

suite('snapshots between brokers', { timeout: 290_000 }, () => {
  test('a follower is away while the log is compacted under load, and killed twice while it installs a snapshot: it has everything', async (t) => {
    await owning(async (owner) => {
      const group = await startSmallLog(owner, 'snapshot-kills');
      const { cluster, load, leader, followers } = group;
      const [away, other] = followers;
      await sentMore(load, 200);
      await leaveBehind(group, [away!]);
      for (const event of ['snapshot.pulling', 'snapshot.installed']) {
        const starting = cluster.startNode(away!);
        await cluster.said(away!, `"event":"${event}"`);
        await cluster.kill(away!);
        await Promise.allSettled([starting]);
        equal(eventCountIn(cluster.logOf(away!), 'snapshot.state_rebuilt'), 0, `at ${event}`);
      }
      await cluster.startNode(away!);
      await caughtUp(group, away!);
      await sentMore(load, 100);
      // And then it decides alone what is acknowledged, with a leader that was there all the time.
      await cluster.kill(other!);
      await sentMore(load, 100);
      await cluster.startNode(other!);
      equal(await cluster.leader(), leader);
      await everythingIsThere(owner, group);
      deepEqual(load.failures, []);
      t.diagnostic(`${load.sent.length} acknowledged`);
    });
  });
});
