import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { LogIndex, NodeId } from '../base/units.ts';
import { foundingMembership, type LoggedMembership } from './membership.ts';
import { MembershipLog } from './membership-log.ts';

/** A different membership for each number. */
function logged(index: number): LoggedMembership {
  const member = { nodeId: NodeId('n1'), raftAddress: `host:${index}` };
  return { index: LogIndex(index), membership: foundingMembership([member]) };
}

function logOf(base: number, ...indices: readonly number[]): MembershipLog {
  return new MembershipLog(logged(base), indices.map(logged));
}

function indicesBetween(log: MembershipLog, from: number, to: number): readonly number[] {
  return log.between(LogIndex(from), LogIndex(to)).map(({ index }) => index);
}

test('the newest membership of the log is in force', () => {
  deepEqual(logOf(0).current, logged(0));
  const log = logOf(0, 4);
  deepEqual(log.current, logged(4));
  log.append(logged(9));
  deepEqual(log.current, logged(9));
});

test('a cut brings back exactly the membership before it', () => {
  const log = logOf(0, 4, 9);
  equal(log.truncateFrom(LogIndex(10)), false);
  deepEqual(log.current, logged(9));
  equal(log.truncateFrom(LogIndex(9)), true);
  deepEqual(log.current, logged(4));
  equal(log.truncateFrom(LogIndex(5)), false);
  equal(log.truncateFrom(LogIndex(1)), true);
  deepEqual(log.current, logged(0));
});

test('no cut drops the base', () => {
  const log = logOf(7, 9);
  equal(log.truncateFrom(LogIndex(3)), true);
  deepEqual(log.current, logged(7));
  equal(log.truncateFrom(LogIndex(3)), false);
  deepEqual(log.current, logged(7));
});

test('the place of a cut membership can be taken by another', () => {
  const log = logOf(0, 4, 9);
  log.truncateFrom(LogIndex(8));
  log.append(logged(8));
  deepEqual(indicesBetween(log, 1, 100), [4, 8]);
});

test('compaction keeps the membership that is in force at its index, and all after it', () => {
  const log = logOf(0, 4, 9, 12);
  log.compactTo(LogIndex(11));
  deepEqual(log.at(LogIndex(11)), logged(9));
  deepEqual(log.current, logged(12));
  deepEqual(indicesBetween(log, 1, 100), [12], 'the base is no entry of the log');
  throws(() => log.at(LogIndex(8)), InvariantError);
});

test('compaction below the first logged membership changes nothing', () => {
  const log = logOf(2, 4);
  log.compactTo(LogIndex(3));
  deepEqual(log.at(LogIndex(3)), logged(2));
  deepEqual(indicesBetween(log, 1, 100), [4]);
});

test('a snapshot replaces all that was logged', () => {
  const log = logOf(0, 4, 9);
  log.resetTo(logged(30));
  deepEqual(log.current, logged(30));
  deepEqual(indicesBetween(log, 1, 100), []);
  log.append(logged(31));
  deepEqual(log.current, logged(31));
});

test('between() includes both ends', () => {
  const log = logOf(0, 4, 9, 12);
  deepEqual(indicesBetween(log, 4, 12), [4, 9, 12]);
  deepEqual(indicesBetween(log, 5, 11), [9]);
  deepEqual(indicesBetween(log, 5, 8), []);
  deepEqual(indicesBetween(log, 13, 20), []);
  deepEqual(indicesBetween(log, 9, 8), []);
});

test('what between() gave stays as it was when the log is cut later', () => {
  const log = logOf(0, 4, 9);
  const sent = log.between(LogIndex(1), LogIndex(9));
  log.truncateFrom(LogIndex(4));
  deepEqual(sent, [logged(4), logged(9)]);
});

test('a membership at or before the last one is a bug', () => {
  const log = logOf(3, 4);
  throws(() => log.append(logged(4)), InvariantError);
  throws(() => log.append(logged(3)), InvariantError);
  throws(() => logOf(3, 3), InvariantError);
  throws(() => logOf(3, 5, 4), InvariantError);
});

test('a membership without voters gets in by no way', () => {
  const empty = { index: LogIndex(9), membership: foundingMembership([]) };
  const log = logOf(0);
  throws(() => log.append(empty), InvariantError);
  throws(() => log.resetTo(empty), InvariantError);
  throws(() => new MembershipLog(empty, []), InvariantError);
  deepEqual(log.current, logged(0));
});

type Command =
  | { readonly kind: 'append'; readonly gap: number }
  | { readonly kind: 'truncate' | 'compact'; readonly at: number }
  | { readonly kind: 'reset'; readonly gap: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('append'), gap: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('truncate'), at: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('compact'), at: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reset'), gap: fc.integer({ min: 1, max: 4 }) }),
  },
);

/** Keeps everything in one list, the base first, and filters it for each answer. */
class PlainList {
  all: readonly LoggedMembership[] = [logged(0)];

  get current(): LoggedMembership {
    return this.all.at(-1)!; // the base stays
  }

  inForceAt(index: number): LoggedMembership {
    return this.all.filter((one) => one.index <= index).at(-1)!; // asked from the base on only
  }

  obey(order: Command): void {
    const [base, ...rest] = this.all;
    const next =
      this.current.index + (order.kind === 'append' || order.kind === 'reset' ? order.gap : 0);
    if (order.kind === 'append') this.all = [...this.all, logged(next)];
    if (order.kind === 'reset') this.all = [logged(next)];
    if (order.kind === 'truncate')
      this.all = [base!, ...rest.filter((one) => one.index < order.at)];
    if (order.kind === 'compact' && order.at >= base!.index) {
      const kept = this.inForceAt(order.at);
      this.all = this.all.filter((one) => one.index >= kept.index);
    }
  }
}

function obey(log: MembershipLog, order: Command): boolean | null {
  switch (order.kind) {
    case 'append':
      log.append(logged(log.current.index + order.gap));
      return null;
    case 'truncate':
      return log.truncateFrom(LogIndex(order.at));
    case 'compact':
      log.compactTo(LogIndex(order.at));
      return null;
    case 'reset':
      log.resetTo(logged(log.current.index + order.gap));
      return null;
  }
}

test('after any history the log answers like a plain list of everything', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 25, size: 'max' }), (orders) => {
      const log = logOf(0);
      const plain = new PlainList();
      for (const order of orders) {
        const before = plain.current.index;
        plain.obey(order);
        const hasChanged = obey(log, order);
        if (hasChanged !== null) equal(hasChanged, plain.current.index !== before);

        const [base, ...rest] = plain.all;
        const end = plain.current.index + 2;
        deepEqual(log.current, plain.current);
        for (let from = base!.index as number; from <= end; from++) {
          deepEqual(log.at(LogIndex(from)), plain.inForceAt(from));
          for (const to of [from, from + 3, end]) {
            const want = rest.filter(({ index }) => index >= from && index <= to);
            deepEqual(log.between(LogIndex(from), LogIndex(to)), want);
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});
