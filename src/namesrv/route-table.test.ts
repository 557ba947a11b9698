import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NodeId, Term } from '../base/units.ts';
import type { Registration, Unregistration } from '../protocol/namesrv-codec.ts';
import { SILENCE_MS_MAX } from './limits.ts';
import { RouteTable } from './route-table.ts';

function aRegistration(changes: Partial<Registration> = {}): Registration {
  return {
    cluster: 'dev',
    group: 'broker-a',
    nodeId: NodeId('n1'),
    storeUuid: 'uuid-n1',
    term: Term(1),
    claimsLeadership: false,
    addresses: { raft: '127.0.0.1:1', grpc: '127.0.0.1:2', http: '127.0.0.1:3' },
    topics: [],
    topicsVersion: 0,
    sequence: 1,
    ...changes,
  };
}

/** Numbers what it is given, as a broker does. */
function tableWith(...registrations: readonly Partial<Registration>[]): RouteTable {
  const table = new RouteTable();
  registrations.forEach((changes, i) => {
    const nodeId = changes.nodeId ?? NodeId('n1');
    const storeUuid = `uuid-${nodeId}`;
    table.register(aRegistration({ storeUuid, sequence: i + 1, ...changes }), 0);
  });
  return table;
}

const [n1, n2] = [NodeId('n1'), NodeId('n2')];
const masterIn = (table: RouteTable): NodeId | null => table.groups(0)[0]?.master ?? null;

test('the highest leader claim names the master', () => {
  const table = tableWith(
    { nodeId: n1, term: Term(3), claimsLeadership: true },
    { nodeId: n2, term: Term(4), claimsLeadership: true },
  );
  equal(masterIn(table), n2);
});

test('a claim of a lower term is refused but its addresses count', () => {
  const table = tableWith({ nodeId: n1, term: Term(4), claimsLeadership: true });
  const outcome = table.register(
    aRegistration({ nodeId: n2, storeUuid: 'uuid-n2', term: Term(3), claimsLeadership: true }),
    0,
  );
  deepEqual(outcome, {
    kind: 'claimRefused',
    why: 'lowerTerm',
    highestTerm: Term(4),
    highestNodeId: n1,
  });
  equal(masterIn(table), n1);
  equal(table.groups(0)[0]?.nodes[1]?.addresses.grpc, '127.0.0.1:2');
});

test('of two nodes that claim one term the second is refused, also after the first took it back', () => {
  const table = tableWith({ nodeId: n1, term: Term(4), claimsLeadership: true });
  const claim = aRegistration({
    nodeId: n2,
    storeUuid: 'uuid-n2',
    term: Term(4),
    claimsLeadership: true,
  });
  const want = { kind: 'claimRefused', why: 'sameTerm', highestTerm: Term(4), highestNodeId: n1 };
  deepEqual(table.register(claim, 0), want);
  table.register(aRegistration({ term: Term(4), sequence: 2 }), 0);
  equal(masterIn(table), null);
  deepEqual(table.register({ ...claim, sequence: 2 }, 0), want);
});

test('a replaced directory does not inherit the claim of its node id', () => {
  const table = tableWith({ nodeId: n1, term: Term(4), claimsLeadership: true });
  const outcome = table.register(
    aRegistration({ storeUuid: 'another', term: Term(4), claimsLeadership: true, sequence: 9 }),
    0,
  );
  equal(outcome.kind, 'claimRefused');
  equal(masterIn(table), null);
});

test('a node that is silent for two minutes leaves, and with the last one the group', () => {
  const table = tableWith({ nodeId: n1, term: Term(1), claimsLeadership: true });
  deepEqual(table.expire(SILENCE_MS_MAX - 1), []);
  deepEqual(table.expire(SILENCE_MS_MAX), [{ cluster: 'dev', group: 'broker-a', nodeId: n1 }]);
  deepEqual(table.groups(0), []);
  equal(table.nodeCount, 0);
});

test('topics come from the node that has applied most', () => {
  const table = tableWith(
    { nodeId: n1, topics: ['orders', 'new'], topicsVersion: 8 },
    { nodeId: n2, topics: ['orders'], topicsVersion: 5 },
  );
  const { topics } = table.routes([], 0);
  deepEqual(
    topics.map(({ topic, groups }) => [topic, groups.map(({ group }) => group)]),
    [
      ['new', ['broker-a']],
      ['orders', ['broker-a']],
    ],
  );
  deepEqual(table.routes(['gone'], 0), { topics: [{ topic: 'gone', groups: [] }], groups: [] });
});

test('groups of one name in two clusters stay apart', () => {
  const table = tableWith(
    { cluster: 'a', group: 'b","c', term: Term(9), claimsLeadership: true },
    { cluster: 'a","b', group: 'c', term: Term(1), claimsLeadership: true },
  );
  deepEqual(
    table.groups(0).map(({ master }) => master),
    [n1, n1],
  );
});

// What the property tests do to a table: three nodes, few terms, calls that arrive late.
type Step =
  | { readonly kind: 'register'; readonly registration: Registration }
  | { readonly kind: 'unregister'; readonly unregistration: Unregistration }
  | { readonly kind: 'wait'; readonly byMs: number };

