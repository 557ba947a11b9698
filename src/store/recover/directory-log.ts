/**
 * What one directory has of the log of its group, entry by entry, and with which part of it a start would go on
 * that begins behind all of its damage. Reads, and changes nothing.
 */
import { CorruptionError } from '../../base/errors.ts';
import { advance, LogIndex, PhysicalOffset, type Term } from '../../base/units.ts';
import { decodeMembership } from '../../protocol/membership-codec.ts';
import type { LoggedMembership } from '../../raft/membership.ts';
import { noteOnBase } from '../durable-ring.ts';
import type { Damage } from '../inspect/damage.ts';
import { dumpLog } from '../inspect/dump-log.ts';
import { type StoreView, segmentHeaderIn, viewStore } from '../inspect/store-view.ts';
import type { WalkedEntry } from '../inspect/walk-options.ts';
import { decideRecovery } from '../recovery.ts';
import type { Tip } from '../repair/region.ts';
import { scanLog } from '../scan.ts';
import { UnreadablePlaces } from '../segment-reader.ts';
import { EntryMarks } from './entry-marks.ts';
import type { SurveyOptions, Survivor } from './survivor.ts';

export interface DirectoryLog {
  readonly survivor: Survivor;
  readonly view: StoreView;
  readonly marks: EntryMarks;
  /** Of its entries that can be read and of its base, ascending. */
  readonly memberships: readonly LoggedMembership[];
  /** Of the entries that can be read, where a term begins. */
  readonly terms: readonly { readonly from: LogIndex; readonly term: Term }[];
  /** Entries up to here were durable in it, whether they can be read or not. */
  readonly durableIndex: LogIndex;
  /** null: no segment begins behind all damage, with entries that a start would take as they are. */
  readonly kept: KeptLog | null;
}

/** A log that begins where a segment begins, and needs no repair. */
export interface KeptLog {
  /** Stands for all entries before it. */
  readonly base: Tip;
  /** Its last entry; the base when there is none. */
  readonly tip: Tip;
}

/** @param acceptedTo what is before it may be given up */
export async function readDirectoryLog(
  options: SurveyOptions,
  survivor: Survivor,
  acceptedTo: LogIndex,
): Promise<DirectoryLog> {
  const { disk, directory } = options;
  const view = await viewStore(disk, directory);
  const marks = new EntryMarks(view.begin.index);
  const memberships: LoggedMembership[] = [...membershipOfBase(view)];
  const terms: { from: LogIndex; term: Term }[] = [];
  const damaged = new Set<LogIndex>();
  await dumpLog({
    ...options,
    from: LogIndex(1),
    isLive: false,
    onEntry: (entry) => {
      const { desc, headerCrc } = entry.header;
      const isGood = entry.body.kind === 'good' && !damaged.delete(desc.index);
      marks.set(desc.index, headerCrc, isGood);
      if (!isGood) return 'goOn';
      if (terms.at(-1)?.term !== desc.term) terms.push({ from: desc.index, term: desc.term });
      memberships.push(...membershipIn(entry));
      return 'goOn';
    },
    onDamage: (damage) => {
      if (isOfEntry(damage) && damage.index !== null) damaged.add(damage.index);
    },
  });
  const durableIndex = durableIndexOf(view);
  const kept = await keptBehind(disk, view, lastLackOf(marks, acceptedTo, durableIndex));
  return { survivor, view, marks, memberships, terms, durableIndex, kept };
}

/** As long as it can be told: of an entry that the directory has. */
export function termAt({ terms }: Pick<DirectoryLog, 'terms'>, index: LogIndex): Term | null {
  return terms.findLast(({ from }) => from <= index)?.term ?? null;
}

/** Segment headers are written again from what the entries say. */
function isOfEntry({ kind }: Damage): boolean {
  return kind !== 'segmentHeader' && kind !== 'segmentHeaderCopy';
}

