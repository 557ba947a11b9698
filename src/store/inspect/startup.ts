/**
 * What start-up would decide about a store: the same checks in the same order as open-commit-log.ts, on
 * what the walk has seen up to the first thing that does not follow. A test compares the two.
 */
import { assert } from '../../base/assert.ts';
import { CorruptionError, type FatalReason } from '../../base/errors.ts';
import { advance, LogIndex, type PhysicalOffset, type Term } from '../../base/units.ts';
import { DiskError } from '../../io/disk.ts';
import type { EntryHeader } from '../../protocol/entry-codec.ts';
import type { DurableNote } from '../durable-ring.ts';
import { decideRecovery, type RecoveryFindings, rewriteStart } from '../recovery.ts';
import { type Tip, tipOf } from '../repair/region.ts';
import type { ScanStop } from '../scan.ts';
import { type ByteRange, type Remains, scanRemains } from '../scan-remains.ts';
import type { Superblock } from '../superblock.ts';
import type { ReadDisk } from './read-disk.ts';
import type { StoreView } from './store-view.ts';

export type StartupVerdict =
  | {
      readonly kind: 'opens';
      readonly lastIndex: LogIndex;
      readonly end: PhysicalOffset;
      /** Torn bytes that are copied to quarantine/ and made zero first; none in the normal case. */
      readonly cut: readonly ByteRange[];
      /** Written and synced again first: they may be in the page cache only. null: nothing. */
      readonly rewriteFrom: PhysicalOffset | null;
      /** Of which one copy is replaced. */
      readonly damagedHeaders: number;
    }
  | { readonly kind: 'refuses'; readonly reason: FatalReason; readonly problem: string };

/** The part of the log that start-up accepts. Fed by the walk in order of the log. */
export class AcceptedLog {
  lastIndex: LogIndex;
  end: PhysicalOffset;
  provenCommitIndex: LogIndex;
  lastTerm: Term;
  damagedHeaders = 0;
  /** What ends it; null: nothing yet. */
  stop: ScanStop | null = null;
  isStopAtZeros = false;
  /** Something that start-up does not even weigh; null: nothing. */
  refusal: StartupVerdict | null = null;
  readonly #note: DurableNote | null;
  readonly #base: Tip;
  /** The base, the last entry, the noted one, and the one before that. */
  readonly #tips: Map<LogIndex, Tip>;

  constructor(note: DurableNote | null, base: Tip) {
    this.#note = note;
    this.#base = base;
    this.#tips = new Map([[base.index, base]]);
    this.lastIndex = base.index;
    this.end = base.end;
    this.provenCommitIndex = base.index;
    this.lastTerm = base.term;
  }

  get isOpen(): boolean {
    return this.stop === null && this.refusal === null;
  }

  accept({ desc, leaderCommit, headerCrc }: EntryHeader): void {
    if (!this.isOpen) return;
    this.lastIndex = desc.index;
    this.lastTerm = desc.term;
    this.end = advance(desc.physicalOffset, desc.sizeBytes);
    if (leaderCommit > this.provenCommitIndex) this.provenCommitIndex = leaderCommit;
    this.#remember(tipOf(desc, headerCrc));
  }

  acceptDamagedHeader(): void {
    if (this.isOpen) this.damagedHeaders += 1;
  }

  stopAt(stop: ScanStop, what: 'zeros' | 'other'): void {
    if (!this.isOpen) return;
    this.stop = stop;
    this.isStopAtZeros = what === 'zeros';
  }

  refuse(reason: FatalReason, problem: string): void {
    if (this.isOpen) this.refusal = refuses(reason, problem);
  }

  /** The few entries of the table that a decision asks for. */
  get table(): RecoveryFindings['table'] {
    const { lastIndex, end } = this;
    return {
      lastIndex,
      end,
      base: this.#base,
      termOf: (index) => this.#tip(index).term,
      tipAt: (index) => this.#tip(index),
    };
  }

  #remember(tip: Tip): void {
    const noted = this.#note?.index ?? 0;
    const before = LogIndex(tip.index - 1);
    if (before !== this.#base.index && before !== noted && before !== noted - 1)
      this.#tips.delete(before);
    this.#tips.set(tip.index, tip);
  }

  #tip(index: LogIndex): Tip {
    const tip = this.#tips.get(index);
    assert(tip !== undefined, 'only the last and the noted entry are asked for', () => ({ index }));
    return tip;
  }
}

export async function startupVerdict(
  disk: ReadDisk,
  view: StoreView,
  accepted: AcceptedLog,
): Promise<StartupVerdict> {
  const superblock = view.superblock.newest;
  if (superblock === null) return withoutSuperblock(view);
  const { found } = view.base;
  if (found.kind === 'refuse') return refuses('logDamaged', found.problem);
  const refusal = segmentFilesRefusal(view, superblock) ?? accepted.refusal;
  if (refusal !== null) return refusal;
  try {
    const evidence = { superblock, note: view.note };
    const remains = await remainsBehind(disk, view, superblock, accepted);
    const endsInZeros = accepted.isStopAtZeros && remains === null;
    const { table, provenCommitIndex, lastIndex, end, damagedHeaders } = accepted;
    const stop = endsInZeros ? null : accepted.stop;
    const verdict = decideRecovery({ table, provenCommitIndex, stop, remains }, evidence);
    const isOpen = verdict.kind === 'intact' || verdict.kind === 'cut';
    if (!isOpen) return refuses('logDamaged', verdict.problem);
    const cut = verdict.kind === 'cut' ? verdict.ranges : [];
    const rewriteFrom = rewriteStart({ base: table.base.end, end }, evidence);
    return { kind: 'opens', lastIndex, end, cut, rewriteFrom, damagedHeaders };
  } catch (error) {
    if (error instanceof DiskError) return refuses('diskFailed', error.message);
    if (error instanceof CorruptionError) return refuses('logDamaged', error.message);
    throw error;
  }
}

async function remainsBehind(
  disk: ReadDisk,
  { paths, segments, begin: base }: StoreView,
  { identity, cleanEnd }: Superblock,
  { stop, isStopAtZeros, end }: AcceptedLog,
): Promise<Remains | null> {
  const isKnownEnd = isStopAtZeros && end === cleanEnd?.physicalOffset;
  if (stop === null || isKnownEnd) return null;
  const starts = segments.map(({ startOffset }) => startOffset);
  const options = { disk, paths, identity, base, segments: starts, cleanEnd: null };
  return scanRemains(options, stop.physicalOffset);
}

function withoutSuperblock({ paths, superblock }: StoreView): StartupVerdict {
  const state = superblock.sizeBytes ? 'damaged in both slots' : 'missing';
  return refuses(
    'identityRefused',
    `${paths.superblock} is ${state}, so this replica no longer knows what it has voted for`,
  );
}

function segmentFilesRefusal(
  { paths, segments, begin }: StoreView,
  { identity: { segmentSizeBytes } }: Superblock,
): StartupVerdict | null {
  for (const [place, { path, startOffset, sizeBytes }] of segments.entries()) {
    const expected = advance(begin.end, place * segmentSizeBytes);
    if (startOffset !== expected) {
      const missing = paths.segment(expected);
      return refuses('logDamaged', `${missing} is missing, although ${path} exists`);
    }
    if (sizeBytes === segmentSizeBytes) continue;
    const sizes = `has ${sizeBytes} bytes, expected ${segmentSizeBytes}`;
    return refuses('logDamaged', `${path} ${sizes}`);
  }
  return null;
}

function refuses(reason: FatalReason, problem: string): StartupVerdict & { kind: 'refuses' } {
  return { kind: 'refuses', reason, problem };
}