const aNode = fc.constantFrom('n1', 'n2', 'n3');
const aTerm = fc.integer({ min: 1, max: 4 }).map(Term);
const aSequence = fc.integer({ min: 1, max: 12 });
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(aNode, aTerm, fc.boolean(), aSequence)
      .map(([node, term, claimsLeadership, sequence]) => ({
        kind: 'register' as const,
        registration: aRegistration({
          nodeId: NodeId(node),
          storeUuid: `uuid-${node}`,
          term,
          claimsLeadership,
          sequence,
        }),
      })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(aNode, aTerm, aSequence).map(([node, term, sequence]) => {
      const { cluster, group, storeUuid } = aRegistration({ storeUuid: `uuid-${node}` });
      const unregistration = { cluster, group, nodeId: NodeId(node), storeUuid, term, sequence };
      return { kind: 'unregister' as const, unregistration };
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: SILENCE_MS_MAX })
      .map((byMs) => ({ kind: 'wait' as const, byMs })),
  },
);

function runOn(table: RouteTable, steps: readonly Step[]): number {
  let nowMs = 0;
  for (const step of steps) {
    if (step.kind === 'register') table.register(step.registration, nowMs);
    else if (step.kind === 'unregister') table.unregister(step.unregistration);
    else nowMs += step.byMs;
    table.expire(nowMs);
  }
  return nowMs;
}

/**
 * The dumb model keeps the whole history and asks it: who lives, which claims were valid when they
 * were made, and whether the highest one still stands.
 */
function modelOf(steps: readonly Step[]): { living: readonly string[]; master: string | null } {
  interface Said {
    readonly registration: Registration;
    readonly atMs: number;
  }
  let life: Said[] = [];
  let nowMs = 0;
  const lastOf = (node: string): Said | undefined =>
    life.filter(({ registration }) => registration.nodeId === node).at(-1);
  const removed = new Set<Said>();
  const isLiving = (node: string): boolean => {
    const last = lastOf(node);
    return last !== undefined && !removed.has(last) && nowMs - last.atMs < SILENCE_MS_MAX;
  };
  const living = (): string[] => ['n1', 'n2', 'n3'].filter(isLiving);
  for (const step of steps) {
    if (step.kind === 'wait') nowMs += step.byMs;
    else if (step.kind === 'register') {
      const { nodeId, sequence } = step.registration;
      const isNews = !isLiving(nodeId) || sequence > lastOf(nodeId)!.registration.sequence;
      if (isNews) life.push({ registration: step.registration, atMs: nowMs });
    } else {
      const { nodeId, sequence, term } = step.unregistration;
      const last = lastOf(nodeId);
      if (last === undefined || !isLiving(nodeId)) continue;
      if (last.registration.sequence < sequence && last.registration.term <= term)
        removed.add(last);
    }
    if (living().length === 0) life = [];
  }
  const claims = life.map((said) => said.registration).filter((each) => each.claimsLeadership);
  const valid = claims.filter((claim, i) =>
    claims
      .slice(0, i)
      .every(
        (earlier) =>
          earlier.term < claim.term ||
          (earlier.term === claim.term && earlier.nodeId === claim.nodeId),
      ),
  );
  const highest = valid.sort((a, b) => a.term - b.term).at(-1);
  if (highest === undefined || !isLiving(highest.nodeId)) return { living: living(), master: null };
  const last = lastOf(highest.nodeId)!.registration;
  const stands = last.claimsLeadership && last.term === highest.term;
  return { living: living(), master: stands ? highest.nodeId : null };
}

test('the routes agree with a model that remembers everything', () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 30, size: 'max' }), (steps) => {
      const table = new RouteTable();
      const route = table.groups(runOn(table, steps))[0];

      const want = modelOf(steps);
      deepEqual(route?.nodes.map(({ nodeId }) => nodeId) ?? [], want.living);
      equal(route?.master ?? null, want.master);
      equal(table.nodeCount, want.living.length);
    }),
    { numRuns: 2000 },
  );
});

test('repeating a call that was heard before changes nothing', () => {
  fc.assert(
    fc.property(
      fc.array(aStep, { minLength: 1, maxLength: 20, size: 'max' }),
      fc.nat(),
      (steps, pick) => {
        const table = new RouteTable();
        const nowMs = runOn(table, steps);
        const before = table.groups(nowMs);
        const heard = before.flatMap(({ nodes }) => nodes.map(({ nodeId }) => nodeId));
        const late = steps.filter(
          (step) => step.kind === 'register' && heard.includes(step.registration.nodeId),
        );
        const step = late[pick % Math.max(1, late.length)];
        if (step?.kind !== 'register') return;
        // What a node said before it left and came back is not repeated: its numbers rise for ever.
        const node = steps.filter(
          (each) =>
            each.kind === 'register' && each.registration.nodeId === step.registration.nodeId,
        );
        const ascending = node.every(
          (each, i) =>
            i === 0 ||
            (each.kind === 'register' &&
              each.registration.sequence >
                (node[i - 1] as Extract<Step, { kind: 'register' }>).registration.sequence),
        );
        if (!ascending) return;

        equal(table.register(step.registration, nowMs).kind, 'stale');
        deepEqual(table.groups(nowMs), before);
      },
    ),
    { numRuns: 1000 },
  );
});

test('a late unregister does not remove a newer registration', () => {
  const table = tableWith({ sequence: 1 }, { sequence: 3 });
  const { cluster, group, nodeId, storeUuid, term } = aRegistration();
  const late = { cluster, group, nodeId, storeUuid, term, sequence: 2 };
  equal(table.unregister(late), false);
  equal(table.unregister({ ...late, storeUuid: 'another', sequence: 4 }), false);
  equal(table.unregister({ ...late, term: Term(0), sequence: 4 }), false);
  equal(table.knows(late), true);
  equal(table.unregister({ ...late, sequence: 4 }), true);
  equal(table.knows(late), false);
});
