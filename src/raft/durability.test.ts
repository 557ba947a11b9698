import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { Durability } from './durability.ts';

const HARD_STATE = { term: Term(0), votedFor: null };

/** A log entry that can be told from every other one ever written. */
type Mark = string;

/**
 * Oracle: replays the queue. An index is durable when the disk holds, there and below, the very
 * entries of the memory, and no queued write will take one of them away in between.
 */
class ReplayedDisk {
  memory: Mark[] = [];
  disk: Mark[] = [];
  readonly queue: { readonly truncateFrom: number | null; readonly entries: readonly Mark[] }[] =
    [];

  durableIndex(): number {
    let state = this.disk;
    let common = commonPrefix(state, this.memory);
    for (const write of this.queue) {
      if (write.truncateFrom !== null) state = state.slice(0, write.truncateFrom - 1);
      common = Math.min(common, commonPrefix(state, this.memory));
      state = state.concat(write.entries);
    }
    return common;
  }

  write(truncateFrom: number | null, entries: readonly Mark[]): void {
    if (truncateFrom !== null) this.memory = this.memory.slice(0, truncateFrom - 1);
    this.memory = this.memory.concat(entries);
    this.queue.push({ truncateFrom, entries });
  }

  complete(): void {
    const { truncateFrom, entries } = this.queue.shift()!; // the caller looked
    if (truncateFrom !== null) this.disk = this.disk.slice(0, truncateFrom - 1);
    this.disk = this.disk.concat(entries);
  }
}

function commonPrefix(a: readonly Mark[], b: readonly Mark[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}

const action = fc.record({
  complete: fc.boolean(),
  cutBack: fc.option(fc.nat(6), { nil: null }),
  appendCount: fc.nat(4),
  /** Few names, so that the same entry comes back after another one took its place (A-B-A). */
  name: fc.constantFrom('A', 'B'),
});

test('the durable index is what a replay of the queue finds, also when entries come back', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const oracle = new ReplayedDisk();
      const durability = new Durability(LogIndex(0), HARD_STATE);
      let token = 1;
      for (const { complete, cutBack, appendCount, name } of actions) {
        if (complete && oracle.queue.length > 0) {
          oracle.complete();
          durability.complete(token++);
        } else {
          const length = oracle.memory.length;
          const truncateFrom =
            cutBack === null || length === 0 ? null : Math.max(1, length - cutBack);
          const kept = truncateFrom === null ? length : truncateFrom - 1;
          const entries = Array.from({ length: appendCount }, (_, i) => `${name}${kept + i + 1}`);
          oracle.write(truncateFrom, entries);
          durability.enqueue({
            hardState: null,
            truncateFrom: truncateFrom === null ? null : LogIndex(truncateFrom),
            lastIndex: LogIndex(oracle.memory.length),
          });
        }
        equal(durability.durableIndex, oracle.durableIndex());
      }
    }),
    { numRuns: 300 },
  );
});

test('an index that is written again does not become durable by the late end of its first write', () => {
  const durability = new Durability(LogIndex(9), HARD_STATE);
  const write = (truncateFrom: number | null, lastIndex: number): number =>
    durability.enqueue({
      hardState: null,
      truncateFrom: truncateFrom === null ? null : LogIndex(truncateFrom),
      lastIndex: LogIndex(lastIndex),
    });
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
  const durability = new Durability(LogIndex(0), HARD_STATE);
  const hardState = { term: Term(4), votedFor: NodeId('n2') };
  const lastIndex = LogIndex(0);
  const token = durability.enqueue({ hardState, truncateFrom: null, lastIndex });
  equal(durability.hardState, HARD_STATE);
  durability.complete(token);
  equal(durability.hardState, hardState);
});

test('writes complete in order and once', () => {
  const durability = new Durability(LogIndex(0), HARD_STATE);
  const empty = { hardState: null, truncateFrom: null, lastIndex: LogIndex(0) };
  const first = durability.enqueue(empty);
  const second = durability.enqueue(empty);
  throws(() => durability.complete(second), InvariantError);
  durability.complete(first);
  throws(() => durability.complete(first), InvariantError);
});
