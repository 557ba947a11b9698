/**
 * Decides what start-up may make of a log whose end is not plain zeros: a pure function of what the scan
 * found and what this replica had noted about its own durability.
 *
 * The question behind it: were the bad bytes ever durable here? If not, nobody was promised anything about
 * them, and they are the torn end of the last writes: cut. If they were, a reply may have left on
 * their strength, and a shorter log could lose a committed entry for the whole group (H4): refuse.
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
 * Sources: raft.md 5.6; Alagappan et al., Protocol-Aware Recovery (FAST'18).
 */
import type { LogIndex, PhysicalOffset } from '../base/units.ts';
import type { DurableNote } from './durable-ring.ts';
import { UNSYNCED_SPAN_SIZE_BYTES_MAX } from './limits.ts';
import type { ScanFindings, ScanStop } from './scan.ts';
import type { ByteRange } from './scan-remains.ts';
import type { Superblock } from './superblock.ts';

export interface RecoveryEvidence {
  readonly superblock: Superblock;
  /** null: no valid note in the ring, or no ring. */
  readonly note: DurableNote | null;
}

export type RecoveryVerdict =
  | { readonly kind: 'intact' }
  /** Copy the ranges to quarantine, then zero them. */
  | { readonly kind: 'cut'; readonly ranges: readonly ByteRange[]; readonly tornBytes: number }
  /** `problem` is the middle of a sentence for the operator. */
  | { readonly kind: 'refuse'; readonly problem: string };

export function decideRecovery(
  findings: ScanFindings,
  evidence: RecoveryEvidence,
): RecoveryVerdict {
  const { table, stop, remains } = findings;
  const last = table.lastIndex;
  const lastTerm = table.termOf(last);
  const { term } = evidence.superblock.hardState;
  if (term < lastTerm) {
    return refuse(`the superblock remembers term ${term}, but entry ${last} has term ${lastTerm}`);
  }
  const watermark = watermarkOf(findings, evidence);
  if (last < watermark.index) return refuse(describeLoss(findings, watermark));
  const misplaced = noteMisplaced(findings, evidence.note);
  if (misplaced !== null) return refuse(misplaced);
  if (stop === null) return { kind: 'intact' };
  if (remains === null) {
    // Not zeros at the stop, and yet zeros from there on: the scanner contradicts itself only if
    // the file changed under it.
    return refuse(`${placeOf(stop)} changed while it was read`);
  }
  const { lastHeader } = remains;
  if (lastHeader !== null) {
    const distance = lastHeader.physicalOffset - stop.physicalOffset;
    if (distance > UNSYNCED_SPAN_SIZE_BYTES_MAX) {
      const why = `entry ${lastHeader.index} behind it was written later`;
      return refuse(describeLoss(findings, { index: lastHeader.index, why }));
    }
  }
  let tornBytes = 0;
  for (const range of remains.ranges) tornBytes += range.to - range.from;
  return { kind: 'cut', ranges: remains.ranges, tornBytes };
}

/** From where on accepted bytes may be in the page cache only, and must be written and synced again. */
export function rewriteStart(
  end: PhysicalOffset,
  evidence: RecoveryEvidence,
): PhysicalOffset | null {
  if (evidence.superblock.cleanEnd !== null) return null;
  const assumed = Math.max(0, end - UNSYNCED_SPAN_SIZE_BYTES_MAX) as PhysicalOffset;
  const start = evidence.note === null ? assumed : evidence.note.end;
  return start < end ? start : null;
}

interface Watermark {
  readonly index: LogIndex;
  readonly why: string;
}

/** The highest index that the evidence says was durable here. */
function watermarkOf(findings: ScanFindings, evidence: RecoveryEvidence): Watermark {
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
  return watermark;
}

/** The noted entry is there, but ends elsewhere: it is not the entry that was durable. */
function noteMisplaced(findings: ScanFindings, note: DurableNote | null): string | null {
  if (note === null) return null;
  const end = findings.table.endOf(note.index);
  if (end === note.end) return null;
  return `entry ${note.index} ends at ${end}, but it was durable ending at ${note.end}`;
}

function describeLoss(findings: ScanFindings, watermark: Watermark): string {
  const first = findings.table.lastIndex + 1;
  const range =
    first === watermark.index ? `entry ${first}` : `entries ${first} to ${watermark.index}`;
  const { stop } = findings;
  const end = findings.table.end;
  const where =
    stop === null
      ? `the log ends at physical offset ${end} without ${range}`
      : `${placeOf(stop)}: expected ${stop.expected}, found ${stop.found}; this concerns ${range}`;
  return `${where}, although ${watermark.why}`;
}

function placeOf(stop: ScanStop): string {
  return `${stop.path} at byte ${stop.position} (physical offset ${stop.physicalOffset})`;
}

function refuse(problem: string): RecoveryVerdict {
  return { kind: 'refuse', problem };
}
