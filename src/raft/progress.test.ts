import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantError } from '../base/assert.ts';
import { LogIndex } from '../base/units.ts';
import { Progress } from './progress.ts';

const LIMITS = {
  inflightCountMax: 3,
  inflightSizeBytesMax: 1000,
  patienceTicks: 3,
  snapshotPatienceTicks: 20,
  lostLogTicks: 40,
  activeTicks: 20,
};

function aProgress(nextIndex = 11): Progress {
  return new Progress(LIMITS, LogIndex(nextIndex), 0);
}

/** Matched up to `match`, nothing in flight. */
function aReplicating(match = 10): Progress {
  const progress = aProgress(match + 1);
  accept(progress, match, 0);
  return progress;
}

/** @param firstIndex where the leader's log begins */
function accept(progress: Progress, match: number, tick: number, firstIndex = 1): boolean {
  return progress.onAccepted(LogIndex(match), tick, LogIndex(firstIndex));
}

/** Matched up to `match`; our log begins at 101. */
function aWaiting(match = 10): Progress {
  const progress = aReplicating(match);
  progress.becomeSnapshot();
  return progress;
}

function report(lastIndex: number, durableIndex = lastIndex) {
  const isDiskStalled = false;
  return { lastIndex: LogIndex(lastIndex), durableIndex: LogIndex(durableIndex), isDiskStalled };
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
  equal(accept(progress, 12, 0), true);
  deepEqual(places(progress), ['replicating', 12, 13, 0]);
});

test('replicating sends ahead until the count of messages is full', () => {
  const progress = aReplicating();
  for (const lastIndex of [11, 12, 13]) progress.onSent(LogIndex(lastIndex), 10, 0);
  deepEqual(places(progress), ['replicating', 10, 14, 3]);
  equal(progress.roomSizeBytes(), null);
  accept(progress, 12, 1);
  deepEqual(places(progress), ['replicating', 12, 14, 1]);
  equal(progress.roomSizeBytes(), 990);
});

test('replicating sends ahead until the bytes are full; one message of any size may go alone', () => {
  const progress = aReplicating();
  progress.onSent(LogIndex(11), 700, 0);
  equal(progress.roomSizeBytes(), 300);
  progress.onSent(LogIndex(12), 300, 0);
  equal(progress.roomSizeBytes(), null);
  accept(progress, 12, 0);
  progress.onSent(LogIndex(13), 5000, 0);
  equal(progress.roomSizeBytes(), null);
});

test('an old acknowledgement moves nothing', () => {
  const progress = aReplicating();
  progress.onSent(LogIndex(11), 10, 0);
  equal(accept(progress, 9, 1), false);
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
  accept(progress, 15, 9);
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
  deepEqual(places(progress), ['probing', 0, 6, 0]);
});

test('a peer that needs what is gone is sent nothing while the snapshot is brought', () => {
  const progress = aReplicating();
  progress.onSent(LogIndex(12), 100, 0);
  progress.becomeSnapshot();
  deepEqual(places(progress), ['snapshot', 10, 13, 0]);
  equal(progress.inflightSizeBytes, 0);
  equal(progress.roomSizeBytes(), null);
  throws(() => progress.onSent(LogIndex(13), 10, 1), InvariantError);
  throws(() => progress.becomeSnapshot(), InvariantError);
  equal(progress.onReport(report(10), 500), 'fine');
  equal(progress.onRejected(LogIndex(12), LogIndex(10)), false);
  progress.onUnreachable();
  deepEqual(places(progress), ['snapshot', 10, 13, 0]);
  equal(progress.roomSizeBytes(), null);
});

test('a snapshot that is sent and accepted lets entries follow it', () => {
  const progress = aWaiting();
  progress.onSnapshotSent(LogIndex(120), 5);
  deepEqual(places(progress), ['snapshot', 10, 121, 0]);
  equal(progress.roomSizeBytes(), null);
  equal(accept(progress, 120, 6, 101), true);
  deepEqual(places(progress), ['replicating', 120, 121, 0]);
  equal(progress.roomSizeBytes(), 1000);
});

// Our log begins at 101, the match was 10. A snapshot of 90 is older than our base by now.
const acceptances: readonly (readonly [string, number | null, number, readonly unknown[]])[] = [
  // what                                      sent  match  state after
  ['below the base changes the match only', null, 50, ['snapshot', 50, 51, 0]],
  ['right before the base goes on', null, 99, ['snapshot', 99, 100, 0]],
  ['of the base is enough to go on', null, 100, ['replicating', 100, 101, 0]],
  ['above the base is enough to go on', null, 110, ['replicating', 110, 111, 0]],
  [
    'of the base is believed, though less than the snapshot',
    120,
    100,
    ['replicating', 100, 101, 0],
  ],
  ['below the base and the snapshot is not enough', 120, 50, ['snapshot', 50, 121, 0]],
  ['of a snapshot that is too old already ends it', 90, 90, ['replicating', 90, 91, 0]],
  ['of more than an old snapshot ends it', 90, 95, ['replicating', 95, 96, 0]],
];

for (const [what, sent, match, want] of acceptances) {
  test(`while a snapshot is on its way an acceptance ${what}`, () => {
    const progress = aWaiting();
    if (sent !== null) progress.onSnapshotSent(LogIndex(sent), 0);
    equal(accept(progress, match, 1, 101), true);
    deepEqual(places(progress), want);
  });
}

test('an old acceptance says nothing about a snapshot', () => {
  const progress = aWaiting();
  equal(accept(progress, 10, 1, 101), false);
  deepEqual(places(progress), ['snapshot', 10, 11, 0]);
});

