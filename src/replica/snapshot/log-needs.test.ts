import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId } from '../../base/units.ts';
import { logNeeds } from './log-needs.ts';

const GRACE_MS = 1_000;
const anyIndex = fc.integer({ min: 0, max: 50 }).map(LogIndex);
const members = fc
  .array(fc.record({ matchIndex: anyIndex, silentMs: fc.integer({ min: 0, max: 2 * GRACE_MS }) }), {
    maxLength: 4,
  })
  .map((all) => all.map((each, i) => ({ ...each, nodeId: NodeId(`n${i}`) })));

test('nothing goes that is not applied, or that a living member still has to get (H17)', () => {
  fc.assert(
    fc.property(anyIndex, members, (appliedIndex, all) => {
      const options = { appliedIndex, members: all, graceMs: GRACE_MS };
      const { removableBefore, overridden } = logNeeds({ ...options, isDiskNearlyFull: false });
      assert.deepEqual(overridden, []);
      assert.ok(removableBefore <= appliedIndex + 1);
      const living = all.filter(({ silentMs }) => silentMs <= GRACE_MS);
      for (const { matchIndex } of living) assert.ok(removableBefore <= matchIndex + 1);
      // And no more is kept than that.
      const holds = [appliedIndex, ...living.map(({ matchIndex }) => matchIndex)];
      assert.ok(holds.some((index) => index + 1 === removableBefore));
    }),
  );
});

test('a disk that is nearly full overrides the members, by name, and never what is not applied', () => {
  fc.assert(
    fc.property(anyIndex, members, (appliedIndex, all) => {
      const options = { appliedIndex, members: all, graceMs: GRACE_MS };
      const { removableBefore, overridden } = logNeeds({ ...options, isDiskNearlyFull: true });
      assert.equal(removableBefore, appliedIndex + 1);
      const behind = all.filter(
        ({ matchIndex, silentMs }) => silentMs <= GRACE_MS && matchIndex < appliedIndex,
      );
      assert.deepEqual(
        overridden,
        behind.map(({ nodeId }) => nodeId),
      );
    }),
  );
});
