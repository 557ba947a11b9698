import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId } from '../../base/units.ts';
import type { AdminCommand, AdminDeed } from '../../protocol/admin-command.ts';
import { AdminTable } from './admin-table.ts';
import { AUDIT_LINES_MAX, JOIN_TOKENS_MAX } from './limits.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { Overlay } from './overlay.ts';
import { RowWriter } from './row-codec.ts';
import { AdminModel } from './test-admin-model.ts';

const nodeId = fc.constantFrom('n1', 'n2', 'n3').map(NodeId);
const hash = fc.constantFrom(1, 2).map((byte) => new Uint8Array(32).fill(byte));
const storeUuid = fc.constantFrom('s1', 's2', 's3');
const deed: fc.Arbitrary<AdminDeed> = fc.oneof(
  fc.record({ kind: fc.constant('note' as const) }),
  fc.record({
    kind: fc.constant('takeLock' as const),
    operationId: fc.constantFrom('a', 'b'),
    steal: fc.constantFrom(false, false, true),
  }),
  fc.record({
    kind: fc.constant('releaseLock' as const),
    operationId: fc.constantFrom('a', 'b'),
  }),
  fc.record({ kind: fc.constantFrom('drain', 'undrain'), nodeId }),
  fc.record({
    kind: fc.constant('issueToken' as const),
    ...{ nodeId, tokenHash: hash, expiresAtMs: fc.nat(20) },
  }),
  fc.record({ kind: fc.constant('useToken' as const), nodeId, tokenHash: hash, storeUuid }),
  fc.record({
    kind: fc.constant('retire' as const),
    ...{ nodeId, storeUuid, raftAddress: fc.constant('h:1') },
  }),
  fc.record({ kind: fc.constant('setFeatureLevel' as const), level: fc.nat(3) }),
);

function command(what: AdminDeed, atMs: number): AdminCommand {
  const line = { atMs, actor: `who${atMs % 2}`, action: what.kind, phase: 'done' };
  return {
    kind: 'admin',
    line: { ...line, planHash: 'ab', configIndex: LogIndex(3), details: 'é' },
    deed: what,
  };
}

const N1 = NodeId('n1');
const HASH = new Uint8Array(32).fill(1);
const issue = { kind: 'issueToken', nodeId: N1, tokenHash: HASH, expiresAtMs: 20 } as const;
const use = (by: string) =>
  ({ kind: 'useToken', nodeId: N1, tokenHash: HASH, storeUuid: by }) as const;

/** Between them they meet every outcome, which chance alone does not promise. */
const GUIDED: readonly AdminDeed[][] = [
  [
    { kind: 'takeLock', operationId: 'a', steal: false },
    { kind: 'takeLock', operationId: 'b', steal: false },
    { kind: 'releaseLock', operationId: 'b' },
  ],
  [
    { kind: 'setFeatureLevel', level: 2 },
    { kind: 'setFeatureLevel', level: 1 },
  ],
  [use('s1'), issue, use('s1'), use('s1'), use('s2')],
  [{ ...issue, expiresAtMs: 1 }, use('s1')],
  [{ kind: 'retire', nodeId: N1, storeUuid: 's3', raftAddress: 'h:1' }, issue, use('s3')],
];

function reopened(overlay: Overlay): AdminTable {
  return new AdminTable(overlay, new RowWriter());
}

test('the table says what the model says, before and after it is opened again', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40, size: 'max' }), (deeds) => {
      const overlay = new Overlay(new MemoryKvStore());
      const table = reopened(overlay);
      const model = new AdminModel();
      for (const [i, what] of deeds.entries()) {
        const asked = command(what, i);
        const result = table.apply(asked, LogIndex(i + 1));
        deepEqual(result, model.apply(asked, i + 1));
        seen.add(result.outcome);
      }
      for (const one of [table, reopened(overlay)]) {
        deepEqual(one.lock, model.lock);
        deepEqual(one.drained, model.drained);
        equal(one.featureLevel, model.featureLevel);
        equal(one.lastSequence, model.recorded.length);
        deepEqual(
          one.eventsAfter(0, AUDIT_LINES_MAX),
          model.recorded.map(({ line, logIndex }, i) => ({ ...line, sequence: i + 1, logIndex })),
        );
        for (const name of ['n1', 'n2', 'n3']) {
          const token = one.tokenOf(NodeId(name));
          const want = model.tokenOf(name);
          deepEqual(token === null ? null : String(token.tokenHash), want?.hash ?? null);
          equal(token?.usedBy, want?.usedBy);
        }
      }
    }),
    { numRuns: 300, examples: GUIDED.map((deeds) => [deeds]) },
  );
  const outcomes = ['done', 'levelLower', 'lockHeld', 'lockLost', 'noToken'];
  const ofTokens = ['storeRetired', 'tokenExpired', 'tokenUsed'];
  deepEqual([...seen].sort(), [...outcomes, ...ofTokens]);
});

test('the trail keeps the newest lines, and their numbers go on', () => {
  const overlay = new Overlay(new MemoryKvStore());
  const table = reopened(overlay);
  for (let i = 1; i <= AUDIT_LINES_MAX + 5; i++) {
    table.apply(command({ kind: 'note' }, i), LogIndex(i));
  }
  for (const one of [table, reopened(overlay)]) {
    equal(one.lastSequence, AUDIT_LINES_MAX + 5);
    const [first] = one.eventsAfter(0, 1);
    equal(first?.sequence, 6);
    deepEqual(
      one.eventsAfter(AUDIT_LINES_MAX + 3, 10).map(({ sequence }) => sequence),
      [AUDIT_LINES_MAX + 4, AUDIT_LINES_MAX + 5],
    );
    deepEqual(one.eventsAfter(AUDIT_LINES_MAX + 5, 10), []);
  }
});

test('of too many tokens the one that ends first goes', () => {
  const overlay = new Overlay(new MemoryKvStore());
  const table = reopened(overlay);
  const tokenHash = new Uint8Array(32);
  for (let i = 0; i <= JOIN_TOKENS_MAX; i++) {
    const expiresAtMs = i === 7 ? 1 : 100 + i;
    table.apply(
      command({ kind: 'issueToken', nodeId: NodeId(`m${i}`), tokenHash, expiresAtMs }, i),
      LogIndex(i + 1),
    );
  }
  equal(table.tokenOf(NodeId('m7')), null);
  ok(table.tokenOf(NodeId('m0')) !== null);
  ok(reopened(overlay).tokenOf(NodeId(`m${JOIN_TOKENS_MAX}`)) !== null);
});
