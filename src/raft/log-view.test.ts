import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import { type EntryDesc, type EntryId, payloadSizeBytesMax } from './entry.ts';
import { carriedSizeBytes, LogView } from './log-view.ts';

const SEGMENT_SIZE_BYTES = 8 * KIB;

type Command =
  | { readonly kind: 'append'; readonly termStep: number; readonly payloadSizeBytes: number }
  | { readonly kind: 'truncate'; readonly keepRatio: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      termStep: fc.constantFrom(0, 0, 0, 1, 3),
      payloadSizeBytes: fc.nat(2 * KIB),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('truncate' as const),
      keepRatio: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
);

/** Appends an entry, and a filler before it if need be, to both the view and a plain array. */
function appendTo(
  view: LogView,
  oracle: EntryDesc[],
  content: { readonly term: Term; readonly payloadSizeBytes: number },
): void {
  const { term, payloadSizeBytes } = content;
  const { fillerSizeBytes, physicalOffset, sizeBytes } = view.place(payloadSizeBytes);
  if (fillerSizeBytes > 0) {
    push(view, oracle, {
      index: LogIndex(oracle.length + 1),
      term,
      type: 'filler',
      physicalOffset: view.nextOffset,
      sizeBytes: fillerSizeBytes,
      payloadSizeBytes: 0,
      payloadCrc: 0,
    });
  }
  const index = LogIndex(oracle.length + 1);
  const payloadCrc = (index * 2654435761) % 2 ** 32;
  push(view, oracle, {
    index,
    term,
    type: 'data',
    physicalOffset,
    sizeBytes,
    payloadSizeBytes,
    payloadCrc,
  });
}

function push(view: LogView, oracle: EntryDesc[], entry: EntryDesc): void {
  view.append(entry);
  oracle.push(entry);
}

function build(commands: readonly Command[]): { view: LogView; oracle: EntryDesc[] } {
  const view = new LogView(SEGMENT_SIZE_BYTES, []);
  const oracle: EntryDesc[] = [];
  for (const step of commands) {
    if (step.kind === 'append') {
      const term = Term((oracle.at(-1)?.term ?? 0) + step.termStep);
      appendTo(view, oracle, { term, payloadSizeBytes: step.payloadSizeBytes });
    } else if (oracle.length > 0) {
      const keep = Math.floor(step.keepRatio * (oracle.length - 1));
      view.truncateFrom(LogIndex(keep + 1));
      oracle.length = keep;
    }
  }
  return { view, oracle };
}

const history = fc.array(command, { maxLength: 120 });

test('a log view is a plain array of entries, whatever was appended and cut', () => {
  fc.assert(
    fc.property(history, (commands) => {
      const { view, oracle } = build(commands);
      equal(view.lastIndex, oracle.length);
      equal(view.lastTerm, oracle.at(-1)?.term ?? 0);
      for (const entry of oracle) {
        deepEqual(view.entryAt(entry.index), entry);
        equal(view.termAt(entry.index), entry.term);
      }
      equal(view.termAt(LogIndex(0)), 0);
      equal(view.termAt(LogIndex(oracle.length + 1)), 'absent');
      equal(view.entryAt(LogIndex(oracle.length + 1)), null);
      equal(view.entryAt(LogIndex(0)), null);
      deepEqual(new LogView(SEGMENT_SIZE_BYTES, oracle).last, view.last);
    }),
    { numRuns: 60 },
  );
});

test('entries cover the log without a gap, but for the headers of segments, and never straddle', () => {
  fc.assert(
    fc.property(history, (commands) => {
      let end = 0;
      for (const { physicalOffset, sizeBytes } of build(commands).oracle) {
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

test('hintFor() names the last entry of ours that may equal one of the other log', () => {
  const other = fc.record({ term: fc.nat(30).map(Term), index: fc.nat(150).map(LogIndex) });
  fc.assert(
    fc.property(history, other, (commands, { term, index }) => {
      const { view, oracle } = build(commands);
      const known: readonly EntryId[] = [{ term: Term(0), index: LogIndex(0) }, ...oracle];
      const want = known.findLast((ours) => ours.index <= index && ours.term <= term)!; // 0 is there
      deepEqual(view.hintFor({ term, index }), { term: want.term, index: want.index });
    }),
    { numRuns: 60 },
  );
});

test('entriesFrom() gives as many entries as fit, and at least one', () => {
  fc.assert(
    fc.property(history, fc.nat(10 * KIB), fc.nat(150), (commands, sizeBytesMax, start) => {
      const { view, oracle } = build(commands);
      const got = view.entriesFrom(LogIndex(start + 1), sizeBytesMax);
      const rest = oracle.slice(start);
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

test('a log longer than one chunk of columns is cut and continued across the border', () => {
  const view = new LogView(SEGMENT_SIZE_BYTES, []);
  const oracle: EntryDesc[] = [];
  const grow = (count: number, term: number): void => {
    for (let i = 0; i < count; i++)
      appendTo(view, oracle, { term: Term(term), payloadSizeBytes: 8 });
  };
  grow(3000, 1);
  view.truncateFrom(LogIndex(1025));
  oracle.length = 1024;
  grow(1500, 2);
  for (const index of [1, 1024, 1025, 2048, 2049, oracle.length]) {
    deepEqual(view.entryAt(LogIndex(index)), oracle[index - 1]);
  }
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
  new LogView(SEGMENT_SIZE_BYTES, [first, next]);
  for (const [what, entry] of bad) {
    throws(() => new LogView(SEGMENT_SIZE_BYTES, [first, entry]), InvariantError, what);
  }
});

test('every payload that is allowed fits into an empty segment and leaves room for what follows', () => {
  for (let less = 0; less <= 200; less += 8) {
    const view = new LogView(SEGMENT_SIZE_BYTES, []);
    const oracle: EntryDesc[] = [];
    const payloadSizeBytes = payloadSizeBytesMax(SEGMENT_SIZE_BYTES) - less;
    appendTo(view, oracle, { term: Term(1), payloadSizeBytes });
    appendTo(view, oracle, { term: Term(1), payloadSizeBytes });
    appendTo(view, oracle, { term: Term(1), payloadSizeBytes: 0 });
  }
});
