/** What a store is and holds, as text and as JSON. */
import type { BaseView } from '../../store/inspect/base-view.ts';
import type { DerivedView } from '../../store/inspect/derived-view.ts';
import type { Inspection } from '../../store/inspect/inspect-store.ts';
import type { SegmentSummary } from '../../store/inspect/segment-summary.ts';
import type { StoreView, SuperblockView } from '../../store/inspect/store-view.ts';
import type { Superblock } from '../../store/superblock.ts';
import { jsonLine } from './json.ts';
import { startupJson, startupText } from './log-startup.ts';
import {
  entryCountText,
  labelled,
  loggedMembershipJson,
  membershipText,
  relativePath,
  sizeText,
  textOrNull,
} from './log-words.ts';
import {
  type Cell,
  type Column,
  cell,
  type Paint,
  plainPaint,
  plural,
  printable,
  tableLines,
} from './text.ts';

const LABELS_AT = 14;
const MEMBERSHIPS_SHOWN_MAX = 5;

export function infoText(
  inspection: Inspection,
  directory: string,
  columns: number,
  paint: Paint,
): string {
  const { view, startup, damageCount } = inspection;
  const facts: (readonly [string, string])[] = [
    ...identityFacts(view.superblock),
    ...logFacts(inspection),
    ['derived', derivedText(view.derived, directory, inspection)],
    ...leftoverFacts(inspection),
  ];
  if (damageCount > 0) {
    facts.push([
      'damage',
      `${plural(damageCount, 'finding')} so far; \`mq-raft log verify\` looks everywhere`,
    ]);
  }
  if (startup !== null) facts.push(['start-up', startupText(startup)]);
  const wrong = startup?.kind === 'refuses' ? ['damage', 'start-up'] : ['damage'];
  const lines = facts.flatMap(([label, text]) =>
    labelled(label, text, LABELS_AT, columns).map((line) =>
      wrong.includes(label) ? paint(line, 'bad') : line,
    ),
  );
  return `${[...lines, '', ...segmentLines(inspection.segments, columns, paint)].join('\n')}\n`;
}

function identityFacts(view: SuperblockView): readonly (readonly [string, string])[] {
  const { newest } = view;
  const slots = ['superblock', slotsText(view)] as const;
  if (newest === null) return [['store', 'whose it is cannot be said: no valid superblock'], slots];
  const { identity, hardState, bootCount, cleanEnd } = newest;
  const { clusterId, groupId, nodeId, storeUuid, segmentSizeBytes } = identity;
  const vote = hardState.votedFor === null ? 'no vote' : `voted for ${hardState.votedFor}`;
  const closed =
    cleanEnd === null
      ? 'no: in use, or it ended without closing'
      : `yes, after entry ${cleanEnd.index} (physical offset ${cleanEnd.physicalOffset})`;
  const peers = [...newest.peers].map(
    ([id, peer], i) =>
      [i === 0 ? 'peers met' : '', printable(`${id}, store ${peer.storeUuid}`)] as const,
  );
  return [
    ['node', printable(`${nodeId} of group ${groupId} in cluster ${clusterId}`)],
    ['store', printable(storeUuid)],
    ['term', `${hardState.term}, ${vote}`],
    ['starts', String(bootCount)],
    ['closed', closed],
    ['segments', `of ${sizeText(segmentSizeBytes)}`],
    slots,
    ...peers,
  ];
}

function slotsText({ sizeBytes, slots }: SuperblockView): string {
  if (sizeBytes === null) return 'there is no such file';
  return slots.map((slot, i) => `slot ${i} ${slotText(slot)}`).join('; ');
}

function slotText(slot: Superblock | null): string {
  return slot === null ? 'DAMAGED' : `valid, sequence ${slot.sequence}`;
}

function baseText({ found, copies, sizeBytes }: BaseView): string {
  if (found.kind === 'refuse') return `UNKNOWN: base is ${sizeBytes === null ? 'gone' : 'no use'}`;
  const { base, generation } = found.record;
  const damaged = copies.filter((copy) => copy === null).length;
  const bad = sizeBytes === null ? '; base is gone' : damaged > 0 ? '; a copy of base DAMAGED' : '';
  if (base.desc === null) return `with entry 1${bad}`;
  const { last, endOffset } = base.desc;
  const installed = generation === 0 ? '' : `, ${plural(generation, 'snapshot')} installed`;
  const before = `${last.index} in term ${last.term}`;
  return `behind entry ${before}, at physical offset ${endOffset}${installed}${bad}`;
}

