/** Copies and zones, counted entry by entry and voter by voter. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId, Term } from '../../base/units.ts';
import { NO_OPTIONS } from '../../protocol/admin.ts';
import { ALLOWANCES } from '../../protocol/admin-plan.ts';
import { UNDER_REPAIR } from '../../protocol/repair-codec.ts';
import { checksOf } from './checks.ts';
import { soleCopyCheck, twoCopiesCheck } from './copy-checks.ts';
import type { GroupView, MemberView } from './group-view.ts';
import { planOf } from './plan.ts';
import { courseOf } from './wish.ts';
import { zoneChecks } from './zone-checks.ts';

interface Node {
  readonly durable: number;
  readonly isActive: boolean;
  readonly isDamaged: boolean;
  readonly zone: string | null;
}

const COMMIT_MAX = 6;
const aNode: fc.Arbitrary<Node> = fc.record({
  durable: fc.nat(COMMIT_MAX + 2),
  isActive: fc.constantFrom(true, true, false),
  isDamaged: fc.constantFrom(false, false, true),
  zone: fc.constantFrom('a', 'b', 'c', '', null),
});
const nodes = fc.array(aNode, { minLength: 1, maxLength: 5 });
const idOf = (i: number) => NodeId(`n${i + 1}`);

function viewOf(all: readonly Node[], commitIndex: number): GroupView {
  const members = all.map(({ durable, isActive, isDamaged, zone }, i): MemberView => {
    const nodeId = idOf(i);
    return {
      ...{ nodeId, isSelf: i === 0, storeUuid: `s-${nodeId}`, raftAddress: `${nodeId}:1` },
      ...{ isMet: true, isActive, lagBytes: 0, durableIndex: LogIndex(durable) },
      ...{ isDiskStalled: false, health: null, zone },
      silence: isDamaged ? `${UNDER_REPAIR}: 3 entries` : '',
    };
  });
  const described = members.map(({ nodeId, storeUuid, raftAddress }) => ({
    ...{ nodeId, storeUuid, raftAddress, priority: 0 },
  }));
  const voters = members.map(({ nodeId }) => nodeId);
  return {
    ...{ self: idOf(0), members, term: Term(3), configIndex: LogIndex(1), isCommitted: true },
    membership: { members: described, voters, learners: [], outgoing: [], removed: [] },
    ...{ commitIndex: LogIndex(commitIndex), isOwnTermCommitted: true, transferTo: null },
    ...{ lock: null, drained: [], retired: [], featureLevel: 0, logSizeBytes: 1_000 },
  };
}

/** Of the entry, with a finger on each node. */
function copies(entry: number, all: readonly Node[]): number {
  let count = 0;
  for (const { durable, isActive, isDamaged } of all) {
    if (isActive && !isDamaged && durable >= entry) count += 1;
  }
  return count;
}

const committed = (commitIndex: number) => Array.from({ length: commitIndex }, (_, i) => i + 1);

test('who leaves may go exactly when somebody who stays has every committed entry', () => {
  const seen = { ok: 0, failed: 0 };
  fc.assert(
    fc.property(nodes, fc.nat(COMMIT_MAX), fc.array(fc.nat(4)), (all, commitIndex, leaving) => {
      const view = viewOf(all, commitIndex);
      const nodeIds = leaving.map(idOf).filter((id) => view.membership.voters.includes(id));
      const staying = all.filter((_, i) => !nodeIds.includes(idOf(i)));
      const { verdict, observed } = soleCopyCheck(
        courseOf({ kind: 'remove', nodeIds }, view),
        view,
      );
      const lost = committed(commitIndex).filter((entry) => copies(entry, staying) === 0);
      const want = lost.length === 0 ? 'ok' : 'failed';
      equal(verdict, want, observed);
      seen[want] += 1;
      if (lost.length > 0)
        ok(observed.startsWith(`entries ${lost[0]} to ${lost.at(-1)}`), observed);
    }),
    { numRuns: 1_000 },
  );
  ok(seen.ok > 100 && seen.failed > 100, JSON.stringify(seen));
});

test('a group of several is red exactly when some committed entry has fewer than two copies', () => {
  fc.assert(
    fc.property(nodes, fc.nat(COMMIT_MAX), (all, commitIndex) => {
      const { verdict, observed } = twoCopiesCheck(viewOf(all, commitIndex));
      const rare = committed(commitIndex).filter((entry) => copies(entry, all) < 2);
      const isWholeAlone = all.length === 1 && copies(commitIndex, all) === 1;
      equal(verdict, rare.length === 0 ? 'ok' : isWholeAlone ? 'warning' : 'failed', observed);
    }),
    { numRuns: 1_000 },
  );
});

test('the only copy is never removed, whatever is allowed, and the refusal names the entries and the way out', () => {
  const whole = { isActive: true, isDamaged: false, zone: '' };
  const view = viewOf(
    [
      { ...whole, durable: 900, isDamaged: true },
      { ...whole, durable: 1_000 },
      { ...whole, durable: 500 },
    ],
    1_000,
  );
  const soleCopyOf = (...names: readonly string[]) => {
    const change = { kind: 'remove', nodeIds: names.map(NodeId) } as const;
    const options = { ...NO_OPTIONS, actor: 'alice', allow: ALLOWANCES };
    const checks = checksOf(change, view, options, planOf(change, view), 'op');
    return checks.find(({ id }) => id === 'soleCopy');
  };
  const refused = soleCopyOf('n2');
  equal(refused?.verdict, 'failed');
  equal(refused.subject, 'n2');
  match(refused.observed, /^entries 501 to 1000 .*n1 under repair, n3 up to 500.*n2 may have/);
  match(refused.remedy, /catch up or repair/);
  equal(soleCopyOf('n1')?.verdict, 'ok');
  equal(soleCopyOf('n3')?.verdict, 'ok');
});

test('a zone is minded exactly when it has a majority of the voters, before or after', () => {
  fc.assert(
    fc.property(nodes, fc.nat(4), (all, leaver) => {
      const view = viewOf(all, 0);
      const { voters } = view.membership;
      const after = voters.filter((id) => voters.length === 1 || id !== idOf(leaver));
      const [check, ...more] = zoneChecks(voters, after, view);
      deepEqual(more, []);
      const hasZones = all.some(({ zone }) => zone !== null && zone !== '');
      equal(check !== undefined, hasZones);
      if (check === undefined) return;
      const isHeavy = ['a', 'b', 'c'].some((zone) => {
        const inside = after.filter((id) => all[voters.indexOf(id)]?.zone === zone);
        return inside.length > after.length - inside.length;
      });
      equal(check.verdict, isHeavy ? 'warning' : 'ok', check.observed);
    }),
    { numRuns: 1_000 },
  );
});

test('the spread over zones is said before and after', () => {
  const inZone = (zone: string) => ({ durable: 0, isActive: true, isDamaged: false, zone });
  const view = viewOf([inZone('a'), inZone('b'), inZone('a'), inZone('')], 0);
  const { voters } = view.membership;
  const [check] = zoneChecks(voters.slice(0, 3), voters.slice(1), view);
  equal(check?.observed, 'before: a n1,n3, b n2; after: no zone n4, a n3, b n2');
  equal(check?.verdict, 'ok');
  const [now] = zoneChecks(null, voters.slice(0, 3), view);
  equal(now?.observed, 'a n1,n3, b n2');
  match(now?.remedy ?? '', /without zone a nothing is committed/);
});
