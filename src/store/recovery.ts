/**
 * Decides what start-up may make of a log whose end is not plain zeros: a pure function of what the scan
 * found and what this replica had noted about its own durability.
 *
 * The question behind it: were the bad bytes ever durable here? If not, nobody was promised anything about
 * them, and they are the torn end of the last writes: cut. If they were, a reply may have left on
 * their strength, and a shorter log could lose a committed entry for the whole group (H4): the entries
 * are fetched again from the other replicas before this one takes part.
 *
 * A log does not have to begin with entry 1. What is before its base is not missing: the base names it
 * (log-base.ts), and whoever said something about it is answered by the base.
 *
 * Evidence that entries were durable here, together the watermark W:
 * - the newest note of the durable ring, the clean end, the commit hint of the superblock;
 * - distance: what shares one sync lies within UNSYNCED_SPAN_SIZE_BYTES_MAX, and everything before it was synced
 *   earlier. A good entry further behind the hole than that was written after the hole was durable;
 * - without a ring (it is written at creation, so something is wrong with the directory) also every
 *   leader commit in a good header. With a ring that is no evidence: a header proves that earlier entries
 *   are committed, on some majority, but a follower that catches up receives them in the same write,
 *   and a power cut may leave the later sectors of that write and not the earlier ones.
 *
 * The rows of raft.md 5.6, whose identifier file is here the chain of header CRCs (adr/0006):
 *
 *  1 good entry                        part of the log; a bad segment header is written again from it
 *  2 good, but not what belongs there  counts as bad: `repair` or `cut` by its place
 *  3 bad above W, in the last batch    `cut`; with good entries behind it and peers to ask, `ambiguous`
 *  4 bad above W, nothing good behind  `cut`
 *  5 bad at or below W, named          `repair`: a hole with a right side
 *  6 bad at or below W, not named, committed      `repair`: a hole without a right side
 *  7 the same, not known as committed  the same hole: it waits until a peer knows it as committed
 *  8 bad above W, good behind, batch unknown      `ambiguous`
 *  9 segment missing, or header bad twice         bad entries like any other (rows 3 to 8)
 * 10 read gives EIO                    bad entries; a third place ends the start (segment-reader.ts)
 * 11 one superblock slot bad           the other one is used (superblock.ts); every update writes both
 * 12 no valid superblock slot          refused before the scan (store-directory.ts)
 * 13 superblock older than the log     `refuse`
 * 14 a cut unfinished                  its zeros are `intact`, its rest is above W, lowered first: `cut`
 *
 * Sources: raft.md 5.6; Alagappan et al., Protocol-Aware Recovery (FAST'18).
 */
import { LogIndex, type PhysicalOffset } from '../base/units.ts';
import type { DurableNote } from './durable-ring.ts';
import type { EntryTable } from './entry-table.ts';
import { UNSYNCED_SPAN_SIZE_BYTES_MAX } from './limits.ts';
import { findHoles, type Hole, names, textOfHole } from './repair/hole.ts';
import type { Region, Tip } from './repair/region.ts';
import type { ScanFindings, ScanStop } from './scan.ts';
import type { ByteRange } from './scan-remains.ts';
import type { Superblock } from './superblock.ts';

export interface RecoveryEvidence {
  readonly superblock: Superblock;
  /** null: no valid note in the ring, or no ring. */
  readonly note: DurableNote | null;
  /** Whether there is anybody to ask about an end that may be torn or rotten. */
  readonly mayAskPeers?: boolean;
}

/** What the decision looks at: an inspection that keeps no table of all entries knows as much. */
export interface RecoveryFindings
  extends Pick<ScanFindings, 'stop' | 'remains' | 'provenCommitIndex'> {
  /** Asked about the last entry, the noted one, and the one before that. */
  readonly table: Pick<EntryTable, 'base' | 'lastIndex' | 'end' | 'termOf' | 'tipAt'>;
}

export type RecoveryVerdict =
  | { readonly kind: 'intact' }
  /** Copy the ranges to quarantine, then zero them. */
  | { readonly kind: 'cut'; readonly ranges: readonly ByteRange[]; readonly tornBytes: number }
  /** Entries that were durable here are missing; `problem` is a sentence without its end. */
  | HolesFound<'repair'>
  /**
   * Above W, with good entries behind: torn, or rotten before a note of it was durable. Whoever has the
   * entries is asked; if nobody can have promised them, they are cut.
   */
  | HolesFound<'ambiguous'>
  /** `problem` is the middle of a sentence for the operator. */
  | { readonly kind: 'refuse'; readonly problem: string };

export interface HolesFound<Kind extends string> {
  readonly kind: Kind;
  /** In the order of the log, at least one. */
  readonly holes: readonly Hole[];
  /** Up to here the log must be whole. */
  readonly watermark: LogIndex;
  readonly problem: string;
}

