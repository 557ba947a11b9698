import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError, unreachable } from '../base/assert.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { Durability, type QueuedWrite } from './durability.ts';
import { standardRules } from './rules.ts';

const HARD_STATE = { term: Term(0), votedFor: null };

function aWrite(truncateFrom: number | null, lastIndex: number): QueuedWrite {
  return {
    hardState: null,
    snapshot: null,
    truncateFrom: truncateFrom === null ? null : LogIndex(truncateFrom),
    lastIndex: LogIndex(lastIndex),
  };
}

/** A log entry that can be told from every other one ever written. */
type Mark = string;

interface QueuedChange {
  /** Not null: all that the disk holds is replaced by this. */
  readonly history: readonly Mark[] | null;
  readonly truncateFrom: number | null;
  readonly entries: readonly Mark[];
}

/**
 * Oracle: replays the queue. An index is durable when the disk holds, there and below, the very
 * entries of the memory, and no queued write will take one of them away in between. A snapshot is the
 * whole history that it stands for.
 */
class ReplayedDisk {
  memory: readonly Mark[] = [];
  disk: readonly Mark[] = [];
  readonly queue: QueuedChange[] = [];

  durableIndex(): number {
    let disk = this.disk;
    let common = commonPrefix(disk, this.memory);
    for (const change of this.queue) {
      // A write that cuts first and appends then may be torn between the two.
      disk = voided(disk, change);
      common = Math.min(common, commonPrefix(disk, this.memory));
      disk = disk.concat(change.entries);
    }
    return common;
  }

  write(change: QueuedChange): void {
    this.memory = voided(this.memory, change).concat(change.entries);
    this.queue.push(change);
  }

  complete(): void {
    const change = this.queue.shift()!; // the caller looked
    this.disk = voided(this.disk, change).concat(change.entries);
  }
}

function voided(log: readonly Mark[], { history, truncateFrom }: QueuedChange): readonly Mark[] {
  if (history !== null) return history;
  return truncateFrom === null ? log : log.slice(0, truncateFrom - 1);
}

