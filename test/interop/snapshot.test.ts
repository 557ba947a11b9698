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
  test('a follower is killed, the log is compacted past it under load, it comes back and has everything', async (t) => {
    await owning(async (owner) => {
      const group = await startSmallLog(owner, 'snapshot-load');
      const { cluster, load, leader, followers } = group;
      const [away, other] = followers;
      await sentMore(load, 200);
      await leaveBehind(group, [away!]);
      await cluster.startNode(away!);
      await caughtUp(group, away!);
      for (const event of ['snapshot.pulled', 'snapshot.installed']) {
        equal(eventCountIn(cluster.logOf(away!), event), 1, event);
      }
      await sentMore(load, 100);
      deepEqual(load.failures, []);
      // And then it decides alone what is acknowledged: with a leader that was there all the time.
      await cluster.kill(other!);
      await sentMore(load, 100);
      await cluster.startNode(other!);
      equal(await cluster.leader(), leader);
      await everythingIsThere(owner, group);
      deepEqual(load.failures, []);
      t.diagnostic(`${load.sent.length} acknowledged`);
    });
  });

  test('killed twice while it installs a snapshot: it goes on from there, and has everything', async (t) => {
    await owning(async (owner) => {
      const group = await startSmallLog(owner, 'snapshot-kills');
      const { cluster, load, followers } = group;
      const [away] = followers;
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
      await everythingIsThere(owner, group);
      deepEqual(load.failures, []);
      t.diagnostic(`${load.sent.length} acknowledged`);
    });
  });
});
