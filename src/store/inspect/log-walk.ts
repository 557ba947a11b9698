/**
 * Walks a log of any state from segment to segment and entry to entry, checks what start-up checks, and
 * goes on behind damage: an entry with a bad body is stepped over, and behind bytes that are no entry the
 * next good header is searched. Keeps nothing of what it has passed but the last entry.
 *
 * Bytes that are no entry are a question until something good follows: zeros behind which nothing comes
 * are the end of the log, zeros before an entry are entries that are gone. So they are kept as a gap,
 * and reported when it closes.
 */
import { advance, LogIndex, type PhysicalOffset } from '../../base/units.ts';
import { decodeEntryHeader, type EntryHeader } from '../../protocol/entry-codec.ts';
import { decodeMembership } from '../../protocol/membership-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES, SEGMENT_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import { isZero } from '../scan-remains.ts';
import { decodeSegmentHeader, type SegmentHeader } from '../segment.ts';
import type { Damage } from './damage.ts';
import { bodyOf, type EntryBody } from './entry-body.ts';
import { type Misfit, misfitOf, misplacedText } from './entry-fit.ts';
import { searchEntry } from './entry-search.ts';
import { Gap, type GapFinding } from './gap.ts';
import { damagedCopy, headerContradiction, type Predecessor } from './segment-header-check.ts';
import { SegmentSummary } from './segment-summary.ts';
import type { Step, WalkOptions } from './walk-options.ts';
import { isBelow, lowerOf } from './watermark.ts';
import { WindowReader } from './window-reader.ts';

const SMALLEST_STEP_BYTES = 8;
const ZEROS: GapFinding = { kind: 'zeros', found: 'zeros' };
const UNREADABLE: GapFinding = {
  kind: 'unreadable',
  found: 'nothing: the disk cannot read it (EIO), or the file ends',
};

/** A segment while it is walked. */
interface Open {
  readonly summary: SegmentSummary;
  readonly reader: WindowReader;
  readonly start: PhysicalOffset;
}

