/**
 * Puts lost entries back into a log that is not open: says which one is wanted next, checks what is
 * offered, writes it, and in the end opens the log anew. Owns the directory meanwhile, and gives what is
 * good of it to others.
 *
 * A hole with a right side is filled from the right: the right side names the last missing entry, and each
 * entry names the one before. So every entry is proven the moment it comes, and is written in its place in
 * batches, each durable before the next. A crash leaves a smaller hole, or several where the last batch was,
 * between entries that are the right ones. A hole without a right side is filled from the left, with what a
 * peer knows as committed.
 *
 * A peer that has committed another entry where one is named settles it: what named it was never
 * committed, or is no entry of this log at all (a stale block, bytes inside a damaged message), and counts
 * no longer. The watermark stays: the log is whole only when committed entries reach it.
 *
 * Invariants: nothing is overwritten before a copy of it is in quarantine (as far as there is room);
 * nothing counts as filled before it is durable; the log never ends below the watermark.
 */
import { assert } from '../../base/assert.ts';
import { advance, LogIndex, Term } from '../../base/units.ts';
import type { DirectoryLock, Disk } from '../../io/disk.ts';
import type { EntryDesc, EntryId } from '../../raft/entry.ts';
import type { LoggedMembership } from '../../raft/membership.ts';
import type { CommitLog, LogBase, StoreIdentity } from '../commit-log.ts';
import { type DurableNote, noteOf } from '../durable-ring.ts';
import { REPAIR_READ_SIZE_BYTES_MAX } from '../limits.ts';
import { type BaseRecord, encodeBaseFile, tipOfBase } from '../log-base.ts';
import type { LogPaths } from '../log-paths.ts';
import { type HolesFound, holesOf } from '../recovery.ts';
import type { ScanFindings } from '../scan.ts';
import type { Superblock } from '../superblock.ts';
import { GoodEntries } from './good-entries.ts';
import { grownRegions } from './grown-regions.ts';
import {
  countOfMissing,
  fitsRight,
  type Hole,
  type RightSide,
  sizeOfMissing,
  textOfHoles,
} from './hole.ts';
import { KeptSuperblock } from './kept-superblock.ts';
import { accepted, type OfferOutcome } from './offer-outcome.ts';
import { type CheckedEntries, type CheckedEntry, checkOffered } from './offered-entries.ts';
import { follows, type Region, type Tip } from './region.ts';
import type { RepairAnswer, RepairRange, RepairSource } from './repair-source.ts';
import { RepairWriter } from './repair-writer.ts';

export interface RepairerParts {
  readonly disk: Disk;
  readonly paths: LogPaths;
  readonly lock: DirectoryLock;
  /** What the log stands on now. */
  readonly base: BaseRecord;
  readonly superblock: Superblock;
  readonly note: DurableNote | null;
  readonly findings: ScanFindings;
  readonly verdict: HolesFound<'repair'> | HolesFound<'ambiguous'>;
  /** Cut by repairs before. */
  readonly tornBytes: number;
  /** Opens the log with the lock that is held. */
  readonly reopen: (tornBytes: number) => Promise<CommitLog>;
}

export class LogRepairer implements RepairSource {
  readonly identity: StoreIdentity;
  /** Whether it is open if the missing entries ever were here. */
  readonly isAmbiguous: boolean;
  /** A sentence without its end. */
  readonly problem: string;
  readonly #parts: RepairerParts;
  readonly #good: GoodEntries;
  readonly #writer: RepairWriter;
  readonly #superblock: KeptSuperblock;
  #regions: readonly Region[];
  /** null: there is none, or it does not count any longer. */
  #note: DurableNote | null;
  #watermark: LogIndex;
  #holes: readonly Hole[];
  #tornBytes: number;
  #isNoteVoid = false;
  /** The log begins later from the next start on: what is missing then is found then. */
  #hasNewBase = false;
  #isClosed = false;