function commonPrefix(a: readonly Mark[], b: readonly Mark[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}

function aDurability(lastIndex = 0): Durability {
  return new Durability(LogIndex(lastIndex), HARD_STATE, standardRules.durableAfter);
}

/** What a core does: it commits, is given a log's end by a leader, or is given a snapshot. */
class Model {
  readonly oracle = new ReplayedDisk();
  readonly durability = aDurability();
  commitIndex = 0;
  #completed = 0;
  #marks = 0;

  complete(): void {
    if (this.oracle.queue.length === 0) return;
    this.oracle.complete();
    this.#completed += 1;
    this.durability.complete(this.#completed);
  }

  commit(count: number): void {
    this.commitIndex = Math.min(this.commitIndex + count, this.oracle.memory.length);
  }

  write({ cutBack, appendCount, name }: WriteAction): void {
    const { length } = this.oracle.memory;
    const cut = cutBack === null ? null : Math.max(this.commitIndex + 1, length - cutBack);
    const truncateFrom = cut === null || cut > length ? null : cut;
    const kept = truncateFrom === null ? length : truncateFrom - 1;
    const entries = Array.from({ length: appendCount }, (_, i) => `${name}${kept + i + 1}`);
    this.oracle.write({ history: null, truncateFrom, entries });
    this.#enqueue(truncateFrom, null);
  }

  install({ agreeing, beyond, appendCount }: InstallAction): void {
    const { commitIndex } = this;
    const length = Math.max(commitIndex + 1, commitIndex + agreeing + beyond);
    const known = this.oracle.memory.slice(0, commitIndex + agreeing);
    const history = known.concat(this.#fresh(length - known.length));
    this.oracle.write({ history, truncateFrom: null, entries: this.#fresh(appendCount) });
    this.#enqueue(commitIndex + 1, length);
    this.commitIndex = length;
  }

  #enqueue(truncateFrom: number | null, snapshot: number | null): void {
    this.durability.enqueue({
      hardState: null,
      snapshot: snapshot === null ? null : LogIndex(snapshot),
      truncateFrom: truncateFrom === null ? null : LogIndex(truncateFrom),
      lastIndex: LogIndex(this.oracle.memory.length),
    });
  }

  #fresh(count: number): Mark[] {
    return Array.from({ length: count }, () => `fresh${this.#marks++}`);
  }
}

interface WriteAction {
  readonly cutBack: number | null;
  readonly appendCount: number;
  /** Few names, so that the same entry comes back after another one took its place (A-B-A). */
  readonly name: 'A' | 'B';
}

interface InstallAction {
  /** How far beyond the commit index the snapshot happens to hold what we hold. */
  readonly agreeing: number;
  readonly beyond: number;
  readonly appendCount: number;
}

type Action =
  | { readonly kind: 'complete' }
  | { readonly kind: 'commit'; readonly count: number }
  | ({ readonly kind: 'write' } & WriteAction)
  | ({ readonly kind: 'install' } & InstallAction);

const complete = fc.record({ kind: fc.constant('complete' as const) });
const commit = fc.record({ kind: fc.constant('commit' as const), count: fc.nat(4) });
const write = fc.record({
  kind: fc.constant('write' as const),
  cutBack: fc.option(fc.nat(6), { nil: null }),
  appendCount: fc.nat(4),
  name: fc.constantFrom('A' as const, 'B' as const),
});
function installs(agreeing: fc.Arbitrary<number>) {
  const kind = fc.constant('install' as const);
  return fc.record({ kind, agreeing, beyond: fc.nat(8), appendCount: fc.nat(2) });
}

function actionsWith(agreeing: fc.Arbitrary<number>): fc.Arbitrary<Action[]> {
  const action: fc.Arbitrary<Action> = fc.oneof(
    { weight: 4, arbitrary: complete },
    { weight: 2, arbitrary: commit },
    { weight: 4, arbitrary: write },
    { weight: 1, arbitrary: installs(agreeing) },
  );
  return fc.array(action, { maxLength: 60, size: 'max' });
}

function step(model: Model, action: Action): void {
  const { kind } = action;
  if (kind === 'complete') model.complete();
  else if (kind === 'commit') model.commit(action.count);
  else if (kind === 'write') model.write(action);
  else if (kind === 'install') model.install(action);
  else unreachable(kind);
}

test('the durable index is what a replay of the queue finds, also when entries come back', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(complete, write), { maxLength: 60, size: 'max' }), (actions) => {
      const model = new Model();
      for (const action of actions) {
        step(model, action);
        equal(model.durability.durableIndex, model.oracle.durableIndex());
      }
    }),
    { numRuns: 300 },
  );
});

test('the same with snapshots that differ from the log right above what was committed', () => {
  fc.assert(
    fc.property(actionsWith(fc.constant(0)), (actions) => {
      const model = new Model();
      for (const action of actions) {
        step(model, action);
        equal(model.durability.durableIndex, model.oracle.durableIndex());
      }
    }),
    { numRuns: 300 },
  );
});

test('whatever a snapshot holds, no index is durable that a replay does not find', () => {
  fc.assert(
    fc.property(actionsWith(fc.nat(6)), (actions) => {
      const model = new Model();
      for (const action of actions) {
        step(model, action);
        equal(model.durability.durableIndex <= model.oracle.durableIndex(), true);
      }
      while (model.oracle.queue.length > 0) model.complete();
      equal(model.durability.durableIndex, model.oracle.memory.length);
    }),
    { numRuns: 300 },
  );
});

