import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Term } from '../base/units.ts';
import { BOOT_IDS_KEPT_MAX } from '../store/limits.ts';
import { NO_PROMISE, type PeerPromise, type RememberedPeer } from '../store/remembered-peer.ts';
import { bootIdOf, bootIdsTo, entryId, remembered } from './handshake-fixture.ts';
import { type ClaimedHistory, judgeHistory, withPromise } from './peer-history.ts';

/** Ids of line 0 are of the store itself, those of line 1 of an image that was started on its own. */
const claim = (bootCount: number, more: Partial<ClaimedHistory> = {}): ClaimedHistory => ({
  ...{ bootCount, bootIds: bootIdsTo(bootCount), term: Term(4), last: entryId(4, 100) },
  ...more,
});
const promise = (more: Partial<PeerPromise> = {}): PeerPromise => ({
  ...{ term: Term(4), last: entryId(4, 90), committed: entryId(3, 80) },
  ...more,
});
const known = (more: Partial<RememberedPeer> = {}): RememberedPeer =>
  remembered({ bootCount: 7, promise: promise(), ...more });

const lasting = 'older, for ever';
interface Row {
  readonly name: string;
  readonly known?: RememberedPeer;
  readonly claimed: ClaimedHistory;
  readonly verdict: 'same' | 'later' | 'later, not proven' | 'older' | 'older, for ever';
}

const starts: readonly Row[] = [
  { name: 'the start that was seen', claimed: claim(7), verdict: 'same' },
  { name: 'the next start', claimed: claim(8), verdict: 'later' },
  {
    name: 'the last start whose chain reaches back',
    claimed: claim(6 + BOOT_IDS_KEPT_MAX),
    verdict: 'later',
  },
  {
    name: 'a start whose chain begins after the one that was seen',
    claimed: claim(7 + BOOT_IDS_KEPT_MAX),
    verdict: 'later, not proven',
  },
  {
    name: 'an earlier start, which may have been on its way for long',
    claimed: claim(6),
    verdict: 'older',
  },
  {
    name: 'another start of the same count: an image of the start before',
    claimed: claim(7, { bootIds: bootIdsTo(7, 7) }),
    verdict: lasting,
  },
  {
    name: 'an image whose count has caught up, and more',
    claimed: claim(12, { bootIds: bootIdsTo(12, 5) }),
    verdict: lasting,
  },
];

const promises: readonly Row[] = [
  {
    name: 'a term that it was past: a vote is forgotten',
    claimed: claim(8, { term: Term(3), last: entryId(3, 100) }),
    verdict: lasting,
  },
  {
    name: 'the term, but not all that it acknowledged in it',
    claimed: claim(8, { last: entryId(4, 89) }),
    verdict: lasting,
  },
  {
    name: 'exactly what it acknowledged',
    claimed: claim(8, { last: entryId(4, 90) }),
    verdict: 'later',
  },
  {
    name: 'a later term, whose leader has cut what was acknowledged and is not done with its own',
    claimed: claim(8, { term: Term(5), last: entryId(3, 85) }),
    verdict: 'later',
  },
  {
    name: 'a later term, learned somewhere else, without what was acknowledged and committed',
    claimed: claim(8, { term: Term(9), last: entryId(3, 79) }),
    verdict: lasting,
  },
  {
    name: 'a shorter log of a later term, in which what is committed must be',
    claimed: claim(8, { term: Term(6), last: entryId(6, 81) }),
    verdict: 'later',
  },
  {
    name: 'nothing in its log, when it never acknowledged anything',
    known: known({ promise: promise({ last: entryId(0, 0), committed: entryId(0, 0) }) }),
    claimed: claim(8, { last: entryId(0, 0) }),
    verdict: 'later',
  },
  {
    name: 'less than it acknowledges by now, in a welcome that was overtaken',
    claimed: claim(7, { last: entryId(4, 50) }),
    verdict: 'same',
  },
];

const refusedBefore: readonly Row[] = [
  {
    name: 'a start that was refused as an image, and has caught up since',
    known: known({ refusedBootId: bootIdOf(8, 1) }),
    claimed: claim(8, { bootIds: bootIdsTo(8, 8) }),
    verdict: lasting,
  },
  {
    name: 'a later start of it',
    known: known({ refusedBootId: bootIdOf(8, 1) }),
    claimed: claim(11, { bootIds: bootIdsTo(11, 8) }),
    verdict: lasting,
  },
  {
    name: 'a later start of it, when the start that was seen is out of reach',
    known: known({ refusedBootId: bootIdOf(20, 1) }),
    claimed: claim(30, { bootIds: bootIdsTo(30, 8) }),
    verdict: lasting,
  },
  {
    name: 'the store itself, after an image of it was refused',
    known: known({ refusedBootId: bootIdOf(8, 1) }),
    claimed: claim(8),
    verdict: 'later',
  },
];

const verdictOf = (row: Row): string => {
  const verdict = judgeHistory(row.known ?? known(), row.claimed);
  if (verdict.kind === 'sameStart') return 'same';
  if (verdict.kind === 'laterStart') return verdict.isProven ? 'later' : 'later, not proven';
  return verdict.isLasting ? lasting : 'older';
};

for (const row of [...starts, ...promises, ...refusedBefore]) {
  test(`${row.name}: ${row.verdict}`, () => assert.equal(verdictOf(row), row.verdict));
}

test('a refusal says what is missing, in numbers', () => {
  const verdict = judgeHistory(known(), claim(8, { last: entryId(4, 89) }));
  assert.ok(verdict.kind === 'older');
  assert.equal(
    verdict.clause,
    'comes with term 4 and last entry 89 of term 4, but acknowledged entry 90 of term 4 in that term',
  );
});

const raises: readonly (readonly [string, PeerPromise, PeerPromise])[] = [
  [
    'a later term starts anew',
    promise({ term: Term(5), last: entryId(0, 0), committed: entryId(0, 0) }),
    promise({ term: Term(5), last: entryId(0, 0) }),
  ],
  ['more of the same term', promise({ last: entryId(4, 95) }), promise({ last: entryId(4, 95) })],
  [
    'less of the same term, which was on its way for long',
    promise({ last: entryId(3, 70) }),
    promise(),
  ],
  ['an earlier term', { ...NO_PROMISE, term: Term(3) }, promise()],
  [
    'what is committed by now',
    promise({ committed: entryId(4, 88) }),
    promise({ committed: entryId(4, 88) }),
  ],
];
for (const [name, news, expected] of raises) {
  test(`what is remembered never shrinks: ${name}`, () => {
    assert.deepEqual(withPromise(promise(), news), expected);
  });
}
