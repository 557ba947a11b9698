import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import {
  type EntryDesc,
  type EntryId,
  logOrigin,
  payloadSizeBytesMax,
  type SnapshotDesc,
} from './entry.ts';
import { carriedSizeBytes, LogView } from './log-view.ts';
import { foundingMembership, type LoggedMembership } from './membership.ts';
import { standardRules } from './rules.ts';

const SEGMENT_SIZE_BYTES = 8 * KIB;

type Command =
  | { readonly kind: 'append'; readonly termStep: number; readonly payloadSizeBytes: number }
  | { readonly kind: 'truncate'; readonly keepRatio: number }
  | { readonly kind: 'compact'; readonly dropRatio: number }
  | { readonly kind: 'reset'; readonly indexStep: number; readonly slot: number };

/** What the view must be equal to. */
interface PlainLog {
  base: SnapshotDesc;
  /** All above the base. */
  entries: EntryDesc[];
}

const ratio = fc.double({ min: 0, max: 1, noNaN: true });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 25,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      termStep: fc.constantFrom(0, 0, 0, 1, 3),
      payloadSizeBytes: fc.nat(2 * KIB),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('truncate' as const),
      keepRatio: ratio,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('compact' as const), dropRatio: ratio }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('reset' as const),
      indexStep: fc.nat(3000),
      slot: fc.nat(500),
    }),
  },
);

const MEMBERSHIP: LoggedMembership = {
  index: LogIndex(0),
  membership: foundingMembership([{ nodeId: NodeId('n1'), raftAddress: 'h:1' }]),
};
const ORIGIN = logOrigin(MEMBERSHIP.membership);

function aBase(term: number, index: number, endOffset: number): SnapshotDesc {
  const last = { term: Term(term), index: LogIndex(index) };
  return { last, endOffset: PhysicalOffset(endOffset), membership: MEMBERSHIP };
}

function lastOf({ base, entries }: PlainLog): EntryId {
  const { term, index } = entries.at(-1) ?? base.last;
  return { term, index };
}

/** Appends an entry, and a filler before it if need be, to both the view and the plain log. */
function appendTo(
  view: LogView,
  oracle: PlainLog,
  content: { readonly term: Term; readonly payloadSizeBytes: number },
): void {
  const { term, payloadSizeBytes } = content;
  const { fillerSizeBytes, physicalOffset, sizeBytes } = view.place(payloadSizeBytes);
  const push = (entry: Omit<EntryDesc, 'index' | 'term'>): void => {
    const whole = { index: LogIndex(lastOf(oracle).index + 1), term, ...entry };
    view.append(whole);
    oracle.entries.push(whole);
  };
  if (fillerSizeBytes > 0) {
    push({
      type: 'filler',
      physicalOffset: view.nextOffset,
      sizeBytes: fillerSizeBytes,
      payloadSizeBytes: 0,
      payloadCrc: 0,
    });
  }
  const payloadCrc = (lastOf(oracle).index * 2654435761) % 2 ** 32;
  push({ type: 'data', physicalOffset, sizeBytes, payloadSizeBytes, payloadCrc });
}

function truncateTo(view: LogView, oracle: PlainLog, keep: number): void {
  view.truncateFrom(LogIndex(oracle.base.last.index + keep + 1));
  oracle.entries.length = keep;
}

/** @param drop how many entries are forgotten */
function compactBy(view: LogView, oracle: PlainLog, drop: number): void {
  const through = LogIndex(oracle.base.last.index + drop);
  view.compactTo(through);
  if (drop === 0) return;
  const { term, index, physicalOffset, sizeBytes } = oracle.entries[drop - 1]!;
  oracle.base = aBase(term, index, physicalOffset + sizeBytes);
  oracle.entries = oracle.entries.slice(drop);
}

