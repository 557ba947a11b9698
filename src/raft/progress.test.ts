import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex } from '../base/units.ts';
import { Progress } from './progress.ts';

const LIMITS = {
  inflightCountMax: 3,
  inflightSizeBytesMax: 1000,
  patienceTicks: 3,
  lostLogTicks: 40,
};

function aProgress(nextIndex = 11): Progress {
  return new Progress(LIMITS, LogIndex(nextIndex), 0);
}

/** Matched up to `match`, nothing in flight. */
function aReplicating(match = 10): Progress {
  const progress = aProgress(match + 1);
  progress.onAccepted(LogIndex(match), 0);
  return progress;
}

function report(lastIndex: number, durableIndex = lastIndex) {
  return { lastIndex: LogIndex(lastIndex), durableIndex: LogIndex(durableIndex) };
}

function places(progress: Progress): readonly unknown[] {
  return [progress.state, progress.matchIndex, progress.nextIndex, progress.inflightCount];
}

test('probing sends one message and waits', () => {
  const progress = aProgress();
  equal(progress.roomSizeBytes(), 1000);
  progress.onSent(LogIndex(10), 0, 0);
  equal(progress.roomSizeBytes(), null);
});

test('an accepted probe starts replicating after the match', () => {
  const progress = aProgress();
  progress.onSent(LogIndex(12), 100, 0);
  equal(progress.onAccepted(LogIndex(12), 0), true);
  deepEqual(places(progress), ['replicating', 12, 13, 0]);
});

test('replicating sends ahead until the count of messages is full', () => {
  const progress = aReplicating();
  for (const lastIndex of [11, 12, 13]) progress.onSent(LogIndex(lastIndex), 10, 0);
  deepEqual(places(progress), ['replicating', 10, 14, 3]);
  equal(progress.roomSizeBytes(), null);
  progress.onAccepted(LogIndex(12), 1);
  deepEqual(places(progress), ['replicating', 12, 14, 1]);
  equal(progress.roomSizeBytes(), 990);
});

test('replicating sends ahead until the bytes are full; one message of any size may go alone', () => {
  const progress = aReplicating();
  progress.onSent(LogIndex(11), 700, 0);
  equal(progress.roomSizeBytes(), 300);
  progress.onSent(LogIndex(12), 300, 0);
  equal(progress.roomSizeBytes(), null);
  progress.onAccepted(LogIndex(12), 0);
  progress.onSent(LogIndex(13), 5000, 0);
  equal(progress.roomSizeBytes(), null);
});

test('an old acknowledgement moves nothing', () => {
  const progress = aReplicating();
  progress.onSent(LogIndex(11), 10, 0);
  equal(progress.onAccepted(LogIndex(9), 1), false);
  deepEqual(places(progress), ['replicating', 10, 12, 1]);
});

test('a rejection makes it probe where the logs may meet, never at or below the match', () => {
  const progress = aReplicating();
  for (const lastIndex of [11, 12, 13]) progress.onSent(LogIndex(lastIndex), 10, 0);
  equal(progress.onRejected(LogIndex(12), LogIndex(4)), true);
  deepEqual(places(progress), ['probing', 10, 11, 0]);
});

test('of the rejections that follow one loss only the first moves it', () => {
  const progress = aReplicating();
  for (const lastIndex of [11, 12, 13]) progress.onSent(LogIndex(lastIndex), 10, 0);
  equal(progress.onRejected(LogIndex(11), LogIndex(10)), true);
  progress.onSent(LogIndex(11), 10, 0);
  equal(progress.onRejected(LogIndex(12), LogIndex(10)), false);
  equal(progress.inflightCount, 1);
});

test('a rejection of what is known to match is old', () => {
  equal(aReplicating().onRejected(LogIndex(10), LogIndex(3)), false);
});

test('an unreachable peer is probed from its match on', () => {
  const progress = aReplicating();
  for (const lastIndex of [11, 12]) progress.onSent(LogIndex(lastIndex), 10, 0);
  progress.onUnreachable();
  deepEqual(places(progress), ['probing', 10, 11, 0]);
});

test('a peer that is unreachable while it is probed is not sent the log from its start', () => {
  const progress = aProgress();
  progress.onSent(LogIndex(10), 0, 0);
  progress.onUnreachable();
  deepEqual(places(progress), ['probing', 0, 11, 0]);
});

// Two messages are in flight since tick 0, ending at 15 and 20; the match is 10.
const reports: readonly (readonly [string, number, number, number, string, readonly unknown[]])[] =
  [
    // what                                     tick last durable verdict       state after
    ['is believed too early to say', 2, 10, 10, 'fine', ['replicating', 10, 21, 2]],
    ['shows the oldest message lost', 3, 10, 10, 'lostMessage', ['probing', 10, 11, 0]],
    ['shows part of it arrived', 3, 12, 12, 'lostMessage', ['probing', 10, 13, 0]],
    ['shows a slow disk', 3, 20, 10, 'fine', ['replicating', 10, 21, 2]],
    ['shows the acknowledgement lost', 3, 15, 15, 'lostMessage', ['probing', 10, 16, 0]],
    ['shows a longer tail of another term', 3, 30, 30, 'lostMessage', ['probing', 10, 21, 0]],
  ];

for (const [what, tick, last, durable, verdict, want] of reports) {
  test(`a report ${what}`, () => {
    const progress = aReplicating();
    for (const lastIndex of [15, 20]) progress.onSent(LogIndex(lastIndex), 10, 0);
    equal(progress.onReport(report(last, durable), tick), verdict);
    deepEqual(places(progress), want);
  });
}

test('recent progress is patience: acknowledgements are on their way', () => {
  const progress = aReplicating();
  for (const lastIndex of [15, 20]) progress.onSent(LogIndex(lastIndex), 10, 0);
  progress.onAccepted(LogIndex(15), 9);
  equal(progress.onReport(report(15), 10), 'fine');
  equal(progress.onReport(report(15), 12), 'lostMessage');
});

test('one short report is an old message; nothing but short ones is lost log', () => {
  const progress = aReplicating();
  equal(progress.onReport(report(5), 10), 'fine');
  equal(progress.onReport(report(10), 20), 'fine');
  equal(progress.onReport(report(5), 30), 'fine');
  equal(progress.onReport(report(5), 69), 'fine');
  equal(progress.onReport(report(5), 70), 'lostLog');
  deepEqual(places(progress), ['probing', 5, 6, 0]);
});
