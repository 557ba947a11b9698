/** As in snapshot.test.ts, with more of what a machine can do: power cuts, and more than one node behind. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sentMore } from './official-client.ts';
import { owning } from './owner.ts';
import { CuttableDisk, powerCutObstacle } from './power-cut.ts';
import {
  caughtUp,
  eventCountIn,
  everythingIsThere,
  leaveBehind,
  metricOf,
  startSmallLog,
} from './small-log.ts';
import { waitFor } from './test-cluster.ts';

/** More than one look of the retention, and than the grace of a member. */
const RETENTION_MS = 15_000;

const obstacle = powerCutObstacle();
const skip = obstacle === null ? false : `power cut: ${obstacle}`;

suite('snapshots and power', { timeout: 290_000, skip }, () => {
  test('power is cut at each step of an installation: it goes on from what was synced', async (t) => {
    await owning(async (owner) => {
      const disks = new Map<string, CuttableDisk>();
      const directoryOf = (nodeId: string): string => {
        const disk = new CuttableDisk(nodeId);
        owner.after(async () => disk.destroy());
        disks.set(nodeId, disk);
        return `${disk.mountPoint}/data`;
      };
      const group = await startSmallLog(owner, 'snapshot-power', { directoryOf });
      const { cluster, load, followers } = group;
      const away = followers[0]!;
      await sentMore(load, 200);
      await leaveBehind(group, [away]);
      for (const event of ['snapshot.pulling', 'snapshot.pulled', 'snapshot.installed']) {
        const starting = cluster.startNode(away);
        await cluster.said(away, `"event":"${event}"`);
        const killing = cluster.kill(away);
        disks.get(away)!.cut();
        await Promise.allSettled([starting, killing]);
        disks.get(away)!.remount();
        equal(eventCountIn(cluster.logOf(away), 'snapshot.state_rebuilt'), 0, `at ${event}`);
      }
      await cluster.startNode(away);
      await caughtUp(group, away);
      await sentMore(load, 100);
      await everythingIsThere(owner, group);
      deepEqual(load.failures, []);
      t.diagnostic(`${load.sent.length} acknowledged`);
    });
  });
});

suite('snapshots for more than one', { timeout: 290_000 }, () => {
  test('two of five are away and come back at once; while all followers but one are away, nothing goes', async (t) => {
    await owning(async (owner) => {
      const group = await startSmallLog(owner, 'snapshot-five', { nodeCount: 5 });
      const { cluster, load, leader, followers } = group;
      const away = followers.slice(0, 2);
      await sentMore(load, 200);
      await leaveBehind(group, away);
      await Promise.all(away.map((nodeId) => cluster.startNode(nodeId)));
      for (const nodeId of away) {
        await caughtUp(group, nodeId);
      }
      const stay = followers[3]!;
      const gone = followers.slice(0, 3);
      await sentMore(load, 100);
      await Promise.all(gone.map((nodeId) => cluster.kill(nodeId)));
      await waitFor('the leader to step down', async () => {
        return (await metricOf(cluster, leader, 'mqraft_raft_role{role="leader"}')) === 0
          ? true
          : null;
      });
      const startOf = () => metricOf(cluster, stay, 'mqraft_log_start_index');
      const start = await startOf();
      ok(start > 1);
      await delay(RETENTION_MS);
      equal(await startOf(), start, 'two of five decide nothing');
      await Promise.all(gone.map((nodeId) => cluster.startNode(nodeId)));
      await cluster.leader();
      await sentMore(load, 100);
      await everythingIsThere(owner, group);
      t.diagnostic(`${load.sent.length} acknowledged, ${load.failures.length} sends failed`);
    });
  });
});