export class LogWalk {
  readonly segments: SegmentSummary[] = [];
  /** For signs of life: bytes of segments that lie behind. */
  doneBytes = 0;
  /** One past the last entry that was found. */
  end = 0 as PhysicalOffset;
  /** Where the walk was ended before the segments were. */
  endedAt: PhysicalOffset | null = null;
  readonly #options: WalkOptions;
  #before: Predecessor;
  #gap: Gap | null = null;
  #isEnded = false;
  #segmentsDoneBytes = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#before = options.before;
    this.end = options.segments[0]?.startOffset ?? this.end;
  }

  async run(): Promise<void> {
    const { segments, names } = this.#options;
    let expectedStart = segments[0]?.startOffset ?? 0;
    for (const file of segments) {
      if (file.startOffset !== expectedStart) this.#lose();
      expectedStart = file.startOffset + names.segmentSizeBytes;
      const summary = new SegmentSummary(file);
      this.segments.push(summary);
      const open = this.#open(summary);
      if (this.#isEnded) await this.#peek(open);
      else await this.#walkSegment(open);
      this.#segmentsDoneBytes += open.reader.sizeBytes;
      this.doneBytes = this.#segmentsDoneBytes;
    }
    for (const damage of this.#gap?.atEnd() ?? []) await this.#report(damage);
    this.#markBroken();
  }

  /** The log ends in one segment: others that end before their end have lost something. */
  #markBroken(): void {
    const last = this.segments.findLastIndex(({ entryCount }) => entryCount > 0);
    for (const summary of this.segments.slice(0, Math.max(0, last))) {
      if (summary.state === 'current') summary.state = 'broken';
    }
  }

  #open(summary: SegmentSummary): Open {
    const { disk, names } = this.#options;
    const { path, startOffset, sizeBytes } = summary.file;
    const reader = new WindowReader(disk, path, Math.min(sizeBytes, names.segmentSizeBytes));
    return { summary, reader, start: startOffset };
  }

  /** Of a segment behind the end: whether it is what it should be. */
  async #peek({ summary, reader }: Open): Promise<void> {
    const isReadable = await reader.load(0, SEGMENT_HEADER_SIZE_BYTES);
    const isUnused = isReadable && isZero(reader.bytes(0, SEGMENT_HEADER_SIZE_BYTES));
    summary.state = isUnused ? 'ready' : 'unread';
  }

  async #walkSegment(open: Open): Promise<void> {
    const { summary, reader } = open;
    const isUsed = await this.#checkHeader(open);
    let position: number | null = SEGMENT_HEADER_SIZE_BYTES;
    if (!isUsed && !this.#isEnded) position = await this.#search(open, position);
    while (position !== null && position < reader.sizeBytes && !this.#isEnded) {
      this.#options.signal.throwIfAborted();
      this.doneBytes = this.#segmentsDoneBytes + position;
      position = await this.#stepAt(open, position);
    }
    if (isUsed && summary.state === 'ready') {
      const isFull = position !== null && position >= reader.sizeBytes;
      summary.state = isFull ? 'full' : 'current';
    }
  }

  /** @returns whether the header says that entries follow, or cannot say. */
  async #checkHeader(open: Open): Promise<boolean> {
    const { summary, reader, start } = open;
    if (!(await reader.load(0, SEGMENT_HEADER_SIZE_BYTES))) {
      this.#options.accepted.refuse('diskFailed', `Cannot read ${reader.path}`);
      await this.#reportHeader(open, 'a segment header', UNREADABLE.found);
      return true;
    }
    const bytes = reader.bytes(0, SEGMENT_HEADER_SIZE_BYTES);
    const result = decodeSegmentHeader(bytes);
    if (result.kind === 'zero') {
      await this.#openGap(open, 0, ZEROS);
      return false;
    }
    const { path } = reader;
    if (result.kind === 'damaged') {
      if (await this.#endsHere(start)) return true;
      this.#stopAt(path, 0, start, 'a damaged header');
      await this.#reportHeader(open, 'a segment header, twice', 'no good copy of one');
      return true;
    }
    const { names } = this.#options;
    const contradiction = headerContradiction(result.header, summary.file, names, this.#before);
    if (contradiction !== null) {
      this.#stopAt(path, 0, start, `another header: ${contradiction.found}`);
      await this.#reportHeader(open, contradiction.expected, contradiction.found);
      return true;
    }
    if (result.damagedCopies > 0) await this.#reportCopy(open, damagedCopy(bytes, result.header));
    await this.#adopt(open, result.header);
    return true;
  }

  /** What the header says of the entry before is as good as having read it. */
  async #adopt({ reader }: Open, header: SegmentHeader): Promise<void> {
    const index = LogIndex(header.startIndex - 1);
    await this.#closeGap(header.startIndex, reader.path, 0);
    if (this.#before.headerCrc !== null || index < this.#before.index) return;
    this.#before = { index, term: header.prevTerm, headerCrc: header.prevHeaderCrc };
  }

  /** @returns the position of the next entry; null: there is none in this segment, or the walk has ended. */
  async #stepAt(open: Open, position: number): Promise<number | null> {
    const { reader, start } = open;
    const place = advance(start, position);
    const sizeBytes = Math.min(ENTRY_HEADER_SIZE_BYTES, reader.sizeBytes - position);
    if (!reader.has(position, sizeBytes) && !(await reader.load(position, sizeBytes))) {
      this.#options.accepted.refuse('diskFailed', `Cannot read ${reader.path}`);
      return this.#searchBehind(open, position, UNREADABLE);
    }
    const bytes = reader.bytes(position, sizeBytes);
    const decoded = decodeEntryHeader(bytes);
    if (decoded.kind !== 'header') {
      if (isZero(bytes)) return this.#searchBehind(open, position, ZEROS);
      return this.#searchBehind(
        open,
        position,
        noEntry(`bytes that are no entry (${decoded.kind})`),
      );
    }
    const misplaced = misplacedText(decoded.header, place, reader.sizeBytes - position);
    if (misplaced !== null) return this.#searchBehind(open, position, noEntry(misplaced));
    return this.#take(open, position, decoded.header, bytes);
  }

  #take(
    open: Open,
    position: number,
    header: EntryHeader,
    headerBytes: Uint8Array,
  ): number | null | Promise<number | null> {
    const misfit = misfitOf(header, headerBytes, this.#before);
    const body = bodyOf(open.reader, position, header.desc);
    const isPlain = misfit === null && this.#gap === null && header.desc.type !== 'config';
    if (isPlain && 'kind' in body) return this.#pass(open, position, header, body);
    return this.#takeOdd(open, position, header, misfit, body);
  }

  async #takeOdd(
    open: Open,
    position: number,
    header: EntryHeader,
    misfit: Misfit | null,
    examined: EntryBody | Promise<EntryBody>,
  ): Promise<number | null> {
    const { summary, reader } = open;
    const { desc } = header;
    const { path } = reader;
    const body = await examined;
    const isBad = misfit !== null || body.kind === 'bad';
    if (isBad && (await this.#endsHere(desc.physicalOffset))) return null;
    await this.#closeGap(desc.index, path, position);
    if (misfit !== null) {
      this.#stopAt(path, position, desc.physicalOffset, misfit.found);
      if (misfit.kind === 'order') this.#options.sink.onLoss();
      const place = { path, position, sizeBytes: ENTRY_HEADER_SIZE_BYTES };
      await this.#reportEntry(header, { ...misfit, ...place }, summary);
    }
    if (body.kind === 'bad') {
      const { problem } = body;
      if (problem.kind === 'unreadable') {
        this.#options.accepted.refuse('diskFailed', `Cannot read ${path}`);
      }
      const found = `the entry with a damaged body (${problem.word})`;
      this.#stopAt(path, position, desc.physicalOffset, found);
      await this.#reportEntry(header, { ...problem, path }, summary);
    }
    if (desc.type === 'config') await this.#checkMembership(open, position, header, body);
    return this.#pass(open, position, header, body);
  }

  /** The entry is the next one, whatever is wrong with it. */
  #pass(
    { reader, summary }: Open,
    position: number,
    header: EntryHeader,
    body: EntryBody,
  ): number | Promise<number> {
    const { desc } = header;
    this.#options.accepted.accept(header);
    const isFiller = desc.type === 'filler';
    summary.add(desc, position + (isFiller ? ENTRY_HEADER_SIZE_BYTES : desc.sizeBytes));
    this.#before = { index: desc.index, term: desc.term, headerCrc: header.headerCrc };
    this.end = advance(desc.physicalOffset, desc.sizeBytes);
    const next = position + desc.sizeBytes;
    const step = this.#options.sink.onEntry({ path: reader.path, position, header, body });
    if (step === 'goOn') return next;
    return this.#followStep(step, next);
  }

  async #followStep(step: Step | Promise<Step>, next: number): Promise<number> {
    if ((await step) === 'stop') this.#isEnded = true;
    return next;
  }

  async #checkMembership(
    { reader, summary }: Open,
    position: number,
    header: EntryHeader,
    body: EntryBody,
  ): Promise<void> {
    const { desc } = header;
    if (body.kind !== 'good') return;
    const decoded = decodeMembership(body.payload);
    if (decoded.kind === 'membership') return;
    const { path } = reader;
    const place = `${path} at byte ${position}`;
    this.#options.accepted.refuse(
      'logDamaged',
      `Cannot read the log, ${place}: ${decoded.problem}`,
    );
    const payloadAt = position + ENTRY_HEADER_SIZE_BYTES;
    const stretch = { path, position: payloadAt, sizeBytes: desc.payloadSizeBytes };
    const words = { expected: 'a membership that makes sense', found: decoded.problem };
    await this.#reportEntry(header, { kind: 'membership', ...stretch, ...words }, summary);
  }

  async #searchBehind(open: Open, position: number, finding: GapFinding): Promise<number | null> {
    await this.#openGap(open, position, finding);
    if (this.#isEnded) return null;
    const from = finding.kind === 'zeros' ? position : position + SMALLEST_STEP_BYTES;
    return this.#search(open, from);
  }

  async #search({ reader, start }: Open, from: number): Promise<number | null> {
    const { signal } = this.#options;
    const onAdvance = (position: number): void => {
      signal.throwIfAborted();
      this.doneBytes = this.#segmentsDoneBytes + position;
    };
    const after = this.#before;
    const { at, nonZero } = await searchEntry({ reader, start, from, after, onAdvance });
    if (nonZero !== null) {
      const physicalOffset = advance(start, nonZero.from);
      this.#gap?.add({ path: reader.path, ...nonZero, physicalOffset });
    }
    return at;
  }

  /** Unless the walk ends here: then there is nothing to explain. */
  async #openGap({ reader, start }: Open, position: number, finding: GapFinding): Promise<void> {
    const { path } = reader;
    const physicalOffset = advance(start, position);
    if (this.#gap === null) this.#stopAt(path, position, physicalOffset, finding.found);
    const isEnd = finding.kind === 'zeros' && this.#isKnownEnd(physicalOffset);
    if (isEnd || (await this.#endsHere(physicalOffset))) {
      this.#isEnded = true;
      this.endedAt = physicalOffset;
      return;
    }
    const index = advance(this.#before.index, 1);
    this.#gap ??= new Gap({ path, position, physicalOffset, index }, finding);
    this.#before = { ...this.#before, headerCrc: null };
  }

  async #closeGap(next: LogIndex, path: string, position: number): Promise<void> {
    if (this.#gap === null) return;
    const gap = this.#gap;
    this.#gap = null;
    this.#options.sink.onLoss();
    await this.#report(gap.closedBy(next, { path, position }));
  }

  #lose(): void {
    this.#before = { ...this.#before, headerCrc: null };
    this.#options.sink.onLoss();
  }

  #isKnownEnd(place: PhysicalOffset): boolean {
    const { tail, cleanEnd, watermark } = this.#options;
    if (tail === 'known') return place === cleanEnd;
    if (tail !== 'unread') return false;
    return !isBelow(watermark, place, advance(this.#before.index, 1));
  }

  /** In a log that is being written everything odd behind its watermark may be a write under way. */
  async #endsHere(place: PhysicalOffset): Promise<boolean> {
    const { tail, watermark, currentWatermark } = this.#options;
    if (tail !== 'moving') return false;
    const index = advance(this.#before.index, 1);
    const isEnd =
      !isBelow(watermark, place, index) ||
      !isBelow(lowerOf(watermark, await currentWatermark()), place, index);
    if (!isEnd) return false;
    this.#isEnded = true;
    this.endedAt = place;
    return true;
  }

  #stopAt(path: string, position: number, physicalOffset: PhysicalOffset, found: string): void {
    const expected =
      position === 0 ? 'a segment header' : `entry ${advance(this.#before.index, 1)}`;
    const stop = { path, position, physicalOffset, expected, found };
    this.#options.accepted.stopAt(stop, found === ZEROS.found ? 'zeros' : 'other');
  }

  async #reportHeader({ reader, start, summary }: Open, expected: string, found: string) {
    const { path } = reader;
    const index = advance(this.#before.index, 1);
    const stretch = { path, position: 0, sizeBytes: SEGMENT_HEADER_SIZE_BYTES };
    const damage = { kind: 'segmentHeader', ...stretch, physicalOffset: start, index } as const;
    summary.state = 'broken';
    await this.#report({ ...damage, expected, found });
  }

  async #reportCopy(
    { reader, start }: Open,
    { position, sizeBytes }: { readonly position: number; readonly sizeBytes: number },
  ): Promise<void> {
    this.#options.accepted.acceptDamagedHeader();
    const physicalOffset = advance(start, position);
    const index = advance(this.#before.index, 1);
    const stretch = { path: reader.path, position, sizeBytes, physicalOffset, index };
    const words = { expected: 'what the other copy of the header says', found: 'other bytes' };
    await this.#report({ kind: 'segmentHeaderCopy', ...stretch, ...words });
  }

  async #reportEntry(
    { desc }: EntryHeader,
    what: Pick<Damage, 'kind' | 'path' | 'expected' | 'found'> & {
      readonly position: number;
      readonly sizeBytes: number;
    },
    summary: SegmentSummary,
  ): Promise<void> {
    const { index, physicalOffset } = desc;
    const position = what.position;
    const at = advance(summary.file.startOffset, position);
    const { kind, path, sizeBytes, expected, found } = what;
    const damage = { kind, path, position, sizeBytes, physicalOffset: at, index, expected, found };
    const belowWatermark = isBelow(this.#options.watermark, physicalOffset, index);
    summary.damageCount += 1;
    await this.#options.sink.onDamage({ ...damage, belowWatermark });
  }

  async #report(damage: Omit<Damage, 'belowWatermark'>): Promise<void> {
    const { watermark, sink } = this.#options;
    const { physicalOffset, index } = damage;
    const summary = this.segments.find(({ file }) => file.path === damage.path);
    if (summary !== undefined) summary.damageCount += 1;
    const isRot =
      physicalOffset !== null && isBelow(watermark, physicalOffset, index ?? LogIndex(0));
    await sink.onDamage({ ...damage, belowWatermark: isRot });
  }
}

function noEntry(found: string): GapFinding {
  return { kind: 'noEntry', found };
}
