/** For tests of repair: a small log on a disk in memory, damaged at will, and peers that have all or some of it. */
import { LogIndex, Term } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import type { EntryDesc, EntryId } from '../../raft/entry.ts';
import type { CommitLog, LogBase, StoredEntry } from '../commit-log.ts';
import { ORIGIN, tipOfBase } from '../log-base.ts';
import {
  baseAt,
  EntryChain,
  type LogForm,
  type OpenTestLogOptions,
  oneSegment,
  openTestLog,
  payloadOf,
  persisted,
  segmentPathAt,
  standOn,
  TEST_DIRECTORY,
  TEST_IDENTITY,
  term,
} from '../log-fixture.ts';
import { LogNeedsRepair } from './log-needs-repair.ts';
import type { LogRepairer } from './log-repairer.ts';
import type { OfferOutcome } from './offer-outcome.ts';
import { NOTHING_COMMITTED, type RepairAnswer, type RepairRange } from './repair-source.ts';

export const SMALL = 8192;
export const identity = { ...TEST_IDENTITY, segmentSizeBytes: SMALL };
export const everything = { sector: () => true, name: () => true };
export const nothing = { sector: () => false, name: () => false };

export function segmentPath(place: number): string {
  return `${TEST_DIRECTORY}/data/${String(place * SMALL).padStart(20, '0')}.seg`;
}
export const RING = `${TEST_DIRECTORY}/durable.ring`;
export const SUPERBLOCK = `${TEST_DIRECTORY}/superblock`;

const SIZES = [100, 3700, 60, 900, 2500, 500, 40];

/** Entries over three segments, with two fillers; commits are known soon after. */
export function aChain(sizes: readonly number[] = SIZES, base: LogBase = ORIGIN): EntryChain {
  const chain = new EntryChain(SMALL, base);
  const { index } = tipOfBase(base);
  for (const [i, sizeBytes] of sizes.entries()) {
    const leaderCommit = LogIndex(Math.max(index, chain.lastIndex - 1));
    chain.append({ payload: payloadOf(sizeBytes, i), term: Term(1), leaderCommit });
  }
  return chain;
}

/** A log of every form, with the same entries behind its base. */
export interface LogUnderTest {
  readonly form: LogForm;
  readonly chain: EntryChain;
  /** What is before its first entry. */
  readonly before: LogIndex;
  /** Its segments, from 0. */
  readonly segment: (place: number) => string;
  readonly segmentAt: (offset: number) => string;
  readonly usedSizeBytes: (place: number) => number;
  readonly store: (end?: 'killed' | 'closed', chain?: EntryChain) => Promise<MemoryDisk>;
  readonly spoil: (disk: MemoryDisk, nth: number) => void;
}

export function logUnderTest(form: LogForm): LogUnderTest {
  const base = form === 'whole' ? ORIGIN : baseAt(oneSegment(SMALL), SMALL);
  const chain = aChain(SIZES, base);
  const { index: before, end: start } = tipOfBase(base);
  const segmentAt = (offset: number): string => segmentPathAt(form, offset, SMALL);
  return {
    ...{ form, chain, before, segmentAt },
    segment: (place) => segmentAt(start + place * SMALL),
    usedSizeBytes: (place) => Math.max(0, Math.min(SMALL, chain.end - start - place * SMALL)),
    store: (end, other = chain) => storeOf(other, end, 1, form),
    spoil: (disk, nth) => spoilAt(disk, chain.at(before + nth).desc, segmentAt),
  };
}

/** All of it durable, and noted as such. */
export async function storeOf(
  chain: Pick<EntryChain, 'entries'>,
  end: 'killed' | 'closed' = 'killed',
  terms = 1,
  form: LogForm = 'whole',
): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk, { identity });
  await persisted(log, { hardState: term(terms) });
  await standOn(log, form);
  for (const entry of chain.entries) await persisted(log, { entries: [entry] });
  if (end === 'closed') await log.close();
  // The note of the last write is written behind it.
  await new Promise((resolve) => setImmediate(resolve));
  return disk.killed();
}

