/**
 * Opens the commit log of a directory: lock, identity, scan, recovery, and only then a log to write to.
 *
 *     LOCK  superblock  base  durable.ring  data[-<generation>]/<20 digits>.seg  quarantine/
 *
 * A directory is new as long as it has no superblock and no segment; the superblock appears whole, and is
 * what makes it a store. Whoever has segments but no valid superblock has forgotten its vote and must
 * not come back under its old name (H7, H22).
 *
 * Entries that were durable here and are not good any more are no reason to open a shorter log (H4): a
 * repairer puts them back from the other replicas, and the log is opened anew (repair/).
 *
 * When this resolves, everything recovered is on the disk itself: bytes that may only have been in the page
 * cache, after a kill or a failed sync, have been written and synced again (H2).
 */
import { CorruptionError, FatalError } from '../base/errors.ts';
import { advance, LogIndex, type PhysicalOffset } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import { type DirectoryLock, type Disk, DiskError } from '../io/disk.ts';
import type { CommitLog } from './commit-log.ts';
import { DiskTimes } from './disk-times.ts';
import { type DurableNote, newestNote, noteOf, noteOnBase } from './durable-ring.ts';
import { BOOT_IDS_KEPT_MAX, TAIL_CACHE_SIZE_BYTES_DEFAULT } from './limits.ts';
import { type BaseRecord, tipOfBase } from './log-base.ts';
import { LogLane } from './log-lane.ts';
import { LogPaths } from './log-paths.ts';
import { RecoveredOnce } from './recovered-log.ts';
import type { RecoveryVerdict } from './recovery.ts';
import { LogNeedsRepair } from './repair/log-needs-repair.ts';
import { LogRepairer, type RepairerParts } from './repair/log-repairer.ts';
import { fromDevice, isMarked, unmark } from './repair/repair-mark.ts';
import { type ScanFindings, scanLog } from './scan.ts';
import { UnreadablePlaces } from './segment-reader.ts';
import { SegmentSet, type SegmentSetOptions } from './segment-set.ts';
import { SegmentedCommitLog } from './segmented-commit-log.ts';
import { StartupWriter } from './startup-writer.ts';
import {
  checkLogIdentity,
  type LogIdentity,
  openStore,
  readOrEmpty,
  removeLeftovers,
} from './store-directory.ts';
import { type StoreRules, standardStoreRules } from './store-rules.ts';
import type { Superblock } from './superblock.ts';
import { SuperblockWriter } from './superblock-writer.ts';

export interface OpenLogOptions {
  readonly directory: string;
  /** Minted into a new directory; an existing one must have the same. */
  readonly identity: LogIdentity;
  readonly mintUuid: () => string;
  /** Sixteen random hex digits, other ones at each start (remembered-peer.ts). */
  readonly mintBootId: () => string;
  readonly clock: Clock;
  readonly tailCacheSizeBytes?: number;
  /**
   * Whoever opens the log can fetch what is missing of it from other replicas. Without this a log that
   * lacks something cannot be opened, and an end that is torn or rotten counts as torn.
   */
  readonly mayAskPeers?: boolean;
  /** For the simulator: production leaves it out. */
  readonly rules?: StoreRules;
  /** At most once; nothing is durable afterwards. The owner ends the process. */
  readonly onFatal: (error: FatalError) => void;
}

/**
 * @throws FatalError with a sentence for the operator; LogNeedsRepair, which is one, when peers may be asked
 * and have to be.
 */
export async function openCommitLog(disk: Disk, options: OpenLogOptions): Promise<CommitLog> {
  checkLogIdentity(options.identity);
  const paths = new LogPaths(options.directory);
  return withReasons(async () => {
    await disk.makeDirectory(paths.quarantine);
    const lock = await disk.lock(options.directory);
    return openOwned({ disk, options, paths, lock }, 0);
  });
}

interface Owned {
  readonly disk: Disk;
  readonly options: OpenLogOptions;
  readonly paths: LogPaths;
  readonly lock: DirectoryLock;
}