export function decideRecovery(
  findings: RecoveryFindings,
  evidence: RecoveryEvidence,
): RecoveryVerdict {
  const { stop, remains } = findings;
  const older = termBehind(findings, evidence.superblock) ?? otherBase(findings, evidence.note);
  if (older !== null) return refuse(older);
  const watermark = watermarkOf(findings, evidence);
  const regions = remains?.regions ?? [];
  const holes = holesOf({ table: findings.table, regions }, evidence, watermark.index);
  const durable = holes.filter(({ left, lastIndex }) => {
    return Math.min(left.index + 1, lastIndex) <= watermark.index;
  });
  if (durable.length > 0) {
    const problem = describeLoss(findings, durable, watermark);
    return { kind: 'repair', holes: durable, watermark: watermark.index, problem };
  }
  if (stop === null) return { kind: 'intact' };
  if (remains === null) {
    // Not zeros at the stop, and yet zeros from there on: the scanner contradicts itself only if
    // the file changed under it.
    return refuse(`${placeOf(stop)} changed while it was read`);
  }
  const later = regions[0];
  const { segmentSizeBytes } = evidence.superblock.identity;
  const last = findings.table.tipAt(findings.table.lastIndex);
  if (later !== undefined && names(later, last, segmentSizeBytes)) {
    // The scan would have gone on with it.
    return refuse(`${placeOf(stop)} changed while it was read`);
  }
  const [first] = holes;
  if (first !== undefined && evidence.mayAskPeers === true) {
    const problem = `${describeStop(stop)}; ${textOfHole(first)} may be torn or rotten`;
    return { kind: 'ambiguous', holes: [first], watermark: watermark.index, problem };
  }
  let tornBytes = 0;
  for (const range of remains.ranges) tornBytes += range.to - range.from;
  return { kind: 'cut', ranges: remains.ranges, tornBytes };
}

/**
 * From where on accepted bytes may be in the page cache only, and must be written and synced again.
 *
 * @param base where the log begins
 */
export function rewriteStart(
  { base, end }: { readonly base: PhysicalOffset; readonly end: PhysicalOffset },
  evidence: RecoveryEvidence,
): PhysicalOffset | null {
  if (evidence.superblock.cleanEnd !== null) return null;
  const assumed = end - UNSYNCED_SPAN_SIZE_BYTES_MAX;
  const start = Math.max(base, evidence.note?.end ?? assumed) as PhysicalOffset;
  return start < end ? start : null;
}

/** What is missing of a log with these entries at its beginning and these regions behind. */
export function holesOf(
  { table, regions }: Pick<RecoveryFindings, 'table'> & { readonly regions: readonly Region[] },
  { superblock, note }: RecoveryEvidence,
  watermark: LogIndex,
): readonly Hole[] {
  const { base } = table;
  const isReached = note !== null && note.index > base.index && note.index <= table.lastIndex;
  const noteFits = isReached ? fitsNote(table.tipAt(note.index), note) : null;
  return findHoles({
    base,
    prefix: table.tipAt(table.lastIndex),
    beforeNote: isReached ? table.tipAt(LogIndex(note.index - 1)) : null,
    noteFits,
    regions,
    note,
    watermark,
    segmentSizeBytes: superblock.identity.segmentSizeBytes,
  });
}

function fitsNote(tip: Tip, note: DurableNote): boolean {
  return tip.end === note.end && tip.term === note.term && tip.headerCrc === note.headerCrc;
}

interface Watermark {
  readonly index: LogIndex;
  readonly why: string;
}

/** The highest index that the evidence says was durable here. */
function watermarkOf(findings: RecoveryFindings, evidence: RecoveryEvidence): Watermark {
  const { superblock, note } = evidence;
  let watermark: Watermark = {
    index: superblock.commitHint,
    why: `the superblock knows entry ${superblock.commitHint} as committed`,
  };
  const consider = (index: LogIndex, why: string): void => {
    if (index > watermark.index) watermark = { index, why };
  };
  if (superblock.cleanEnd !== null) {
    const { index } = superblock.cleanEnd;
    consider(index, `the log was closed after entry ${index}`);
  }
  if (note !== null) {
    consider(note.index, `entry ${note.index} was noted as durable`);
  } else {
    const remaining = findings.remains?.provenCommitIndex ?? findings.provenCommitIndex;
    consider(remaining, `a later entry proves entry ${remaining} committed`);
  }
  const { stop, remains } = findings;
  const later = remains?.lastHeader ?? null;
  if (stop !== null && later !== null) {
    const distance = later.physicalOffset - stop.physicalOffset;
    const before = LogIndex(later.index - 1);
    if (distance > UNSYNCED_SPAN_SIZE_BYTES_MAX) {
      consider(before, `entry ${later.index} behind it was written later`);
    }
  }
  return watermark;
}

/** A term is durable before the first entry of it, so this superblock has forgotten promises. */
function termBehind({ table, remains }: RecoveryFindings, superblock: Superblock): string | null {
  const { term } = superblock.hardState;
  const last = table.lastIndex;
  if (term < table.termOf(last)) {
    return `the superblock remembers term ${term}, but entry ${last} has term ${table.termOf(last)}`;
  }
  const later = remains?.regions.find((region) => region.tip.term > term);
  if (later === undefined) return null;
  const { index } = later.tip;
  return `the superblock remembers term ${term}, but entry ${index} has term ${later.tip.term}`;
}

/** Both are checked and both speak of one entry: then one of the two files is not of this log. */
function otherBase({ table }: RecoveryFindings, note: DurableNote | null): string | null {
  const { base } = table;
  if (note === null || note.index !== base.index || fitsNote(base, note)) return null;
  return `the base and the newest note disagree about entry ${base.index}`;
}

function describeLoss(
  { stop, table }: RecoveryFindings,
  holes: readonly Hole[],
  watermark: Watermark,
): string {
  const missing = holes.map(textOfHole).join(', ');
  const where =
    stop === null
      ? `the log ends at physical offset ${table.end} without ${missing}`
      : `${describeStop(stop)}; this concerns ${missing}`;
  return `${where}, although ${watermark.why}`;
}

function describeStop(stop: ScanStop): string {
  return `${placeOf(stop)}: expected ${stop.expected}, found ${stop.found}`;
}

function placeOf(stop: ScanStop): string {
  return `${stop.path} at byte ${stop.position} (physical offset ${stop.physicalOffset})`;
}

function refuse(problem: string): RecoveryVerdict {
  return { kind: 'refuse', problem };
}