  constructor(parts: RepairerParts) {
    this.#parts = parts;
    const { disk, paths, superblock, findings, verdict } = parts;
    this.identity = superblock.identity;
    this.isAmbiguous = verdict.kind === 'ambiguous';
    this.problem = verdict.problem;
    const { segmentSizeBytes } = superblock.identity;
    this.#good = new GoodEntries({ disk, paths, segmentSizeBytes });
    const label = `boot-${superblock.bootCount + 1}-repair`;
    this.#writer = new RepairWriter({ disk, paths, segmentSizeBytes, label });
    this.#regions = findings.remains?.regions ?? [];
    this.#note = parts.note;
    this.#watermark = verdict.watermark;
    this.#superblock = new KeptSuperblock(superblock, (next) => this.#writer.writeSuperblock(next));
    this.#tornBytes = parts.tornBytes;
    this.#holes = verdict.holes;
  }

  /** In words: `entries 4 to 9, entry 12`. */
  get missing(): string {
    return textOfHoles(this.#holes);
  }

  get missingCount(): number {
    return countOfMissing(this.#holes);
  }

  /** About, headers of segments included; null: nobody says where what is missing ends. */
  get missingBytes(): number | null {
    return sizeOfMissing(this.#holes);
  }

  /** The newest that can be read here: who else belongs to the group. */
  get membership(): LoggedMembership | null {
    const { memberships, remains } = this.#parts.findings;
    return remains?.membership ?? memberships.at(-1) ?? null;
  }

  /** What to ask a peer for; null: nothing is missing any more, the log can be opened. */
  wanted(): RepairRange | null {
    const hole = this.#holes[0];
    if (hole === undefined || this.#hasNewBase) return null;
    // The entries before it were put back a moment ago: the next start reads them as the beginning.
    if (hole.right === null && hole.left.index > this.#prefix.index) return null;
    const sizeBytesMax = REPAIR_READ_SIZE_BYTES_MAX;
    const from = this.#firstWanted(hole);
    if (hole.right !== null) return { from, to: hole.lastIndex, anchor: 'last', sizeBytesMax };
    const next = advance(this.#prefix.index, 1);
    return { from: next, to: hole.lastIndex, anchor: 'first', sizeBytesMax };
  }

  /** What a peer gave as an answer to `wanted()`; of what is bad in it the rest is used. */
  async offer({ entries, committed }: RepairAnswer): Promise<OfferOutcome> {
    const hole = this.#holes[0];
    assert(hole !== undefined, 'something is wanted');
    const { segmentSizeBytes } = this.identity;
    const anchor = hole.right === null ? 'first' : 'last';
    const checked = checkOffered(entries, anchor, segmentSizeBytes);
    return hole.right === null
      ? this.#offerCommitted(hole, checked, committed.index)
      : this.#offerNamed({ ...hole, right: hole.right }, checked, committed.index);
  }

  /**
   * What a peer knows as committed can already settle a hole, whatever else it has: behind a committed
   * entry no log has an entry of an earlier term, so what named one is void.
   *
   * @returns whether something else is wanted now
   */
  async hear(committed: EntryId): Promise<boolean> {
    const hole = this.#holes[0];
    if (hole === undefined) return false;
    const { right } = hole;
    const [index, term] =
      right === null
        ? [this.#watermark, this.#parts.superblock.hardState.term]
        : right.kind === 'note'
          ? [right.note.index, right.note.term]
          : [right.region.firstIndex, right.region.firstTerm];
    if (committed.index >= index || committed.term <= term) return false;
    if (right?.kind === 'region') this.#dropRegion(right.region, committed.index);
    else if (committed.index < this.#superblock.current.commitHint) return false;
    else this.#voidEnd(committed.index);
    await this.#settle();
    return true;
  }

  /**
   * Only for what is ambiguous: all other members have said that they do not have what is wanted. So
   * nobody will ever have it again, and what follows it here is the rest of torn writes.
   *
   * @param commitIndex up to here some of them know the group's log as committed
   */
  async nobodyHasIt(commitIndex: LogIndex): Promise<void> {
    assert(this.isAmbiguous, 'what was surely durable is never given up');
    const lastIndex = this.#holes[0]?.lastIndex ?? 0;
    this.#regions = [];
    this.#raise(LogIndex(Math.min(commitIndex, Math.max(0, lastIndex - 1))));
    await this.#settle();
  }

  /**
   * The group has committed, and removed since, what is missing here: nobody has it, and nobody needs it.
   * The log begins where that of the peer does; what is good of it behind that stays. Derived state will
   * need a snapshot, unless it is further already.
   *
   * @returns false when something would be missing all the same
   */
  async standOn(base: LogBase): Promise<boolean> {
    const hole = this.#holes[0];
    const { desc } = base;
    if (hole === undefined || desc === null) return false;
    const isBehind =
      desc.last.index > Math.max(hole.left.index, tipOfBase(this.#parts.base.base).index);
    if (!isBehind || desc.endOffset % this.identity.segmentSizeBytes !== 0) return false;
    await this.#superblock.learnTerm(desc.last.term);
    // It may lie before the beginning now.
    await this.#superblock.forgetCleanEnd();
    const { disk, paths } = this.#parts;
    await disk.writeFile(paths.base, encodeBaseFile({ ...this.#parts.base, base }));
    this.#hasNewBase = true;
    return true;
  }

  read(range: RepairRange): Promise<RepairAnswer> {
    return this.#good.answer(this.#parts.findings, this.#regions, range);
  }

  /** @throws LogNeedsRepair with another repairer when something is still missing. */
  async reopen(): Promise<CommitLog> {
    assert(this.wanted() === null, 'nothing is missing');
    assert(!this.#isClosed, 'a log is reopened once');
    this.#isClosed = true;
    try {
      await this.#writer.close();
    } catch (error) {
      await this.#parts.lock.release();
      throw error;
    }
    return this.#parts.reopen(this.#tornBytes);
  }

  /** Gives the directory free. Idempotent; does nothing after `reopen`. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#writer.close();
    await this.#parts.lock.release();
  }

  /**
   * Of a hole with a right side. Where it reaches over what passes for good one entry at a time is wanted, and
   * written: of several a power cut could leave an old one behind a new one, and that names something that
   * never was, which only a peer that knows better as committed could contradict.
   */
  #firstWanted({ left, lastIndex }: Hole): LogIndex {
    const { firstIndex } = this.#parts.findings.table;
    return LogIndex(Math.max(firstIndex, Math.min(left.index + 1, lastIndex)));
  }

  get #prefix(): Tip {
    const { table } = this.#parts.findings;
    return table.tipAt(table.lastIndex);
  }

  async #offerNamed(
    hole: Hole & { readonly right: RightSide },
    { entries, problem }: CheckedEntries,
    commitIndex: LogIndex,
  ): Promise<OfferOutcome> {
    const last = entries.at(-1)?.tip;
    if (last?.index !== hole.lastIndex) {
      const without = `entry ${hole.lastIndex} was asked for, it came without`;
      return { kind: 'unusable', problem: problem ?? without };
    }
    if (!fitsRight(hole.right, last, this.identity.segmentSizeBytes)) {
      const other = `it has another entry ${last.index} than there was here`;
      if (commitIndex < last.index) return { kind: 'unusable', problem: other };
      return this.#contradicted(hole.right, last.index, other);
    }
    const used = this.#upToJoin(entries, this.#firstWanted(hole));
    // So what a crash leaves goes on from the right side.
    await this.#writer.put(used, 'right');
    this.#regions = grownRegions(this.#regions, hole.right, used);
    this.#forgetUnder(used[0]!.desc); // at least one
    await this.#settle();
    return accepted(used);
  }

  /** What passed for good where this one lies now is written over. */
  #forgetUnder({ index, physicalOffset }: EntryDesc): void {
    const { table } = this.#parts.findings;
    while (table.has(table.lastIndex) && (table.lastIndex >= index || table.end > physicalOffset)) {
      table.truncateFrom(table.lastIndex);
    }
  }

  /** Further to the left than the hole reaches nothing is wanted. */
  #upToJoin(entries: readonly CheckedEntry[], firstIndex: LogIndex): readonly CheckedEntry[] {
    const ends = new Map(this.#regions.toReversed().map(({ tip }) => [tip.index, tip]));
    let first = entries.length;
    for (let isClosed = false; first > 0 && !isClosed; ) {
      const entry = entries[first - 1]!; // within bounds
      if (entry.desc.index < firstIndex) break;
      first -= 1;
      isClosed = this.#isJoined(entry, ends);
    }
    return entries.slice(first);
  }

  /** Whether the entry goes on from what is good before it. */
  #isJoined({ header, bytes }: CheckedEntry, ends: ReadonlyMap<LogIndex, Tip>): boolean {
    const { table } = this.#parts.findings;
    const before = LogIndex(header.desc.index - 1);
    const tip = table.knows(before) ? table.tipAt(before) : ends.get(before);
    return tip !== undefined && follows(tip, header, bytes, this.identity.segmentSizeBytes);
  }

  #contradicted(right: RightSide, index: LogIndex, problem: string): OfferOutcome {
    if (right.kind === 'region') this.#dropRegion(right.region, index);
    else if (index <= this.#superblock.current.commitHint) return { kind: 'unusable', problem };
    else this.#voidEnd(index);
    this.#holes = this.#findHoles();
    return { kind: 'contradicted' };
  }

  /** It is no part of the log. What is committed before it may have been here, so it must be here. */
  #dropRegion(region: Region, committedIndex: LogIndex): void {
    this.#regions = this.#regions.filter((each) => each !== region);
    this.#raise(LogIndex(Math.min(committedIndex, region.firstIndex - 1)));
  }

  /** Behind this committed entry nothing that was here can be committed: the log may end there. */
  #voidEnd(committedIndex: LogIndex): void {
    this.#isNoteVoid = true;
    this.#note = null;
    this.#regions = this.#regions.filter(({ tip }) => tip.index <= committedIndex);
    this.#watermark = LogIndex(Math.max(committedIndex, this.#superblock.current.commitHint));
  }

  async #offerCommitted(
    hole: Hole,
    { entries, problem }: CheckedEntries,
    commitIndex: LogIndex,
  ): Promise<OfferOutcome> {
    const { table, provenCommitIndex } = this.#parts.findings;
    const first = entries[0];
    const next = this.#prefix.index + 1;
    if (first?.desc.index !== next) {
      const without = `entry ${next} was asked for, it came without`;
      return { kind: 'unusable', problem: problem ?? without };
    }
    if (commitIndex < next) {
      return { kind: 'unusable', problem: `it does not know entry ${next} as committed yet` };
    }
    if (!this.#isJoined(first, new Map())) {
      // What is committed there does not go on from our last entry, so that one is not committed.
      if (table.lastIndex <= provenCommitIndex) {
        return { kind: 'unusable', problem: `its entry ${next} does not follow what is here` };
      }
      table.truncateFrom(table.lastIndex);
      this.#holes = this.#findHoles();
      return { kind: 'contradicted' };
    }
    // Nothing that follows is named by anything: what lies there is no part of the log.
    this.#regions = [];
    const used = entries.filter(
      ({ desc }) => desc.index <= commitIndex && desc.index <= hole.lastIndex,
    );
    await this.#superblock.learnTerm(used.at(-1)?.desc.term ?? Term(0));
    await this.#writer.put(used, 'left');
    for (const { desc, header } of used) table.append(desc, header.headerCrc);
    await this.#settle();
    return accepted(used);
  }

  #raise(index: LogIndex): void {
    if (index > this.#watermark) this.#watermark = index;
  }

  #findHoles(): readonly Hole[] {
    const { table } = this.#parts.findings;
    const evidence = { superblock: this.#superblock.current, note: this.#note };
    const holes = holesOf({ table, regions: this.#regions }, evidence, this.#watermark);
    // Above the watermark the next start decides, on what it finds then.
    if (this.isAmbiguous && this.#watermark <= table.lastIndex) return holes.slice(0, 1);
    return holes.filter(
      ({ left, lastIndex }) => Math.min(left.index + 1, lastIndex) <= this.#watermark,
    );
  }

  /** After each change of what is known to be there. */
  async #settle(): Promise<void> {
    this.#holes = this.#findHoles();
    if (this.#holes.length > 0) return;
    const { table, remains } = this.#parts.findings;
    if (this.#isNoteVoid) {
      const sequence = (this.#parts.note?.sequence ?? 0) + 1;
      await this.#writer.writeNote(noteOf(sequence, table));
      await this.#superblock.forgetCleanEnd();
    }
    if (this.#regions.length > 0 || remains === null) return;
    // Nothing good follows the end any more.
    this.#tornBytes += await this.#writer.cutBehind(table.end, remains.ranges);
  }
}
