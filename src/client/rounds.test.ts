import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { RETRY_DELAY_MS_MIN } from './limits.ts';
import { type KnownGroup, NoNodesKnown } from './node-directory.ts';
import { attemptsText, inRounds } from './rounds.ts';

const aGroup = (names: readonly string[], master: string | null): KnownGroup => ({
  ...{ cluster: 'c', group: 'g', master },
  nodes: names.map((nodeId) => ({ nodeId, raft: `${nodeId}:1`, grpc: null, http: null })),
});

interface Scene {
  readonly timeoutMs: number;
  readonly names: readonly string[];
  readonly attemptMs: number;
  /** From the beginning; before, every attempt fails. */
  readonly answersAtMs: number;
}

/** Attempts as they were made, with what came of it. */
function aCall({ timeoutMs, names, attemptMs, answersAtMs }: Scene) {
  const clock = new ManualClock();
  const made: { readonly name: string; readonly leftMs: number; readonly isRetry: boolean }[] = [];
  let forgotten = 0;
  const outcome = inRounds<string, Error>({
    directory: { forget: () => void forgotten++ },
    ...{ clock, timeoutMs, signal: new AbortController().signal },
    findGroup: async () => {
      if (names.length === 0) throw new NoNodesKnown('nobody is known');
      return aGroup(names, names.at(-1) ?? null);
    },
    attempt: async ({ nodeId }, how) => {
      made.push({ name: nodeId ?? '', ...how });
      await new Promise<void>((resolve) => void clock.setTimer(attemptMs, resolve));
      if (clock.monotonicMs() >= answersAtMs) return { kind: 'answer', answer: 'yes' };
      return { kind: 'trouble', trouble: new Error('no') };
    },
  });
  return { clock, made, outcome, forgotten: () => forgotten };
}

const scene: fc.Arbitrary<Scene> = fc.record({
  timeoutMs: fc.integer({ min: 1, max: 3_000 }),
  names: fc.uniqueArray(fc.constantFrom('n1', 'n2', 'n3', 'n4'), { minLength: 1 }),
  attemptMs: fc.integer({ min: 1, max: 400 }),
  answersAtMs: fc.integer({ min: 0, max: 4_000 }),
});

test('every round asks each node once, the leader first, and none is begun after the deadline', async () => {
  await fc.assert(
    fc.asyncProperty(scene, async (each) => {
      const { clock, made, outcome, forgotten } = aCall(each);
      await clock.advanceSettling(each.timeoutMs + each.attemptMs + 1);
      const { names } = each;
      const round = [names.at(-1), ...names.slice(0, -1)];
      deepEqual(
        made.map(({ name }) => name),
        made.map((_, i) => round[i % round.length]),
      );
      ok(made.every(({ leftMs }) => leftMs > 0 && leftMs <= each.timeoutMs));
      deepEqual(
        made.map(({ isRetry }) => isRetry),
        made.map((_, i) => i > 0),
      );
      ok(forgotten() >= Math.floor((made.length - 1) / round.length), 'routes are asked for again');
      const end = await outcome;
      if (end.kind === 'unanswered') equal(end.attempts.length, made.length);
      else equal(end.answer, 'yes');
    }),
    { numRuns: 50 },
  );
});

test('nobody to ask, all the time, is said as such: nothing can have had an effect', async () => {
  const { clock, made, outcome } = aCall({
    ...{ timeoutMs: 300, names: [], attemptMs: 1, answersAtMs: 0 },
  });
  const end = rejects(outcome, NoNodesKnown);
  await clock.advanceSettling(300);
  await end;
  equal(made.length, 0);
});

test('name servers that fall silent after an attempt do not hide it', async () => {
  const clock = new ManualClock();
  let isKnown = true;
  const outcome = inRounds<string, Error>({
    directory: { forget: () => {} },
    ...{ clock, timeoutMs: RETRY_DELAY_MS_MIN, signal: new AbortController().signal },
    findGroup: async () => {
      if (!isKnown) throw new NoNodesKnown('nobody is known any more');
      isKnown = false;
      return aGroup(['n1'], null);
    },
    attempt: async () => ({ kind: 'trouble', trouble: new Error('the connection broke') }),
  });
  await clock.advanceSettling(RETRY_DELAY_MS_MIN);
  const end = await outcome;
  ok(end.kind === 'unanswered');
  equal(attemptsText(end.attempts), 'n1 (n1:1): the connection broke');
});