function build(commands: readonly Command[]): { view: LogView; oracle: PlainLog } {
  const view = new LogView(SEGMENT_SIZE_BYTES, ORIGIN, []);
  const oracle: PlainLog = { base: ORIGIN, entries: [] };
  for (const step of commands) {
    const { length } = oracle.entries;
    if (step.kind === 'append') {
      const term = Term(lastOf(oracle).term + step.termStep);
      appendTo(view, oracle, { term, payloadSizeBytes: step.payloadSizeBytes });
    } else if (step.kind === 'compact') {
      compactBy(view, oracle, Math.floor(step.dropRatio * length));
    } else if (step.kind === 'reset') {
      const { term, index } = lastOf(oracle);
      // What a segment has left is nothing or room for a header, as after any entry.
      const endOffset = step.slot === 0 ? 0 : 4 * KIB + step.slot * 64;
      oracle.base = aBase(term + 1, index + step.indexStep, endOffset);
      oracle.entries = [];
      view.resetTo(oracle.base);
    } else if (length > 0) {
      truncateTo(view, oracle, Math.floor(step.keepRatio * (length - 1)));
    }
  }
  return { view, oracle };
}

const history = fc.array(command, { maxLength: 120, size: 'max' });

test('a log view is a plain array of entries, whatever was appended, cut and forgotten', () => {
  fc.assert(
    fc.property(history, (commands) => {
      const { view, oracle } = build(commands);
      const { base, entries } = oracle;
      equal(view.baseIndex, base.last.index);
      equal(view.firstIndex, base.last.index + 1);
      deepEqual(view.last, lastOf(oracle));
      for (const entry of entries) {
        deepEqual(view.entryAt(entry.index), entry);
        equal(view.termAt(entry.index), entry.term);
        equal(view.endOffsetOf(entry.index), entry.physicalOffset + entry.sizeBytes);
        equal(view.proposedSizeBytesOf(entry.index), entry.type === 'data' ? entry.sizeBytes : 0);
      }
      equal(view.endOffset, view.endOffsetOf(view.lastIndex));
      const replayed = new LogView(SEGMENT_SIZE_BYTES, base, entries);
      deepEqual(replayed.last, view.last);
      equal(replayed.nextOffset, view.nextOffset);
    }),
    { numRuns: 60 },
  );
});

test('what is gone, what the log stands on and what never was are three answers (H16)', () => {
  fc.assert(
    fc.property(history, (commands) => {
      const { view, oracle } = build(commands);
      const { last, endOffset } = oracle.base;
      for (const index of [0, last.index - 1].filter((at) => at >= 0 && at < last.index)) {
        equal(view.termAt(LogIndex(index)), 'compacted');
        equal(view.entryAt(LogIndex(index)), null);
        throws(() => view.idAt(LogIndex(index)), InvariantError);
        throws(() => view.endOffsetOf(LogIndex(index)), InvariantError);
      }
      equal(view.termAt(last.index), last.term);
      deepEqual(view.idAt(last.index), last);
      equal(view.endOffsetOf(last.index), endOffset);
      equal(view.entryAt(last.index), null);
      throws(() => view.entriesFrom(last.index, 1), InvariantError);
      throws(() => view.proposedSizeBytesOf(last.index), InvariantError);
      throws(() => view.truncateFrom(last.index), InvariantError);

      const after = LogIndex(lastOf(oracle).index + 1);
      equal(view.termAt(after), 'absent');
      equal(view.entryAt(after), null);
      throws(() => view.idAt(after), InvariantError);
      throws(() => view.compactTo(after), InvariantError);
    }),
    { numRuns: 60 },
  );
});