function ringText({ ring: { sizeBytes, slots }, note: newest }: StoreView): string {
  if (sizeBytes === null) return 'there is no such file';
  const damaged = slots.filter(({ kind }) => kind === 'damaged').length;
  const bad = damaged > 0 ? `; ${plural(damaged, 'slot')} DAMAGED` : '';
  if (newest === null) return `no valid note${bad}`;
  const { index, end, sequence } = newest;
  return `durable here up to entry ${index}, physical offset ${end} (note ${sequence})${bad}`;
}

function logFacts(inspection: Inspection): readonly (readonly [string, string])[] {
  const { view, last, end, entryCount, endedAt, provenCommitIndex } = inspection;
  const tail = endedAt === null ? '' : `; left at physical offset ${endedAt}`;
  const log =
    last === null
      ? `no entry${tail}`
      : `${entryCountText(entryCount)}, the last is ${last.index} in term ${last.term}; ends at physical offset ${end}`;
  return [
    ['begins', baseText(view.base)],
    ['durable.ring', ringText(view)],
    ['log', log],
    ['committed', committedText(provenCommitIndex)],
    ...membershipFacts(inspection),
  ];
}

function committedText(index: number): string {
  if (index === 0) return 'nothing that headers or superblock prove';
  return `entry ${index} and all before, as headers and superblock prove`;
}

function membershipFacts({ view, memberships, membershipCount }: Inspection) {
  if (membershipCount === 0) return [['members', membersBefore(view.base)] as const];
  const shown = memberships.slice(-MEMBERSHIPS_SHOWN_MAX);
  const facts = shown.map(
    ({ index, membership }, i) =>
      [i === 0 ? 'members' : '', `entry ${index}: ${membershipText(membership)}`] as const,
  );
  const more = membershipCount - shown.length;
  return more === 0 ? facts : [...facts, ['', `and ${more} before`] as const];
}

function membersBefore({ found }: BaseView): string {
  const desc = found.kind === 'base' ? found.record.base.desc : null;
  if (desc === null) return 'no config entry in the log';
  const { index, membership } = desc.membership;
  const whence = index === 0 ? 'the founding' : `entry ${index}`;
  return `before the log, ${whence}: ${membershipText(membership)}`;
}

function derivedText(
  { path, applied, openAttempts, sizeBytes }: DerivedView,
  directory: string,
  { last }: Inspection,
): string {
  if (path === null) return 'none yet: the next start builds it from the log';
  const name = `${relativePath(path, directory)}, ${sizeText(sizeBytes)}`;
  const attempts =
    openAttempts === 0 ? '' : `; ${plural(openAttempts, 'attempt')} to open it did not end`;
  if (applied.kind === 'fresh') return `${name}, nothing applied yet${attempts}`;
  if (applied.kind === 'unreadable') return `${name}: cannot be read, ${applied.why}${attempts}`;
  const behind = (last?.index ?? 0) - applied.index;
  const lag = behind < 0 ? 'MORE than the log holds' : `${behind} behind the log`;
  return `${name}, applied up to entry ${applied.index} in term ${applied.term}, ${lag}${attempts}`;
}

function leftoverFacts({ view }: Inspection): readonly (readonly [string, string])[] {
  const { quarantine, strays, leftovers, derived } = view;
  const facts: (readonly [string, string])[] = [];
  if (quarantine.length > 0) {
    facts.push(['quarantine', `${plural(quarantine.length, 'file')} of bytes that were cut off`]);
  }
  if (leftovers.length > 0) {
    const names = leftovers.map((path) => path.slice(path.lastIndexOf('/') + 1)).join(', ');
    facts.push(['left over', `${names}: of the log before, removed by the next start`]);
  }
  if (strays.length > 0) {
    facts.push(['strays', `${strays.map(printable).join(', ')} in data/ are no segments`]);
  }
  if (derived.setAside.length > 0) {
    const count = plural(derived.setAside.length, 'older database');
    facts.push(['set aside', `${count} in derived/, not used any more`]);
  }
  return facts;
}

const COLUMNS: readonly Column[] = [
  { title: 'segment', align: 'left' },
  { title: 'entries', align: 'right' },
  { title: 'first', align: 'right' },
  { title: 'last', align: 'right' },
  { title: 'terms', align: 'right' },
  { title: 'used', align: 'right' },
  { title: 'state', align: 'left' },
];
/** Goes where a line is too short for all: first and last say it too. */
const ENTRIES_COLUMN = 1;

function segmentLines(
  segments: readonly SegmentSummary[],
  columns: number,
  paint: Paint,
): readonly string[] {
  if (segments.length === 0) return ['  no segment: nothing was ever written'];
  const rows = segments.map(segmentRow);
  const widest = Math.max(...tableLines(COLUMNS, rows, plainPaint).map(({ length }) => length));
  if (widest <= columns) return tableLines(COLUMNS, rows, paint);
  const isKept = (_: unknown, i: number): boolean => i !== ENTRIES_COLUMN;
  const narrow = rows.map((row) => row.filter(isKept));
  return tableLines(COLUMNS.filter(isKept), narrow, paint);
}

