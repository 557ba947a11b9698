import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import { pollBudget, remainingMs, workMs } from './budgets.ts';

const WORK_CASES = [
  { remaining: Number.POSITIVE_INFINITY, budget: 2_000, why: 'no deadline' },
  { remaining: 3_000, budget: 2_600, why: 'the default of all clients' },
  { remaining: 500, budget: 250, why: 'half of a short one' },
  { remaining: 0, budget: 0, why: 'too late' },
  { remaining: 3_600_000, budget: 30_000, why: 'nobody waits for an hour' },
];
for (const { remaining, budget, why } of WORK_CASES) {
  test(`a call with ${remaining} ms left may work for ${budget} ms: ${why}`, () => {
    equal(workMs(remaining), budget);
  });
}

const NODE_CALL = { requestTimeoutMs: 3_000 };
const POLL_CASES = [
  { asked: 3_000, remaining: 6_000, waitMs: 3_000, who: 'the Node client' },
  {
    asked: null,
    remaining: 8_000,
    waitMs: 6_500,
    who: 'the Go client, which gives a deadline only',
  },
  {
    asked: 20_000,
    remaining: 20_000,
    waitMs: 19_700,
    who: 'the Rust client, whose deadline is the wait',
  },
  { asked: 30_000, remaining: 33_000, waitMs: 20_000, who: 'who asks for more than there is' },
  {
    asked: 20_000,
    remaining: Number.POSITIVE_INFINITY,
    waitMs: 20_000,
    who: 'who has no deadline',
  },
  { asked: 0, remaining: 3_000, waitMs: 0, who: 'who does not want to wait' },
];
for (const { asked, remaining, waitMs, who } of POLL_CASES) {
  test(`${who} waits ${waitMs} ms`, () => {
    equal(pollBudget(asked, remaining, NODE_CALL.requestTimeoutMs).waitMs, waitMs);
  });
}

test('a poll is never answered after its deadline', () => {
  const ms = fc.integer({ min: 0, max: 60_000 });
  fc.assert(
    fc.property(fc.option(ms), ms, ms, (asked, remaining, timeout) => {
      const { waitMs, totalMs } = pollBudget(asked, remaining, timeout);
      ok(waitMs >= 0 && waitMs <= totalMs);
      ok(totalMs <= remaining);
    }),
    { numRuns: 200 },
  );
});

test('a deadline may be a date or milliseconds, and lie in the past', () => {
  const clock = new ManualClock();
  const nowMs = clock.wallMs();
  const seen = [new Date(nowMs + 5), nowMs + 7, nowMs - 1].map((at) => remainingMs(at, clock));
  deepEqual(seen, [5, 7, 0]);
});
