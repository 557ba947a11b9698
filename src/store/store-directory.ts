/**
 * Whose directory it is, and which log is in it: reads its superblock and its base, or makes a new store of
 * an empty one.
 *
 * What the base does not name is no part of the log: segments before it, which a compaction had no time to
 * remove, and directories of another generation, which an installed snapshot left or had no time to make.
 * They go when the log that it does name has been found whole, so that a base which a disk brought back
 * from before removes nothing (H5). Without a base that can be read only a log that is there from its very
 * beginning is opened (H6).
 */
import { FatalError } from '../base/errors.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, type NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { Disk } from '../io/disk.ts';
import type { StoreIdentity } from './commit-log.ts';
import { encodeRing, FIRST_NOTE } from './durable-ring.ts';
import { baseEvidence, judgeBase, segmentsIn } from './found-base.ts';
import { MISSING_SEGMENTS_MAX, SEGMENT_SIZE_BYTES_MAX, SEGMENT_SIZE_BYTES_MIN } from './limits.ts';
import { type BaseRecord, encodeBaseFile, originRecord, tipOfBase } from './log-base.ts';
import type { LogPaths } from './log-paths.ts';
import { isStorableName } from './segment.ts';
import {
  encodeSuperblock,
  newestSuperblock,
  SLOT_COUNT,
  SLOT_SIZE_BYTES,
  SUPERBLOCK_SIZE_BYTES,
  type Superblock,
} from './superblock.ts';

export interface LogIdentity {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: NodeId;
  readonly segmentSizeBytes: number;
}

export interface StoreDirectory {
  readonly superblock: Superblock;
  readonly base: BaseRecord;
  /** One copy of it, or the whole file, is not what it should be. */
  readonly isBaseDamaged: boolean;
  /** Of the generation that the base names. */
  readonly paths: LogPaths;
  readonly leftovers: Leftovers;
  /** Start offsets, contiguous from the end of the base to the last segment that exists. */
  readonly segments: readonly PhysicalOffset[];
  /** Those that are missing or too short, with how much of them there is. */
  readonly shortages: ReadonlyMap<PhysicalOffset, number>;
}

/** What is there of other logs. */
export interface Leftovers {
  readonly generations: readonly number[];
  readonly segments: readonly PhysicalOffset[];
}

export interface StoreRequest {
  readonly directory: string;
  readonly identity: LogIdentity;
  readonly mintUuid: () => string;
}

/** Segments end on pages, so that no two share one. */
const SEGMENT_SIZE_STEP_BYTES = 4 * KIB;

export function checkLogIdentity(identity: LogIdentity): void {
  const { clusterId, groupId, segmentSizeBytes } = identity;
  for (const name of [clusterId, groupId]) {
    if (isStorableName(name)) continue;
    throw new FatalError(
      'badConfiguration',
      `Cannot use ${JSON.stringify(name)} as a name of a cluster or group: 1 to 256 bytes are needed`,
    );
  }
  const fits =
    segmentSizeBytes >= SEGMENT_SIZE_BYTES_MIN &&
    segmentSizeBytes <= SEGMENT_SIZE_BYTES_MAX &&
    segmentSizeBytes % SEGMENT_SIZE_STEP_BYTES === 0;
  if (fits) return;
  throw new FatalError(
    'badConfiguration',
    `Cannot use segments of ${segmentSizeBytes} bytes: a multiple of ${SEGMENT_SIZE_STEP_BYTES} ` +
      `from ${SEGMENT_SIZE_BYTES_MIN} to ${SEGMENT_SIZE_BYTES_MAX} is needed`,
  );
}

/** Requires the directory's lock. */
export async function openStore(
  disk: Disk,
  paths: LogPaths,
  request: StoreRequest,
): Promise<StoreDirectory> {
  // A process that was killed between a rename and its sync has left names that only we can see.
  await disk.syncDirectory(paths.directory);
  const file = await readOrEmpty(disk, paths.superblock);
  const superblock = newestSuperblock(file);
  if (superblock === null) return newStore(disk, paths, request, file.length > 0);
  const { segmentSizeBytes, storeUuid } = superblock.identity;
  checkSameIdentity(request, superblock.identity);
  const evidence = await baseEvidence(disk, paths);
  const baseFile = await readOrEmpty(disk, paths.base);
  const found = judgeBase({ file: baseFile, storeUuid, ...evidence }, paths.base);
  if (found.kind === 'refuse') {
    const what = `Cannot open the log in ${paths.directory}: ${found.problem}`;
    throw new FatalError('logDamaged', `${what}. Restore this node or let it rejoin empty`);
  }
  const { record: base, isDamaged: isBaseDamaged } = found;
  const current = paths.at(base.generation);
  await disk.makeDirectory(current.data);
  await disk.syncDirectory(current.data);
  const start = tipOfBase(base.base).end;
  const present = await segmentsIn(disk, current);
  const own = present.filter((segment) => segment >= start);
  const leftovers = {
    generations: evidence.generations.filter((generation) => generation !== base.generation),
    segments: present.filter((segment) => segment < start),
  };
  const survey = await surveySegments(disk, current, { start, found: own, segmentSizeBytes });
  return { superblock, base, isBaseDamaged, paths: current, leftovers, ...survey };
}