function segmentRow(summary: SegmentSummary): readonly Cell[] {
  const { file, state, damageCount, firstIndex, lastIndex, firstTerm, lastTerm } = summary;
  const name = file.path.slice(file.path.lastIndexOf('/') + 1);
  const terms = firstTerm === lastTerm ? firstTerm : `${firstTerm}-${lastTerm}`;
  const isBad = damageCount > 0 || state === 'broken';
  return [
    cell(name),
    cell(summary.entryCount === 0 ? '-' : summary.entryCount),
    cell(firstIndex ?? '-'),
    cell(lastIndex ?? '-'),
    cell(terms ?? '-'),
    cell(summary.usedBytes === 0 ? '-' : sizeText(summary.usedBytes)),
    cell(isBad ? 'damaged' : state, isBad ? 'bad' : 'plain'),
  ];
}

export function infoJson(inspection: Inspection, directory: string): string {
  const { view, last, end, startup, watermark } = inspection;
  const { superblock, ring, derived } = view;
  const { newest } = superblock;
  return jsonLine({
    kind: 'logInfo',
    directory,
    identity: newest?.identity ?? null,
    term: textOrNull(newest?.hardState.term ?? null),
    votedFor: newest?.hardState.votedFor ?? null,
    bootCount: newest?.bootCount ?? null,
    commitHint: textOrNull(newest?.commitHint ?? null),
    cleanEnd: placeJson(newest?.cleanEnd?.index, newest?.cleanEnd?.physicalOffset),
    peerStores: Object.fromEntries(
      [...(newest?.peers ?? [])].map(([id, peer]) => [id, peer.storeUuid]),
    ),
    superblock: superblock.slots.map((slot, i) => ({
      slot: i,
      valid: slot !== null,
      sequence: textOrNull(slot?.sequence ?? null),
    })),
    base: baseJson(view.base),
    durableNote: placeJson(view.note?.index, view.note?.end),
    durableRingDamagedSlots: ring.slots.filter(({ kind }) => kind === 'damaged').length,
    watermark: placeJson(watermark.index, watermark.end),
    last: last === null ? null : { index: String(last.index), term: String(last.term) },
    end: String(end),
    entryCount: String(inspection.entryCount),
    provenCommitIndex: String(inspection.provenCommitIndex),
    membershipCount: inspection.membershipCount,
    memberships: inspection.memberships.map(loggedMembershipJson),
    segments: inspection.segments.map((summary) => segmentJson(summary, directory)),
    derived: derivedJson(derived, directory),
    quarantine: view.quarantine,
    strays: view.strays,
    leftovers: view.leftovers.map((path) => relativePath(path, directory)),
    endedAt: textOrNull(inspection.endedAt),
    damageCount: inspection.damageCount,
    startup: startup === null ? null : startupJson(startup),
  });
}

/** null: it cannot be said where the log begins. */
function baseJson({ found }: BaseView): object | null {
  if (found.kind === 'refuse') return null;
  const { generation, base } = found.record;
  const { desc } = base;
  return {
    generation: String(generation),
    index: String(desc?.last.index ?? 0),
    term: String(desc?.last.term ?? 0),
    physicalOffset: String(desc?.endOffset ?? 0),
    membership: desc === null ? null : loggedMembershipJson(desc.membership),
  };
}

function placeJson(index: number | undefined, physicalOffset: number | undefined): object | null {
  if (index === undefined || physicalOffset === undefined) return null;
  return { index: String(index), physicalOffset: String(physicalOffset) };
}

function segmentJson(summary: SegmentSummary, directory: string): object {
  const { file, state, entryCounts, entryCount, usedBytes, damageCount } = summary;
  return {
    file: relativePath(file.path, directory),
    startOffset: String(file.startOffset),
    sizeBytes: file.sizeBytes,
    state,
    entryCount,
    entryCounts,
    firstIndex: textOrNull(summary.firstIndex),
    lastIndex: textOrNull(summary.lastIndex),
    firstTerm: textOrNull(summary.firstTerm),
    lastTerm: textOrNull(summary.lastTerm),
    usedBytes,
    damageCount,
  };
}

function derivedJson({ path, sizeBytes, applied, openAttempts }: DerivedView, directory: string) {
  return {
    directory: path === null ? null : relativePath(path, directory),
    sizeBytes: String(sizeBytes),
    openAttempts,
    appliedIndex: applied.kind === 'applied' ? String(applied.index) : null,
    appliedTerm: applied.kind === 'applied' ? String(applied.term) : null,
    problem: applied.kind === 'unreadable' ? applied.why : null,
  };
}