export function flip(disk: MemoryDisk, path: string, at: number): void {
  const byte = disk.contentOf(path)[at] ?? 0;
  disk.rot(path, at, new Uint8Array([byte ^ (1 << (at % 8))]));
}

/** Damages the body of entry `index`; of one without a body the zeros behind it. */
export function spoil(disk: MemoryDisk, chain: EntryChain, index: number): void {
  spoilAt(disk, chain.at(index).desc, (offset) => segmentPathAt('whole', offset, SMALL));
}

function spoilAt(
  disk: MemoryDisk,
  { physicalOffset, sizeBytes }: EntryDesc,
  segmentAt: (offset: number) => string,
): void {
  flip(disk, segmentAt(physicalOffset), (physicalOffset % SMALL) + Math.min(70, sizeBytes - 1));
}

/** What a peer answers that has these entries, of which the first ones are committed. */
export function answerOf(
  entries: readonly StoredEntry[],
  range: RepairRange,
  committed: EntryId = entries.at(-1)?.desc ?? NOTHING_COMMITTED,
): RepairAnswer {
  const firstIndex = entries[0]?.desc.index ?? LogIndex(1);
  const some = entries.filter(({ desc }) => desc.index >= range.from && desc.index <= range.to);
  const anchor = range.anchor === 'first' ? range.from : range.to;
  if (!some.some(({ desc }) => desc.index === anchor))
    return { entries: [], committed, firstIndex };
  let sizeBytes = 0;
  for (const { bytes } of some) sizeBytes += bytes.length;
  while (sizeBytes > range.sizeBytesMax && some.length > 1) {
    const left = range.anchor === 'first' ? some.pop() : some.shift();
    sizeBytes -= left?.bytes.length ?? 0;
  }
  return { entries: some, committed, firstIndex };
}

/** @returns what keeps the log from being opened; null when nothing does */
export async function repairerOf(
  disk: MemoryDisk,
  options: OpenTestLogOptions = {},
): Promise<LogRepairer | null> {
  try {
    const log = await openTestLog(disk, { identity, mayAskPeers: true, ...options });
    await log.close();
    return null;
  } catch (error) {
    if (error instanceof LogNeedsRepair) return error.repairer;
    throw error;
  }
}

export interface Healing {
  readonly log: CommitLog;
  readonly outcomes: readonly OfferOutcome['kind'][];
  /** How often it was needed to start over. */
  readonly reopenings: number;
}

/** Opens the log and repairs it with what `ask` answers. A small answer makes many steps. */
export async function heal(
  disk: MemoryDisk,
  ask: (range: RepairRange, repairer: LogRepairer) => RepairAnswer | Promise<RepairAnswer>,
  sizeBytesMax = 1500,
): Promise<Healing> {
  const outcomes: OfferOutcome['kind'][] = [];
  let open = (): Promise<CommitLog> => openTestLog(disk, { identity, mayAskPeers: true });
  for (let reopenings = 0; reopenings < 10; reopenings++) {
    try {
      return { log: await open(), outcomes, reopenings };
    } catch (error) {
      if (!(error instanceof LogNeedsRepair)) throw error;
      const { repairer } = error;
      await fill(repairer, ask, sizeBytesMax, outcomes);
      open = () => repairer.reopen();
    }
  }
  throw new Error('Started over too often');
}

async function fill(
  repairer: LogRepairer,
  ask: (range: RepairRange, repairer: LogRepairer) => RepairAnswer | Promise<RepairAnswer>,
  sizeBytesMax: number,
  outcomes: OfferOutcome['kind'][],
): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const wanted = repairer.wanted();
    if (wanted === null) return;
    const answer = await ask({ ...wanted, sizeBytesMax }, repairer);
    if (await repairer.hear(answer.committed)) continue;
    if (answer.entries.length === 0) throw new Error(`Nobody has ${repairer.missing}`);
    const outcome = await repairer.offer(answer);
    outcomes.push(outcome.kind);
    if (outcome.kind === 'unusable') throw new Error(outcome.problem);
  }
  throw new Error('No end of offers');
}
