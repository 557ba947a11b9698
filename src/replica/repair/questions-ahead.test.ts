import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogIndex, NodeId, Term } from '../../base/units.ts';
import type { StoredEntry } from '../../store/commit-log.ts';
import { EntryChain, payloadOf } from '../../store/log-fixture.ts';
import { answerOf } from '../../store/repair/repair-fixture.ts';
import type { RepairRange } from '../../store/repair/repair-source.ts';
import {
  REPAIR_AHEAD_SIZE_BYTES_MAX,
  REPAIR_HANDED_SIZE_BYTES_MAX,
  REPAIR_QUESTIONS_OPEN_MAX,
} from './limits.ts';
import { QuestionsAhead } from './questions-ahead.ts';
import type { AskOutcome } from './repair-client.ts';

const SEGMENT = 1024 * 1024;
const peer = { nodeId: NodeId('n2'), raftAddress: 'n2:1' };
const other = { nodeId: NodeId('n3'), raftAddress: 'n3:1' };

function entriesOf(sizes: readonly number[]): readonly StoredEntry[] {
  const chain = new EntryChain(SEGMENT);
  for (const [i, size] of sizes.entries()) {
    chain.append({ payload: payloadOf(size, i), term: Term(1) });
  }
  return chain.entries;
}

/** A peer whose answers come in any order, as `next` chooses. */
class SlowPeer {
  readonly asked: RepairRange[] = [];
  readonly waiting: (() => void)[] = [];
  openMost = 0;
  answer: (range: RepairRange) => AskOutcome;

  constructor(entries: readonly StoredEntry[]) {
    this.answer = (range) => answered(entries, range);
  }

  readonly ask = (_peer: unknown, range: RepairRange): Promise<AskOutcome> => {
    this.asked.push(range);
    return new Promise((resolve) => {
      this.waiting.push(() => resolve(this.answer(range)));
      this.openMost = Math.max(this.openMost, this.waiting.length);
    });
  };

  async until<T>(promise: Promise<T>, next: (count: number) => number): Promise<T> {
    let isSettled = false;
    void promise.then(() => {
      isSettled = true;
    });
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) return promise;
      this.waiting.splice(next(this.waiting.length), 1)[0]?.();
    }
  }
}

function answered(entries: readonly StoredEntry[], range: RepairRange): AskOutcome {
  return { kind: 'answer', from: 'n2', answer: answerOf(entries, range) };
}

function sizeOf(entries: readonly StoredEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

test('in whatever order answers come, each entry is handed on once, from the anchor on, within bounds', async () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 60 });
  const input = fc.record({
    sizes,
    anchor: fc.constantFrom('first' as const, 'last' as const),
    sizeBytesMax: fc.integer({ min: 100, max: 9000 }),
    choices: fc.infiniteStream(fc.nat(100)),
  });
  await fc.assert(
    fc.asyncProperty(input, async ({ sizes, anchor, sizeBytesMax, choices }) => {
      const entries = entriesOf(sizes);
      const slow = new SlowPeer(entries);
      const ahead = new QuestionsAhead(slow.ask);
      let [from, to] = [1, entries.length];
      const got: StoredEntry[] = [];
      while (from <= to) {
        const wanted = { from: LogIndex(from), to: LogIndex(to), anchor, sizeBytesMax };
        const taking = ahead.take(peer, wanted);
        const outcome = await slow.until(
          taking,
          (count) => choices.next().value % Math.max(1, count),
        );
        assert.ok(outcome.kind === 'answer');
        const part = outcome.answer.entries;
        assert.ok(part.length > 0);
        if (anchor === 'last') {
          got.unshift(...part);
          to = part[0]!.desc.index - 1;
        } else {
          got.push(...part);
          from = part.at(-1)!.desc.index + 1;
        }
        assert.equal(got.length, entries.length - (to - from + 1));
      }
      assert.deepEqual(
        got.map(({ desc }) => desc.index),
        entries.map(({ desc }) => desc.index),
      );
      assert.ok(slow.openMost <= REPAIR_QUESTIONS_OPEN_MAX, `${slow.openMost} at a time`);
      assert.ok(slow.asked.length <= 2 * entries.length);
    }),
    { numRuns: 200 },
  );
});

test('it asks ahead, and no more than may wait to be written', async () => {
  const entries = entriesOf(Array.from({ length: 60 }, () => 900_000));
  const slow = new SlowPeer(entries);
  const ahead = new QuestionsAhead(slow.ask);
  const last = LogIndex(entries.length);
  const wanted = { from: LogIndex(1), to: last, anchor: 'last', sizeBytesMax: 1_000_000 } as const;
  const inOrder = () => 0;
  const first = await slow.until(ahead.take(peer, wanted), inOrder);
  assert.ok(first.kind === 'answer' && first.answer.entries.length >= 1);
  for (let i = 0; i < 100; i++) {
    slow.waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const sizeBytes = sizeOf(entries.slice(-slow.asked.length));
  const bound = REPAIR_AHEAD_SIZE_BYTES_MAX + (1 + REPAIR_QUESTIONS_OPEN_MAX) * 1_000_000;
  assert.ok(slow.asked.length >= 8 && sizeBytes <= bound, `${slow.asked.length} questions`);
  const to = LogIndex(first.answer.entries[0]!.desc.index - 1);
  const next = await slow.until(ahead.take(peer, { ...wanted, to }), inOrder);
  assert.ok(next.kind === 'answer');
  const handed = sizeOf(next.answer.entries);
  assert.ok(next.answer.entries.length > 2 && handed <= REPAIR_HANDED_SIZE_BYTES_MAX, `${handed}`);
});

test('what is asked of another peer, or for another place, is asked anew', async () => {
  const entries = entriesOf(Array.from({ length: 30 }, () => 1000));
  const asked: string[] = [];
  const ahead = new QuestionsAhead(async ({ nodeId }, range) => {
    asked.push(`${nodeId} ${range.from}-${range.to}`);
    return answered(entries, range);
  });
  const wanted = {
    from: LogIndex(1),
    to: LogIndex(30),
    anchor: 'last',
    sizeBytesMax: 1100,
  } as const;
  await ahead.take(peer, wanted);
  assert.equal(asked[0], 'n2 1-30');
  const outcome = await ahead.take(other, { ...wanted, to: LogIndex(20) });
  assert.ok(asked.includes('n3 1-20'));
  assert.ok(outcome.kind === 'answer');
  assert.equal(outcome.answer.entries.at(-1)?.desc.index, 20);
  await ahead.take(other, { ...wanted, to: LogIndex(7), from: LogIndex(3) });
  assert.ok(asked.includes('n3 3-7'));
});

test('where a peer has no more, that is handed on by itself, behind what it had', async () => {
  const entries = entriesOf(Array.from({ length: 12 }, () => 1000));
  const has = entries.slice(5);
  const ahead = new QuestionsAhead(async (_peer, range) => answered(has, range));
  const wanted = {
    from: LogIndex(1),
    to: LogIndex(12),
    anchor: 'last',
    sizeBytesMax: 2500,
  } as const;
  let to = 12;
  for (;;) {
    const outcome = await ahead.take(peer, { ...wanted, to: LogIndex(to) });
    assert.ok(outcome.kind === 'answer');
    const [first] = outcome.answer.entries;
    if (first === undefined) break;
    to = first.desc.index - 1;
  }
  assert.equal(to, 5);
  const failing = new QuestionsAhead(async () => ({ kind: 'failed', why: 'unreachable' }));
  assert.deepEqual(await failing.take(peer, wanted), { kind: 'failed', why: 'unreachable' });
});
