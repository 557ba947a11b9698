import { deepEqual, doesNotThrow, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { NodeId } from '../base/units.ts';
import { foundingMembership, type Membership } from '../raft/membership.ts';
import { REMOVED_BY_LOG_MS, REMOVED_BY_PEERS_MS } from './limits.ts';
import { type Evidence, Removal } from './removal.ts';

const n = (number: number) => NodeId(`n${number}`);
const groupOf = (numbers: readonly number[], removed: readonly number[] = []): Membership => ({
  ...foundingMembership(numbers.map((number) => ({ nodeId: n(number), raftAddress: 'a:1' }))),
  removed: removed.map(n),
});
const saying = (code: string, ...numbers: readonly number[]) =>
  numbers.map((number) => ({ nodeId: n(number), code, sentence: '' }));

const rows: readonly (Evidence & { readonly name: string; readonly endsAfterMs: number | null })[] =
  [
    {
      name: 'a member',
      ...{ membership: groupOf([1, 2, 3]), isCommitted: true, refusedBy: [] },
      endsAfterMs: null,
    },
    {
      name: 'removed, as its log says',
      ...{ membership: groupOf([2, 3], [1]), isCommitted: true, refusedBy: [] },
      endsAfterMs: REMOVED_BY_LOG_MS,
    },
    {
      name: 'removed by an entry that may be cut again',
      ...{ membership: groupOf([2, 3], [1]), isCommitted: false, refusedBy: [] },
      endsAfterMs: null,
    },
    {
      name: 'not in the membership yet: it joins',
      ...{ membership: groupOf([2, 3]), isCommitted: true, refusedBy: [] },
      endsAfterMs: null,
    },
    {
      name: 'one of two others says so',
      membership: groupOf([1, 2, 3]),
      ...{ isCommitted: true, refusedBy: saying('removedNode', 2) },
      endsAfterMs: null,
    },
    {
      name: 'both others say so',
      membership: groupOf([1, 2, 3]),
      ...{ isCommitted: true, refusedBy: saying('removedNode', 2, 3) },
      endsAfterMs: REMOVED_BY_PEERS_MS,
    },
    {
      name: 'the only other one says so',
      membership: groupOf([1, 2]),
      ...{ isCommitted: true, refusedBy: saying('removedNode', 2) },
      endsAfterMs: REMOVED_BY_PEERS_MS,
    },
    {
      name: 'leaves with two others, and both who stay say so',
      membership: {
        ...groupOf([1, 2, 3, 4, 5]),
        voters: [n(4), n(5)],
        outgoing: [1, 2, 3, 4, 5].map(n),
      },
      ...{ isCommitted: false, refusedBy: saying('removedNode', 4, 5) },
      endsAfterMs: REMOVED_BY_PEERS_MS,
    },
    {
      name: 'leaves with two others, and one who stays says so',
      membership: {
        ...groupOf([1, 2, 3, 4, 5]),
        voters: [n(4), n(5)],
        outgoing: [1, 2, 3, 4, 5].map(n),
      },
      ...{ isCommitted: false, refusedBy: saying('removedNode', 4) },
      endsAfterMs: null,
    },
    {
      name: 'the others refuse for another reason',
      membership: groupOf([1, 2, 3]),
      ...{ isCommitted: true, refusedBy: saying('otherStore', 2, 3) },
      endsAfterMs: null,
    },
  ];

for (const { name, endsAfterMs, ...evidence } of rows) {
  const when = endsAfterMs === null ? 'goes on' : `ends after ${endsAfterMs} ms`;
  test(`${name}: it ${when}`, () => {
    let nowMs = 7;
    const told: string[] = [];
    const removal = new Removal({
      self: n(1),
      nowMs: () => nowMs,
      onRemoved: (by) => told.push(by.join()),
    });
    const check = () => removal.check(evidence);
    check();
    nowMs += (endsAfterMs ?? 1_000_000) - 1;
    doesNotThrow(check);
    nowMs += 1;
    if (endsAfterMs === null) {
      doesNotThrow(check);
      deepEqual(told, []);
      return;
    }
    throws(check, (error) => error instanceof FatalError && error.reason === 'removedFromGroup');
    deepEqual(told, [evidence.refusedBy.map(({ nodeId }) => nodeId).join()]);
  });
}