test('an acceptance may be faster than the word that the snapshot was sent', () => {
  const progress = aWaiting();
  accept(progress, 120, 1, 101);
  progress.onSnapshotSent(LogIndex(120), 2);
  deepEqual(places(progress), ['replicating', 120, 121, 0]);

  const compactedMeanwhile = aWaiting();
  accept(compactedMeanwhile, 120, 1, 201);
  equal(compactedMeanwhile.state, 'snapshot');
  compactedMeanwhile.onSnapshotSent(LogIndex(120), 2);
  deepEqual(places(compactedMeanwhile), ['probing', 120, 121, 0]);
  equal(compactedMeanwhile.roomSizeBytes(), 1000);
});

// A snapshot of 120 was sent at tick 0, the match is 10.
const afterSnapshot: readonly (readonly [
  string,
  number,
  number,
  number,
  string,
  readonly unknown[],
])[] = [
  // what                                   tick last durable verdict       state after
  ['is believed too early to say', 19, 10, 10, 'fine', ['snapshot', 10, 121, 0]],
  ['shows it lost', 20, 10, 10, 'lostMessage', ['probing', 10, 11, 0]],
  ['shows it lost, and what is there', 20, 40, 40, 'lostMessage', ['probing', 10, 41, 0]],
  ['shows it on its way to the disk', 20, 120, 10, 'fine', ['snapshot', 10, 121, 0]],
  ['shows the acknowledgement lost', 20, 120, 120, 'lostMessage', ['probing', 10, 121, 0]],
  ['shows a longer log of its own', 20, 300, 300, 'lostMessage', ['probing', 10, 121, 0]],
  ['shows less than acknowledged', 20, 4, 4, 'lostMessage', ['probing', 10, 11, 0]],
];

for (const [what, tick, last, durable, verdict, want] of afterSnapshot) {
  test(`after a snapshot was sent a report ${what}`, () => {
    const progress = aWaiting();
    progress.onSnapshotSent(LogIndex(120), 0);
    equal(progress.onReport(report(last, durable), tick), verdict);
    deepEqual(places(progress), want);
    equal(progress.roomSizeBytes(), verdict === 'fine' ? null : 1000);
  });
}

test('a peer that installs a snapshot reports less than it acknowledged; that is not lost log', () => {
  const progress = aWaiting(50);
  progress.onSnapshotSent(LogIndex(120), 0);
  for (let tick = 0; tick < 200; tick += 3) {
    equal(progress.onReport(report(120, 30), tick), 'fine');
  }
  accept(progress, 120, 200, 101);
  equal(progress.onReport(report(120), 203), 'fine');
  deepEqual(places(progress), ['replicating', 120, 121, 0]);
});

test('short reports from before a snapshot are forgotten', () => {
  const progress = aReplicating(50);
  equal(progress.onReport(report(5), 0), 'fine');
  progress.becomeSnapshot();
  accept(progress, 120, 10, 101);
  equal(progress.onReport(report(5), 60), 'fine');
  equal(progress.onReport(report(5), 100), 'lostLog');
});

test('after a failed snapshot nothing is sent, nor another one, before the peer reports', () => {
  const progress = aWaiting();
  progress.onSnapshotFailed();
  deepEqual(places(progress), ['probing', 10, 11, 0]);
  equal(progress.roomSizeBytes(), null);
  progress.onUnreachable();
  equal(progress.onRejected(LogIndex(10), LogIndex(3)), false);
  equal(accept(progress, 10, 1, 101), false);
  equal(progress.roomSizeBytes(), null);
  throws(() => progress.becomeSnapshot(), InvariantError);
  equal(progress.onReport(report(10), 2), 'fine');
  equal(progress.roomSizeBytes(), 1000);
  progress.becomeSnapshot();
  equal(progress.state, 'snapshot');
});

test('a snapshot that fails after it was sent is probed as well', () => {
  const progress = aWaiting();
  progress.onSnapshotSent(LogIndex(120), 0);
  progress.onSnapshotFailed();
  deepEqual(places(progress), ['probing', 10, 11, 0]);
  progress.onReport(report(10), 1);
  progress.becomeSnapshot();
  // The patience of the first attempt is not that of the second.
  equal(progress.onReport(report(10), 500), 'fine');
  equal(progress.state, 'snapshot');
});

test('an acceptance after a failed snapshot needs no report to go on', () => {
  const progress = aWaiting();
  progress.onSnapshotFailed();
  accept(progress, 100, 1, 101);
  deepEqual(places(progress), ['replicating', 100, 101, 0]);
  equal(progress.roomSizeBytes(), 1000);
});

test('how a snapshot ended is old news to a peer that needs none', () => {
  for (const progress of [aReplicating(), aProgress()]) {
    const before = places(progress);
    progress.onSnapshotSent(LogIndex(120), 1);
    progress.onSnapshotFailed();
    deepEqual(places(progress), before);
    equal(progress.roomSizeBytes(), 1000);
  }
});

test('a peer is as healthy as it last said, in every state', () => {
  for (const progress of [aProgress(), aReplicating(), aWaiting()]) {
    equal(progress.isDiskStalled, false);
    progress.onReport({ ...report(10), isDiskStalled: true }, 1);
    equal(progress.isDiskStalled, true);
    progress.onReport(report(10), 2);
    equal(progress.isDiskStalled, false);
  }
});

test('a peer is active for a while after it was heard', () => {
  const progress = aProgress();
  progress.onHeard(30);
  equal(progress.heardAtTicks, 30);
  deepEqual(
    [30, 50, 51].map((tick) => progress.isActive(tick)),
    [true, true, false],
  );
});

test('the newest round that was answered counts, in whatever order the answers come', () => {
  const progress = aProgress();
  equal(progress.confirmedRound, 0);
  progress.onRound(4);
  progress.onRound(2);
  equal(progress.confirmedRound, 4);
});