test('what is committed and durable stays durable, also under snapshots that are still queued', () => {
  fc.assert(
    fc.property(actionsWith(fc.nat(6)), (actions) => {
      const model = new Model();
      let applying = 0;
      for (const action of actions) {
        const { commitIndex } = model; // before an install moves it
        step(model, action);
        equal(model.durability.durableIndex >= applying, true);
        applying = Math.max(applying, Math.min(commitIndex, model.durability.durableIndex));
      }
    }),
    { numRuns: 200 },
  );
});

test('a snapshot counts when it is durable: before, what was committed; after, all of it', () => {
  const durability = aDurability(100);
  const commitIndex = 80;
  const install = durability.enqueue({
    hardState: null,
    snapshot: LogIndex(150),
    truncateFrom: LogIndex(commitIndex + 1),
    lastIndex: LogIndex(150),
  });
  equal(durability.durableIndex, 80);
  const entries = durability.enqueue(aWrite(null, 160));
  const cut = durability.enqueue(aWrite(155, 157));
  equal(durability.durableIndex, 80);
  durability.complete(install);
  equal(durability.durableIndex, 150);
  durability.complete(entries);
  equal(durability.durableIndex, 154);
  durability.complete(cut);
  equal(durability.durableIndex, 157);
});

test('the second of two queued snapshots leaves the first one durable', () => {
  const durability = aDurability(10);
  const snapshotTo = (snapshot: number, commitIndex: number): number =>
    durability.enqueue({
      ...aWrite(commitIndex + 1, snapshot),
      snapshot: LogIndex(snapshot),
    });
  const first = snapshotTo(50, 10);
  const second = snapshotTo(90, 50);
  equal(durability.durableIndex, 10);
  durability.complete(first);
  equal(durability.durableIndex, 50);
  durability.complete(second);
  equal(durability.durableIndex, 90);
});

test('a snapshot without a bound, or one that reaches no further than the bound, is refused', () => {
  const bad: readonly (readonly [number, number | null, number])[] = [
    [50, null, 50],
    [50, 51, 50],
    [50, 11, 49],
  ];
  for (const [snapshot, truncateFrom, lastIndex] of bad) {
    const write = { ...aWrite(truncateFrom, lastIndex), snapshot: LogIndex(snapshot) };
    throws(() => aDurability(10).enqueue(write), InvariantError);
  }
});

test('the rule that is passed decides, at the end of a write and when one is queued', () => {
  const durability = new Durability(LogIndex(9), HARD_STATE, (lastIndex) => lastIndex);
  const first = durability.enqueue(aWrite(null, 12));
  durability.enqueue(aWrite(5, 5));
  equal(durability.durableIndex, 9);
  durability.complete(first);
  equal(durability.durableIndex, 12);
});

test('an index that is written again does not become durable by the late end of its first write', () => {
  const durability = aDurability(9);
  const write = (truncateFrom: number | null, lastIndex: number): number =>
    durability.enqueue(aWrite(truncateFrom, lastIndex));
  const first = write(null, 10); // 10 of term 1
  const second = write(10, 10); // 10 of term 2 in its place
  const third = write(10, 11); // the very same 10 of term 1 again, and 11

  durability.complete(first);
  equal(durability.durableIndex, 9);
  durability.complete(second);
  equal(durability.durableIndex, 9);
  durability.complete(third);
  equal(durability.durableIndex, 11);
});

test('a hard state is durable when its own write is done, not when a later one is asked for', () => {
  const durability = aDurability();
  const hardState = { term: Term(4), votedFor: NodeId('n2') };
  const token = durability.enqueue({ ...aWrite(null, 0), hardState });
  equal(durability.hardState, HARD_STATE);
  durability.complete(token);
  equal(durability.hardState, hardState);
});

test('writes complete in order and once', () => {
  const durability = aDurability();
  const empty = aWrite(null, 0);
  const first = durability.enqueue(empty);
  const second = durability.enqueue(empty);
  throws(() => durability.complete(second), InvariantError);
  durability.complete(first);
  throws(() => durability.complete(first), InvariantError);
});