test('a log that forgot a committed prefix decides as one that kept it, on any message of a leader', () => {
  const message = fc.record({ start: fc.nat(200), count: fc.nat(30) });
  fc.assert(
    fc.property(history, fc.tuple(ratio, ratio), message, (commands, ratios, { start, count }) => {
      const { view, oracle } = build(commands);
      const { last } = oracle.base;
      const whole = new LogView(SEGMENT_SIZE_BYTES, oracle.base, oracle.entries);
      const committed = Math.floor(ratios[0] * oracle.entries.length);
      compactBy(view, oracle, Math.floor(ratios[1] * committed));

      // The leader holds what is committed, and then its own entries of a newer term.
      const leader = new LogView(SEGMENT_SIZE_BYTES, aBase(0, 0, 0), []);
      leader.resetTo(aBase(last.term, last.index, whole.endOffsetOf(last.index)));
      for (const entry of whole.entriesFrom(whole.firstIndex, Number.MAX_SAFE_INTEGER)) {
        if (entry.index <= last.index + committed) leader.append(entry);
      }
      const plain: PlainLog = { base: aBase(0, leader.lastIndex, 0), entries: [] };
      const term = Term(whole.lastTerm + 1);
      for (let i = 0; i < 20; i++) appendTo(leader, plain, { term, payloadSizeBytes: 8 });

      const span = leader.lastIndex - last.index;
      const prev = leader.idAt(LogIndex(last.index + (start % (span + 1))));
      const from = LogIndex(prev.index + 1);
      const entries = leader.entriesFrom(from, Number.MAX_SAFE_INTEGER).slice(0, count);
      const { matchesPrev, cutFrom } = standardRules;
      const isMatch = matchesPrev(whole.termAt(prev.index), prev.term);
      equal(matchesPrev(view.termAt(prev.index), prev.term), isMatch);
      if (isMatch) equal(cutFrom(view, entries), cutFrom(whole, entries));
      else deepEqual(view.hintFor(prev), whole.hintFor(prev));
    }),
    { numRuns: 150 },
  );
});

test('forgetting what is gone already changes nothing', () => {
  const view = new LogView(SEGMENT_SIZE_BYTES, aBase(3, 40, 4 * KIB + 640), []);
  for (const through of [0, 39, 40]) view.compactTo(LogIndex(through));
  deepEqual([view.baseIndex, view.last], [40, { term: 3, index: 40 }]);
});

test('a log goes on where its base ends, as if the entries before were there', () => {
  const view = new LogView(SEGMENT_SIZE_BYTES, aBase(3, 40, SEGMENT_SIZE_BYTES), []);
  equal(view.endOffset, SEGMENT_SIZE_BYTES);
  equal(view.nextOffset, SEGMENT_SIZE_BYTES + 4 * KIB);
  const { fillerSizeBytes, physicalOffset } = view.place(8);
  deepEqual([fillerSizeBytes, physicalOffset], [0, SEGMENT_SIZE_BYTES + 4 * KIB]);
  const first: EntryDesc = {
    index: LogIndex(41),
    term: Term(2),
    type: 'data',
    physicalOffset,
    sizeBytes: 72,
    payloadSizeBytes: 8,
    payloadCrc: 7,
  };
  throws(() => view.append(first), InvariantError, 'a term older than that of the base');
  view.append({ ...first, term: Term(3) });
});

test('entries cover the log without a gap, but for the headers of segments, and never straddle', () => {
  fc.assert(
    fc.property(history, (commands) => {
      const { base, entries } = build(commands).oracle;
      let end: number = base.endOffset;
      for (const { physicalOffset, sizeBytes } of entries) {
        const skipped = end % SEGMENT_SIZE_BYTES === 0 ? 4 * KIB : 0;
        equal(physicalOffset, end + skipped);
        end = physicalOffset + sizeBytes;
        const segmentOf = (at: number): number => Math.floor(at / SEGMENT_SIZE_BYTES);
        equal(segmentOf(end - 1), segmentOf(physicalOffset));
      }
    }),
    { numRuns: 60 },
  );
});

test('hintFor() names the last entry of ours that may equal one of the other log, or the base', () => {
  const other = fc.record({ term: fc.nat(30).map(Term), at: ratio });
  fc.assert(
    fc.property(history, other, (commands, { term, at }) => {
      const { view, oracle } = build(commands);
      const index = LogIndex(Math.floor(at * (lastOf(oracle).index + 10)));
      const want = oracle.entries.findLast((ours) => ours.index <= index && ours.term <= term);
      const { last } = oracle.base;
      deepEqual(
        view.hintFor({ term, index }),
        want === undefined ? last : { term: want.term, index: want.index },
      );
    }),
    { numRuns: 200 },
  );
});

