/** As in repair.test.ts and rot-under-load.test.ts, with what is left behind of it. */
import { match, ok } from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { allReceived } from './official-client.ts';
import { owning } from './owner.ts';
import { entriesOf, eventsOf, flipIn, loaded, NODE_IDS, sameBytes } from './repair-scene.ts';
import { everyReplicaHolds } from './replica-audit.ts';

suite('repair of damaged entries', { timeout: 290_000 }, () => {
  test('one flipped bit: the node repairs itself, takes part, and has the same bytes', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-one');
      const leader = await cluster.leader();
      const damaged = NODE_IDS.find((nodeId) => nodeId !== leader)!;
      await cluster.kill(damaged, 'SIGTERM');
      const entries = entriesOf(cluster, damaged);
      const victim = entries[Math.floor(entries.length / 2)]!;
      flipIn(cluster, damaged, victim);
      await cluster.startNode(damaged);
      await cluster.converged();
      const events = eventsOf(cluster, damaged);
      for (const event of ['repair.started', 'repair.entries_fetched', 'repair.done']) {
        ok(events.includes(event), `${event} in ${events.join()}`);
      }
      match(cluster.logOf(damaged), new RegExp(`entry ${victim.index}`));
      sameBytes(cluster);
      const quarantine = readdirSync(join(cluster.node(damaged).directory, 'quarantine'));
      ok(
        quarantine.some((name) => name.includes('repair')),
        quarantine.join(),
      );
      await allReceived(owner, load, cluster, cluster.node(damaged).grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });

  test('another entry damaged on each of three nodes: they heal each other', async () => {
    await owning(async (owner) => {
      const { cluster, load, topic } = await loaded(owner, 'repair-helix');
      await Promise.all(NODE_IDS.map((nodeId) => cluster.kill(nodeId, 'SIGTERM')));
      const entries = entriesOf(cluster, 'n1').filter(({ type }) => type === 'data');
      for (const [i, nodeId] of NODE_IDS.entries()) {
        flipIn(cluster, nodeId, entries[2 + i]!);
        flipIn(cluster, nodeId, entries[8 + 2 * i]!);
      }
      await Promise.all(NODE_IDS.map((nodeId) => cluster.startNode(nodeId)));
      await cluster.leader();
      await cluster.converged();
      for (const nodeId of NODE_IDS) ok(eventsOf(cluster, nodeId).includes('repair.done'), nodeId);
      sameBytes(cluster);
      await allReceived(owner, load, cluster, cluster.nodes[0]!.grpc, topic);
      await everyReplicaHolds(cluster, topic, load.sent);
    });
  });
});