function* membershipOfBase({ base }: StoreView): Generator<LoggedMembership> {
  const desc = base.found.kind === 'base' ? base.found.record.base.desc : null;
  if (desc !== null) yield desc.membership;
}

function* membershipIn({ header: { desc }, body }: WalkedEntry): Generator<LoggedMembership> {
  if (desc.type !== 'config' || body.kind !== 'good') return;
  const decoded = decodeMembership(body.payload);
  if (decoded.kind === 'membership') yield { index: desc.index, membership: decoded.membership };
}

function durableIndexOf({ note, superblock, begin }: StoreView): LogIndex {
  const { commitHint = 0, cleanEnd = null } = superblock.newest ?? {};
  return LogIndex(Math.max(begin.index, note?.index ?? 0, commitHint, cleanEnd?.index ?? 0));
}

/** The last entry that is to be given up, or was durable and is not there. What was not may be a torn end. */
function lastLackOf(marks: EntryMarks, acceptedTo: LogIndex, durableIndex: LogIndex): LogIndex {
  for (let at: number = durableIndex; at > acceptedTo && at > marks.base; at--) {
    if (!marks.isGood(LogIndex(at))) return LogIndex(at);
  }
  return acceptedTo;
}

async function keptBehind(
  disk: SurveyOptions['disk'],
  view: StoreView,
  behind: LogIndex,
): Promise<KeptLog | null> {
  for (const [place, segment] of view.segments.entries()) {
    const header = await segmentHeaderIn(disk, segment);
    const isOurs =
      header !== null &&
      header.startOffset === segment.startOffset &&
      header.clusterId === view.names?.clusterId &&
      header.groupId === view.names.groupId;
    if (!isOurs || header.startIndex <= behind) continue;
    const base: Tip = {
      index: LogIndex(header.startIndex - 1),
      end: segment.startOffset,
      term: header.prevTerm,
      headerCrc: header.prevHeaderCrc,
    };
    return keptOn(disk, view, base, place);
  }
  return null;
}

/** What a start would make of the log if it stood on the base. */
async function keptOn(
  disk: SurveyOptions['disk'],
  view: StoreView,
  base: Tip,
  place: number,
): Promise<KeptLog | null> {
  const { superblock, paths, ring } = view;
  const owner = superblock.newest;
  if (owner === null) return null;
  const { segmentSizeBytes } = owner.identity;
  const files = view.segments.slice(place);
  const isComplete = files.every(
    ({ startOffset, sizeBytes }, i) =>
      startOffset === base.end + i * segmentSizeBytes && sizeBytes === segmentSizeBytes,
  );
  if (!isComplete) return null;
  const found = view.base.found;
  const firstNote = found.kind === 'base' ? found.record.firstNote : 0;
  const note = noteOnBase(ring.newest, { firstNote, base });
  const segments = files.map(({ startOffset }) => startOffset);
  try {
    const findings = await scanLog({
      ...{ disk, paths, identity: owner.identity, base, segments },
      unreadable: new UnreadablePlaces(),
      cleanEnd: null,
    });
    const verdict = decideRecovery(findings, { superblock: owner, note, mayAskPeers: false });
    if (verdict.kind !== 'intact' && verdict.kind !== 'cut') return null;
    const { lastIndex, end } = findings.table;
    const term = findings.table.termOf(lastIndex);
    const headerCrc = findings.table.headerCrcOf(lastIndex);
    return { base, tip: { index: lastIndex, end, term, headerCrc } };
  } catch (error) {
    // A config entry that makes no sense: nothing could be started with it.
    if (!(error instanceof CorruptionError)) throw error;
    return null;
  }
}

/** One past the last byte of the last file: whatever was in it, a log that begins here meets nothing of it. */
export function endOfFiles({ segments, begin, names }: StoreView): PhysicalOffset {
  const last = segments.at(-1);
  if (last === undefined || names === null) return begin.end;
  return PhysicalOffset(advance(last.startOffset, names.segmentSizeBytes));
}