/** Front to back, as a compaction does. */
export async function removeLeftovers(
  disk: Disk,
  { paths, leftovers }: Pick<StoreDirectory, 'paths' | 'leftovers'>,
): Promise<void> {
  for (const segment of leftovers.segments) await disk.remove(paths.segment(segment));
  for (const generation of leftovers.generations) {
    await disk.removeDirectory(paths.at(generation).data);
  }
}

async function newStore(
  disk: Disk,
  paths: LogPaths,
  request: StoreRequest,
  isDamaged: boolean,
): Promise<StoreDirectory> {
  await disk.makeDirectory(paths.data);
  await disk.syncDirectory(paths.data);
  const { generations } = await baseEvidence(disk, paths);
  const isOther = generations.some((generation) => generation !== paths.generation);
  const isUsed = isOther || (await segmentsIn(disk, paths)).length > 0;
  if (isDamaged || isUsed) {
    throw new FatalError(
      'identityRefused',
      `Cannot open the store in ${request.directory}: ${paths.superblock} is ` +
        `${isDamaged ? 'damaged in both slots' : 'missing'}, so this replica no longer knows ` +
        'what it has voted for. Restore the file, or empty the directory and let the node rejoin',
    );
  }
  const superblock = await createStore(disk, paths, request);
  const base = originRecord(superblock.identity.storeUuid);
  const leftovers = { generations: [], segments: [] };
  const nothing = { leftovers, segments: [], shortages: new Map() };
  return { superblock, base, isBaseDamaged: false, paths, ...nothing };
}

/** Empty when there is no such file. */
export async function readOrEmpty(
  disk: Pick<Disk, 'sizeOf' | 'read'>,
  path: string,
): Promise<Uint8Array> {
  const sizeBytes = await disk.sizeOf(path);
  return sizeBytes === null ? new Uint8Array(0) : disk.read(path, 0, sizeBytes);
}

/** The superblock comes last and appears whole: before it, the directory counts as empty. */
async function createStore(
  disk: Disk,
  paths: LogPaths,
  request: StoreRequest,
): Promise<Superblock> {
  const superblock: Superblock = {
    identity: { ...request.identity, storeUuid: request.mintUuid() },
    hardState: { term: Term(0), votedFor: null },
    bootCount: 0,
    commitHint: LogIndex(0),
    cleanEnd: null,
    bootIds: [],
    peers: new Map(),
    sequence: 1,
  };
  await disk.writeFile(paths.durableRing, encodeRing(FIRST_NOTE));
  await disk.writeFile(paths.base, encodeBaseFile(originRecord(superblock.identity.storeUuid)));
  const file = new Uint8Array(SUPERBLOCK_SIZE_BYTES);
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    file.set(encodeSuperblock(superblock), slot * SLOT_SIZE_BYTES);
  }
  await disk.writeFile(paths.superblock, file);
  return superblock;
}

function checkSameIdentity(request: StoreRequest, stored: StoreIdentity): void {
  const facts = ['clusterId', 'groupId', 'nodeId', 'segmentSizeBytes'] as const;
  for (const fact of facts) {
    if (stored[fact] === request.identity[fact]) continue;
    throw new FatalError(
      'identityRefused',
      `Cannot open the store in ${request.directory}: its ${fact} is ${stored[fact]}, ` +
        `but the configuration says ${request.identity[fact]}`,
    );
  }
}

interface SegmentsFound {
  /** Of the first segment that there should be. */
  readonly start: PhysicalOffset;
  readonly found: readonly PhysicalOffset[];
  readonly segmentSizeBytes: number;
}

/** What there is, next to what there should be from the base to the last segment that exists. */
async function surveySegments(
  disk: Disk,
  paths: LogPaths,
  { start: first, found, segmentSizeBytes }: SegmentsFound,
): Promise<Pick<StoreDirectory, 'segments' | 'shortages'>> {
  const segments: PhysicalOffset[] = [];
  const shortages = new Map<PhysicalOffset, number>();
  for (const start of found) {
    const sizeBytes = (await disk.sizeOf(paths.segment(start))) ?? 0;
    const place = (start - first) / segmentSizeBytes;
    const isOdd = !Number.isInteger(place) || place > found.length + MISSING_SEGMENTS_MAX;
    if (isOdd || sizeBytes > segmentSizeBytes) {
      throw new FatalError(
        'logDamaged',
        `Cannot open the log in ${paths.directory}: ${paths.segment(start)} has ${sizeBytes} bytes, but ` +
          `segments start at multiples of ${segmentSizeBytes} and have as many. Move the file away`,
      );
    }
    for (let missing = first + segments.length * segmentSizeBytes; missing < start; ) {
      segments.push(PhysicalOffset(missing));
      shortages.set(PhysicalOffset(missing), 0);
      missing += segmentSizeBytes;
    }
    segments.push(start);
    // A segment gets its name when its full size is durable, so a short one has been damaged since.
    if (sizeBytes < segmentSizeBytes) shortages.set(start, sizeBytes);
  }
  return { segments, shortages };
}
