/**
 * Opens the commit log of a directory: lock, identity, scan, recovery, and only then a log to write to.
 *
 *     LOCK  superblock  durable.ring  data/<20 digits>.seg  quarantine/
 *
 * A directory is new as long as it has no superblock and no segment; the superblock appears whole, and is
 * what makes it a store. Whoever has segments but no valid superblock has forgotten its vote and must
 * not come back under its old name (H7, H22).
 *
 * When this resolves, everything recovered is on the disk itself: bytes that may only have been in the page
 * cache, after a kill or a failed sync, have been written and synced again (H2).
 */
import { CorruptionError, FatalError } from '../base/errors.ts';
import { LogIndex } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import { type DirectoryLock, type Disk, DiskError } from '../io/disk.ts';
import type { CommitLog, RecoveredLog } from './commit-log.ts';
import { DiskTimes } from './disk-times.ts';
import {
  type DurableNote,
  encodeNote,
  encodeRing,
  newestNote,
  notePosition,
} from './durable-ring.ts';
import { TAIL_CACHE_SIZE_BYTES_DEFAULT } from './limits.ts';
import { LogLane } from './log-lane.ts';
import { LogPaths } from './log-paths.ts';
import { decideRecovery, rewriteStart } from './recovery.ts';
import { type ScanFindings, scanLog } from './scan.ts';
import { SegmentSet } from './segment-set.ts';
import { SegmentedCommitLog } from './segmented-commit-log.ts';
import { StartupWriter } from './startup-writer.ts';
import { checkLogIdentity, type LogIdentity, openStore, readOrEmpty } from './store-directory.ts';
import { encodeSuperblock, SLOT_COUNT, SLOT_SIZE_BYTES, type Superblock } from './superblock.ts';
import { SuperblockWriter } from './superblock-writer.ts';

export interface OpenLogOptions {
  readonly directory: string;
  /** Minted into a new directory; an existing one must have the same. */
  readonly identity: LogIdentity;
  readonly mintUuid: () => string;
  readonly clock: Clock;
  readonly tailCacheSizeBytes?: number;
  /** At most once; nothing is durable afterwards. The owner ends the process. */
  readonly onFatal: (error: FatalError) => void;
}

/** @throws FatalError with a sentence for the operator. */
export async function openCommitLog(disk: Disk, options: OpenLogOptions): Promise<CommitLog> {
  checkLogIdentity(options.identity);
  const paths = new LogPaths(options.directory);
  try {
    await disk.makeDirectory(paths.data);
    await disk.makeDirectory(paths.quarantine);
    const lock = await disk.lock(options.directory);
    try {
      return await openLocked(disk, options, paths, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
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

async function openLocked(
  disk: Disk,
  options: OpenLogOptions,
  paths: LogPaths,
  lock: DirectoryLock,
): Promise<CommitLog> {
  const { superblock, segments } = await openStore(disk, paths, options);
  const { identity } = superblock;
  const note = newestNote(await readOrEmpty(disk, paths.durableRing));
  const cleanEnd = superblock.cleanEnd?.physicalOffset ?? null;
  const findings = await scanLog({ disk, paths, identity, segments, cleanEnd });
  const verdict = decideRecovery(findings, { superblock, note });
  if (verdict.kind === 'refuse') {
    throw new FatalError(
      'logDamaged',
      `Cannot open the log in ${options.directory}: ${verdict.problem}. ` +
        'Repair comes in a later release; restore this node or let it rejoin empty',
    );
  }
  const times = new DiskTimes();
  const startup = new StartupWriter(disk, paths, identity.segmentSizeBytes, (durationMs) =>
    times.observe(durationMs),
  );
  try {
    const booted = bootedAfter(superblock);
    if (verdict.kind === 'cut') {
      await startup.quarantineAndZero(verdict.ranges, booted.bootCount);
    }
    for (const header of findings.damagedHeaders) await startup.replaceHeader(header);
    const end = findings.table.end;
    const rewriteFrom = rewriteStart(end, { superblock, note });
    if (rewriteFrom !== null) await startup.rewrite(rewriteFrom, end);
    const durable = { sequence: (note?.sequence ?? 0) + 1, index: findings.table.lastIndex, end };
    await writeBoot(disk, paths, startup, booted, durable);

    const recovered: RecoveredLog = {
      hardState: booted.hardState,
      entries: findings.entries,
      provenCommitIndex: provenCommitOf(findings, superblock),
      bootCount: booted.bootCount,
      tornBytes: verdict.kind === 'cut' ? verdict.tornBytes : 0,
    };
    const readyCount = segments.length;
    return build({
      disk,
      options,
      paths,
      lock,
      startup,
      booted,
      durable,
      recovered,
      findings,
      readyCount,
      times,
    });
  } catch (error) {
    await startup.writer.close();
    throw error;
  }
}

/** The superblock of a store that is in use: what it says of an orderly end holds no longer. */
function bootedAfter(superblock: Superblock): Superblock {
  return {
    ...superblock,
    bootCount: superblock.bootCount + 1,
    cleanEnd: null,
    sequence: superblock.sequence + 1,
  };
}

/** The note first: it may say less than the clean end, but it must not be missing after it. */
async function writeBoot(
  disk: Disk,
  paths: LogPaths,
  startup: StartupWriter,
  booted: Superblock,
  durable: DurableNote,
): Promise<void> {
  if ((await disk.sizeOf(paths.durableRing)) === null) {
    await disk.writeFile(paths.durableRing, encodeRing(durable));
  }
  const ring = startup.writer.open(paths.durableRing);
  await startup.perform([
    { file: ring, position: notePosition(durable), bytes: encodeNote(durable) },
  ]);
  startup.writer.closeFile(ring);
  const file = startup.writer.open(paths.superblock);
  const bytes = encodeSuperblock(booted);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    await startup.perform([{ file, position: slot * SLOT_SIZE_BYTES, bytes }]);
  }
  startup.writer.closeFile(file);
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
  readonly recovered: RecoveredLog;
  readonly findings: ScanFindings;
  readonly readyCount: number;
  readonly times: DiskTimes;
}

function build(parts: BuildParts): CommitLog {
  const { disk, options, paths, startup, booted, findings, readyCount } = parts;
  const { clock, onFatal } = options;
  const { writer } = startup;
  const { segmentSizeBytes } = booted.identity;
  const onFail = (error: DiskError): void => log.fail(error);
  const segments = new SegmentSet({
    disk,
    writer,
    clock,
    paths,
    segmentSizeBytes,
    readyCount,
    onFail,
  });
  const lane = new LogLane(writer, segments);
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
    segments,
    superblocks: new SuperblockWriter(superblockFile, booted, (batch) => lane.submit(batch)),
    table: findings.table,
    ringFile: writer.open(paths.durableRing),
    note: parts.durable,
    tailCacheSizeBytes: options.tailCacheSizeBytes ?? TAIL_CACHE_SIZE_BYTES_DEFAULT,
    times: parts.times,
    onFatal,
  });
  startup.handOver(onFail);
  segments.prepareFor(findings.table.end);
  return log;
}
