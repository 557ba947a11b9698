/** Whose directory it is: reads its superblock, or makes a new store of an empty one. */
import { FatalError } from '../base/errors.ts';
import { KIB } from '../base/sizes.ts';
import { LogIndex, type NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { Disk } from '../io/disk.ts';
import type { StoreIdentity } from './commit-log.ts';
import { encodeRing, FIRST_NOTE } from './durable-ring.ts';
import { MISSING_SEGMENTS_MAX, SEGMENT_SIZE_BYTES_MAX, SEGMENT_SIZE_BYTES_MIN } from './limits.ts';
import type { LogPaths } from './log-paths.ts';
import { isStorableName, parseSegmentFileName } from './segment.ts';
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
  /** Start offsets, contiguous from 0 to the last segment that exists. */
  readonly segments: readonly PhysicalOffset[];
  /** Those that are missing or too short, with how much of them there is. */
  readonly shortages: ReadonlyMap<PhysicalOffset, number>;
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
  await disk.syncDirectory(paths.data);
  const names = await disk.list(paths.data);
  const segments = names.map(parseSegmentFileName).filter((start) => start !== null);
  const file = await readOrEmpty(disk, paths.superblock);
  const superblock = newestSuperblock(file);
  if (superblock !== null) {
    checkSameIdentity(request, superblock.identity);
    const { segmentSizeBytes } = superblock.identity;
    return { superblock, ...(await surveySegments(disk, paths, segments, segmentSizeBytes)) };
  }
  if (file.length > 0 || segments.length > 0) {
    throw new FatalError(
      'identityRefused',
      `Cannot open the store in ${request.directory}: ${paths.superblock} is ` +
        `${file.length > 0 ? 'damaged in both slots' : 'missing'}, so this replica no longer knows ` +
        'what it has voted for. Restore the file, or empty the directory and let the node rejoin',
    );
  }
  return { superblock: await createStore(disk, paths, request), segments, shortages: new Map() };
}

/** Empty when there is no such file. */
export async function readOrEmpty(disk: Disk, path: string): Promise<Uint8Array> {
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

/** What there is, next to what there should be from 0 to the last segment that exists. */
async function surveySegments(
  disk: Disk,
  paths: LogPaths,
  found: readonly PhysicalOffset[],
  segmentSizeBytes: number,
): Promise<Pick<StoreDirectory, 'segments' | 'shortages'>> {
  const segments: PhysicalOffset[] = [];
  const shortages = new Map<PhysicalOffset, number>();
  for (const start of found) {
    const sizeBytes = (await disk.sizeOf(paths.segment(start))) ?? 0;
    const place = start / segmentSizeBytes;
    const isOdd = !Number.isInteger(place) || place > found.length + MISSING_SEGMENTS_MAX;
    if (isOdd || sizeBytes > segmentSizeBytes) {
      throw new FatalError(
        'logDamaged',
        `Cannot open the log in ${paths.directory}: ${paths.segment(start)} has ${sizeBytes} bytes, but ` +
          `segments start at multiples of ${segmentSizeBytes} and have as many. Move the file away`,
      );
    }
    for (let missing = segments.length * segmentSizeBytes; missing < start; ) {
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
