/** A group is backed up while it serves, and lives on as another cluster. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NodeId } from '../../src/base/units.ts';
import { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { liveDumpOf } from '../../src/store/derived/test-rows.ts';
import { BackedUpGroup, manifestOf, planOf, restored, verified } from './backup-fixture.ts';
import type { RestoredGroup } from './restored-group.ts';

const RUNS = 12;

/** What the group was, and what the restored one is, row by row and digest by digest. */
async function assertRestored(
  it: BackedUpGroup,
  group: RestoredGroup,
  nodeId: string,
  lastIndex: number,
): Promise<void> {
  const node = group.nodes.get(nodeId)!;
  await group.until('all is in the database', () => node.replica.state.unflushedEntries === 0);
  const { digest, rows } = await it.rowsAfter(node, lastIndex as never);
  assert.equal(node.replica.state.digest(), digest);
  assert.deepEqual(liveDumpOf(node.kv), rows);
}

test('law: whatever the group did, and whenever it was backed up, the restored state is the state it had, row by row', async () => {
  const anAction = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('send' as const),
        count: fc.integer({ min: 1, max: 12 }),
        bodySizeBytes: fc.integer({ min: 1, max: 4_000 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('group' as const),
        name: fc.constantFrom('g1', 'g2', 'g3'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('expire' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('killFollower' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('killLeader' as const) }) },
  );
  const someActions = fc.array(anAction, { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(someActions, someActions, fc.nat(1_000), async (before, during, seed) => {
      const it = await BackedUpGroup.started(seed);
      const act = async (action: (typeof before)[number]): Promise<void> => {
        if (action.kind === 'send') return it.send(action.count, action.bodySizeBytes);
        if (action.kind === 'group') return it.saveOffset(action.name, 0);
        if (action.kind === 'expire') return void (await it.expire());
        const leader = await it.group.leader();
        const victim =
          action.kind === 'killLeader'
            ? leader.nodeId
            : it.group.nodeIds.find((id) => id !== leader.nodeId)!;
        await it.group.kill(victim);
        await it.start(victim);
      };
      for (const action of before) await act(action);
      const marked = await it.mark();
      const disk = new MemoryDisk();
      const taking = it.take(disk, marked);
      const outcome = taking.catch((error: Error) => error);
      for (const action of during) await act(action);
      const manifest = manifestOf(await it.settled(outcome as typeof taking));
      assert.ok(manifest.last.index >= marked);
      assert.deepEqual(await verified(disk), manifest);
      const group = await restored(disk, planOf(manifest, ['m1']));
      await group.start(NodeId('m1'));
      await group.until('it leads', () => group.serving !== null);
      await assertRestored(it, group, 'm1', manifest.last.index);
      await group.close();
      await it.group.stopAll();
    }),
    { numRuns: RUNS },
  );
});