async function openOwned(owned: Owned, tornBytes: number): Promise<CommitLog> {
  try {
    return await openLocked(owned, tornBytes);
  } catch (error) {
    // With a repairer the directory stays ours.
    if (!(error instanceof LogNeedsRepair)) await owned.lock.release();
    throw error;
  }
}

async function withReasons<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DiskError) {
      throw new FatalError('diskFailed', error.message, { cause: error });
    }
    if (error instanceof CorruptionError) {
      throw new FatalError('logDamaged', error.message, { cause: error });
    }
    throw error;
  }
}

async function openLocked(owned: Owned, tornBytesBefore: number): Promise<CommitLog> {
  const { disk, options, lock } = owned;
  const store = await openStore(disk, owned.paths, options);
  const { superblock, paths, segments, shortages } = store;
  const { identity } = superblock;
  const base = tipOfBase(store.base.base);
  const ringNote = newestNote(await readOrEmpty(disk, paths.durableRing));
  const note = noteOnBase(ringNote, { ...store.base, base });
  const cleanEnd = superblock.cleanEnd?.physicalOffset ?? null;
  const rules = options.rules ?? standardStoreRules;
  const { forgives } = rules;
  const unreadable = new UnreadablePlaces();
  const isDoubted = await isMarked(disk, paths);
  const scanned = isDoubted ? fromDevice(disk) : disk;
  const what = { disk: scanned, paths, identity, base, segments, shortages };
  const findings = await scanLog({ ...what, unreadable, cleanEnd, forgives });
  const { mayAskPeers = false } = options;
  const verdict = rules.decideRecovery(findings, { superblock, note, mayAskPeers });
  const times = new DiskTimes();
  const startup = new StartupWriter(disk, paths, identity.segmentSizeBytes, (durationMs) =>
    times.observe(durationMs),
  );
  try {
    if (verdict.kind !== 'intact' && verdict.kind !== 'cut') {
      // A note that this start acts on may still be in the page cache only. If a power cut took it, the
      // next start would know less, and take the damage for a torn tail.
      if (ringNote !== null) await startup.writeNote(ringNote);
      const damage = { paths, base: store.base, superblock, note, findings, verdict };
      throw damageOf(owned, damage, tornBytesBefore);
    }
    if (store.isBaseDamaged) await startup.writeBase(store.base);
    await removeLeftovers(disk, store);
    const booted = bootedAfter(superblock, options.mintBootId());
    for (const [segment, sizeBytes] of shortages) await startup.complete(segment, sizeBytes);
    if (verdict.kind === 'cut') {
      await startup.quarantineAndZero(verdict.ranges, `boot-${booted.bootCount}`);
    }
    for (const header of findings.damagedHeaders) await startup.replaceHeader(header);
    const end = findings.table.end;
    const rewriteFrom = rules.rewriteStart({ base: base.end, end }, { superblock, note });
    if (rewriteFrom !== null) await startup.rewrite(rewriteFrom, end);
    const durable = noteOf((note?.sequence ?? 0) + 1, findings.table);
    // The note first: it may say less than the clean end, but it must not be missing after it.
    await startup.writeNote(durable);
    await startup.writeSuperblock(booted);
    if (isDoubted) await unmark(disk, paths);

    const tornBytes = tornBytesBefore + (verdict.kind === 'cut' ? verdict.tornBytes : 0);
    const recovered = new RecoveredOnce({
      hardState: booted.hardState,
      base: store.base.base,
      entries: findings.entries,
      memberships: findings.memberships,
      provenCommitIndex: provenCommitOf(findings, superblock),
      bootCount: booted.bootCount,
      bootIds: booted.bootIds,
      tornBytes,
      hasTornTail: tornBytes > 0,
    });
    const parts = { disk, options, paths, lock, startup, booted, durable, recovered, findings };
    const readyEnd = advance(base.end, segments.length * identity.segmentSizeBytes);
    return build({ ...parts, base: store.base, readyEnd, times });
  } catch (error) {
    await startup.writer.close();
    throw error;
  }
}

