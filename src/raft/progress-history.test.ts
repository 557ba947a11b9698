import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unreachable } from '../base/assert.ts';
import { LogIndex } from '../base/units.ts';
import { type LogReport, Progress } from './progress.ts';

const LIMITS = {
  inflightCountMax: 3,
  inflightSizeBytesMax: 1000,
  patienceTicks: 3,
  snapshotPatienceTicks: 20,
  lostLogTicks: 40,
  activeTicks: 20,
};

function aReport(lastIndex: number, durableIndex: number): LogReport {
  const isDiskStalled = false;
  return { lastIndex: LogIndex(lastIndex), durableIndex: LogIndex(durableIndex), isDiskStalled };
}

type Event =
  | { readonly kind: 'send'; readonly count: number; readonly sizeBytes: number }
  | { readonly kind: 'accept' | 'reject' | 'sent' | 'round'; readonly at: number }
  | { readonly kind: 'report'; readonly at: number; readonly missing: number }
  | { readonly kind: 'needSnapshot' | 'failed' | 'unreachable'; readonly base: number };

const at = fc.nat(60);
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      count: fc.nat(3),
      sizeBytes: fc.nat(1200),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'accept' as const,
        'reject' as const,
        'sent' as const,
        'round' as const,
      ),
      at,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('report' as const), at, missing: fc.nat(8) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('needSnapshot' as const, 'failed' as const, 'unreachable' as const),
      base: at,
    }),
  },
);

/** @returns whether the peer was found to have lost log */
function happen(progress: Progress, step: Event, tick: number): boolean {
  const room = progress.roomSizeBytes();
  switch (step.kind) {
    case 'send': {
      const sizeBytes = progress.inflightCount === 0 ? step.sizeBytes : (room ?? 0);
      if (room === null) break;
      progress.onSent(LogIndex(progress.nextIndex - 1 + step.count), sizeBytes, tick);
      break;
    }
    case 'accept':
      progress.onAccepted(LogIndex(step.at), tick, LogIndex(30));
      break;
    case 'reject':
      progress.onRejected(LogIndex(step.at), LogIndex(Math.floor(step.at / 2)));
      break;
    case 'sent':
      progress.onSnapshotSent(LogIndex(step.at), tick);
      break;
    case 'round':
      progress.onRound(step.at);
      break;
    case 'report': {
      const report = aReport(step.at, Math.max(0, step.at - step.missing));
      return progress.onReport(report, tick) === 'lostLog';
    }
    case 'needSnapshot':
      if (room !== null) progress.becomeSnapshot();
      break;
    case 'failed':
      progress.onSnapshotFailed();
      break;
    case 'unreachable':
      progress.onUnreachable();
      break;
    default:
      unreachable(step);
  }
  return false;
}

test('whatever happens: match stays below next and grows, windows hold, a snapshot travels alone', () => {
  const history = fc.array(fc.tuple(event, fc.nat(15)), { maxLength: 80, size: 'max' });
  let lostLogCount = 0;
  fc.assert(
    fc.property(history, (events) => {
      const progress = new Progress(LIMITS, LogIndex(1), 0);
      let tick = 0;
      for (const [step, ticks] of events) {
        tick += ticks;
        const { matchIndex, confirmedRound, state } = progress;
        const isLost = happen(progress, step, tick);
        if (isLost) lostLogCount += 1;
        else equal(progress.matchIndex >= matchIndex, true);
        equal(progress.matchIndex < progress.nextIndex, true);
        equal(progress.confirmedRound >= confirmedRound, true);
        equal(progress.inflightCount <= LIMITS.inflightCountMax, true);
        if (progress.inflightCount > 1) {
          equal(progress.inflightSizeBytes <= LIMITS.inflightSizeBytesMax, true);
        }
        if (progress.state === 'snapshot') {
          deepEqual([progress.roomSizeBytes(), progress.inflightCount], [null, 0]);
        }
        if (progress.state === 'probing') equal(progress.inflightCount <= 1, true);
        if (state !== 'snapshot' && progress.state === 'snapshot') equal(step.kind, 'needSnapshot');
      }
      // Nothing is ever stuck: a report, later, of a peer that has everything lets us send again.
      progress.onSnapshotFailed();
      progress.onReport(aReport(60, 60), tick + 100);
      equal(progress.roomSizeBytes() !== null, true);
    }),
    { numRuns: 500 },
  );
  equal(lostLogCount > 0, true);
});