test('entriesFrom() gives as many entries as fit, and at least one', () => {
  fc.assert(
    fc.property(history, fc.nat(10 * KIB), fc.nat(150), (commands, sizeBytesMax, start) => {
      const { view, oracle } = build(commands);
      const got = view.entriesFrom(LogIndex(view.firstIndex + start), sizeBytesMax);
      const rest = oracle.entries.slice(start);
      deepEqual(got, rest.slice(0, got.length));
      const sizeOf = (entries: readonly EntryDesc[]): number =>
        entries.reduce((sum, entry) => sum + carriedSizeBytes(entry), 0);
      if (rest.length > 0) equal(got.length >= 1, true);
      if (got.length > 1) equal(sizeOf(got) <= sizeBytesMax, true);
      if (got.length < rest.length) {
        equal(sizeOf(rest.slice(0, got.length + 1)) > sizeBytesMax, true);
      }
    }),
    { numRuns: 60 },
  );
});

test('a log longer than one chunk of columns is cut, forgotten and continued across the border', () => {
  const view = new LogView(SEGMENT_SIZE_BYTES, ORIGIN, []);
  const oracle: PlainLog = { base: ORIGIN, entries: [] };
  const grow = (count: number, term: number): void => {
    for (let i = 0; i < count; i++)
      appendTo(view, oracle, { term: Term(term), payloadSizeBytes: 8 });
  };
  const check = (): void => {
    for (const entry of oracle.entries) deepEqual(view.entryAt(entry.index), entry);
    deepEqual(view.last, lastOf(oracle));
  };
  grow(3000, 1);
  truncateTo(view, oracle, 1024);
  grow(1500, 2);
  check();
  for (const drop of [1023, 1, 1, 1100]) {
    compactBy(view, oracle, drop);
    check();
  }
  truncateTo(view, oracle, 0);
  check();
  grow(2000, 3);
  compactBy(view, oracle, oracle.entries.length);
  check();
  grow(1, 4);
  check();
});

test('a log view refuses entries that are not the next ones', () => {
  const first: EntryDesc = {
    index: LogIndex(1),
    term: Term(2),
    type: 'data',
    physicalOffset: PhysicalOffset(4 * KIB),
    sizeBytes: 72,
    payloadSizeBytes: 8,
    payloadCrc: 7,
  };
  const next = { ...first, index: LogIndex(2), physicalOffset: PhysicalOffset(4 * KIB + 72) };
  const bad: readonly (readonly [string, EntryDesc])[] = [
    ['a gap in the indices', { ...next, index: LogIndex(3) }],
    ['a repeated index', { ...next, index: LogIndex(1) }],
    ['an older term', { ...next, term: Term(1) }],
    ['a hole in the bytes', { ...next, physicalOffset: PhysicalOffset(4 * KIB + 80) }],
    ['an entry over the end of its segment', { ...next, sizeBytes: 4 * KIB }],
    ['an entry smaller than its header', { ...next, sizeBytes: 56 }],
  ];
  new LogView(SEGMENT_SIZE_BYTES, ORIGIN, [first, next]);
  for (const [what, entry] of bad) {
    throws(() => new LogView(SEGMENT_SIZE_BYTES, ORIGIN, [first, entry]), InvariantError, what);
  }
});

test('every payload that is allowed fits into an empty segment and leaves room for what follows', () => {
  for (let less = 0; less <= 200; less += 8) {
    const view = new LogView(SEGMENT_SIZE_BYTES, ORIGIN, []);
    const oracle: PlainLog = { base: ORIGIN, entries: [] };
    const payloadSizeBytes = payloadSizeBytesMax(SEGMENT_SIZE_BYTES) - less;
    appendTo(view, oracle, { term: Term(1), payloadSizeBytes });
    appendTo(view, oracle, { term: Term(1), payloadSizeBytes });
    appendTo(view, oracle, { term: Term(1), payloadSizeBytes: 0 });
  }
});