type Damage = Pick<RepairerParts, 'paths' | 'base' | 'superblock' | 'note' | 'findings'> & {
  readonly verdict: Exclude<RecoveryVerdict, { readonly kind: 'intact' | 'cut' }>;
};

function damageOf(owned: Owned, damage: Damage, tornBytes: number): FatalError {
  const { disk, options, lock } = owned;
  const { paths, base, superblock, note, findings, verdict } = damage;
  const what = `Cannot open the log in ${options.directory}: ${verdict.problem}`;
  const isFinal = verdict.kind === 'refuse';
  if (isFinal || options.mayAskPeers !== true) {
    const way = isFinal ? 'or let it rejoin empty' : 'or start it where it reaches its peers';
    return new FatalError('logDamaged', `${what}. Restore this node ${way}`);
  }
  const reopen = (tornBytesNow: number) => withReasons(() => openOwned(owned, tornBytesNow));
  const found = { disk, paths, lock, base, superblock, note, findings, verdict };
  const parts = { ...found, tornBytes, reopen };
  return new LogNeedsRepair(what, new LogRepairer(parts));
}

/** The superblock of a store that is in use: what it says of an orderly end holds no longer. */
function bootedAfter(superblock: Superblock, bootId: string): Superblock {
  return {
    ...superblock,
    bootCount: superblock.bootCount + 1,
    bootIds: [bootId, ...superblock.bootIds].slice(0, BOOT_IDS_KEPT_MAX),
    cleanEnd: null,
    sequence: superblock.sequence + 1,
  };
}

function provenCommitOf(findings: ScanFindings, superblock: Superblock): LogIndex {
  return LogIndex(Math.max(findings.provenCommitIndex, superblock.commitHint));
}

interface BuildParts {
  readonly disk: Disk;
  readonly options: OpenLogOptions;
  readonly paths: LogPaths;
  readonly lock: DirectoryLock;
  readonly startup: StartupWriter;
  readonly booted: Superblock;
  readonly durable: DurableNote;
  readonly recovered: RecoveredOnce;
  readonly findings: ScanFindings;
  readonly base: BaseRecord;
  /** Segments exist up to here. */
  readonly readyEnd: PhysicalOffset;
  readonly times: DiskTimes;
}

function build(parts: BuildParts): CommitLog {
  const { disk, options, paths, startup, booted, findings, base } = parts;
  const { clock, onFatal } = options;
  const { writer } = startup;
  const { segmentSizeBytes } = booted.identity;
  const onFail = (error: DiskError): void => log.fail(error);
  const lane = new LogLane(writer);
  const segmentsIn = (there: Pick<SegmentSetOptions, 'paths' | 'firstStart' | 'readyEnd'>) => {
    const set = new SegmentSet({ disk, writer, clock, segmentSizeBytes, onFail, ...there });
    lane.attach(set);
    return set;
  };
  const firstStart = findings.table.base.end;
  const segments = segmentsIn({ paths, firstStart, readyEnd: parts.readyEnd });
  const superblockFile = writer.open(paths.superblock);
  const log = new SegmentedCommitLog({
    identity: booted.identity,
    recovered: parts.recovered,
    disk,
    clock,
    paths,
    lock: parts.lock,
    writer,
    lane,
    base,
    segments,
    newSegments: (at, start) => segmentsIn({ paths: at, firstStart: start, readyEnd: start }),
    superblocks: new SuperblockWriter(superblockFile, booted, (batch) => lane.submit(batch)),
    table: findings.table,
    ringFile: writer.open(paths.durableRing),
    note: parts.durable,
    tailCacheSizeBytes: options.tailCacheSizeBytes ?? TAIL_CACHE_SIZE_BYTES_DEFAULT,
    rules: options.rules ?? standardStoreRules,
    times: parts.times,
    onFatal,
  });
  startup.handOver(onFail);
  segments.prepareFor(findings.table.end);
  segments.begin();
  return log;
}
