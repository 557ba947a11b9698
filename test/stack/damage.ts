/** Damage to the directory of a node that is down. What is hit was durable, or must not matter. */
import { assert } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import { type NodeId, PhysicalOffset } from '../../src/base/units.ts';
import { SECTOR_SIZE_BYTES } from '../../src/io/disk.ts';
import type { MemoryDisk } from '../../src/io/memory/memory-disk.ts';
import { decodeEntryHeader, storedSizeBytes } from '../../src/protocol/entry-codec.ts';
import { SEGMENT_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import { newestNote } from '../../src/store/durable-ring.ts';
import { BASE_COPY_COUNT, type BaseRecord, decodeBaseFile } from '../../src/store/log-base.ts';
import { LogPaths } from '../../src/store/log-paths.ts';
import {
  decodeSuperblock,
  newestSuperblock,
  SLOT_COUNT,
  SLOT_SIZE_BYTES,
} from '../../src/store/superblock.ts';
import type { RotKind } from './fault-script.ts';
import { STORE_DIRECTORY } from './incarnation.ts';

const top = new LogPaths(STORE_DIRECTORY);

/** Of the log that the directory holds now. */
function pathsIn(disk: MemoryDisk): LogPaths {
  return top.at(baseIn(disk)?.generation ?? 0);
}

function baseIn(disk: MemoryDisk): BaseRecord | null {
  const file = disk.paths.includes(top.base) ? disk.contentOf(top.base) : new Uint8Array(0);
  const decoded = decodeBaseFile(file);
  return decoded.kind === 'base' ? decoded.record : null;
}

/** What start-up must make of it; null: there was nothing to damage. */
export type DamageOutcome = 'mustRefuse' | 'mustStart' | null;

interface Place {
  readonly path: string;
  /** In the file. */
  readonly position: number;
  readonly sizeBytes: number;
}

export function rot(disk: MemoryDisk, how: RotKind, random: Prng): DamageOutcome {
  const places = durableEntries(disk);
  if (places.length === 0) return null;
  const victim = random.pick(places);
  switch (how) {
    case 'bit':
      flipBit(disk, victim, random);
      return 'mustRefuse';
    case 'staleSector':
      return overwrite(disk, victim, sectorIn(victim, random), new Uint8Array(SECTOR_SIZE_BYTES));
    case 'misdirected': {
      const other = sectorIn(random.pick(places), random);
      return overwrite(disk, victim, sectorIn(victim, random), bytesAt(disk, other));
    }
    case 'headerCopy': {
      const half = SEGMENT_HEADER_SIZE_BYTES / 2;
      const position = random.chance(1, 2) ? 0 : half;
      flipBit(disk, { path: victim.path, position, sizeBytes: half }, random);
      return 'mustStart';
    }
    case 'beyondEnd':
      return garbageBeyondEnd(disk, random);
  }
}

export function damageSuperblock(
  disk: MemoryDisk,
  slots: readonly number[],
  random: Prng,
): DamageOutcome {
  const path = top.superblock;
  for (const slot of slots) {
    const position = slot * SLOT_SIZE_BYTES;
    flipBit(disk, { path, position, sizeBytes: SLOT_SIZE_BYTES }, random);
  }
  // The other slot may have been torn by a power cut: then there is none left.
  return newestSuperblock(disk.contentOf(path)) === null ? 'mustRefuse' : 'mustStart';
}

export function damageBase(
  disk: MemoryDisk,
  copies: readonly number[],
  random: Prng,
): DamageOutcome {
  const path = top.base;
  if (!disk.paths.includes(path)) return null;
  const copySizeBytes = disk.contentOf(path).length / BASE_COPY_COUNT;
  for (const copy of copies) {
    flipBit(disk, { path, position: copy * copySizeBytes, sizeBytes: copySizeBytes }, random);
  }
  if (decodeBaseFile(disk.contentOf(path)).kind === 'base') return 'mustStart';
  // Without it a log from its very beginning is known by its first segment, and by nothing else.
  const isWhole = disk.paths.includes(top.segment(PhysicalOffset(0)));
  const isFirst = disk.paths.every((name) => !name.startsWith(`${top.directory}/data-`));
  return isWhole && isFirst ? 'mustStart' : 'mustRefuse';
}

/** What a superblock says of a peer, and will say after a power cut: the first slot is synced first. */
export function peerBootIn(disk: MemoryDisk, peer: NodeId): number {
  if (!disk.paths.includes(top.superblock)) return 0;
  const file = disk.contentOf(top.superblock);
  const boots = Array.from({ length: SLOT_COUNT }, (_, slot) => {
    const at = slot * SLOT_SIZE_BYTES;
    const superblock = decodeSuperblock(file.subarray(at, at + SLOT_SIZE_BYTES));
    return superblock?.peers.get(peer)?.bootCount ?? 0;
  });
  return Math.min(...boots);
}

/** The entries of which the directory itself can prove that they were durable here. */
function durableEntries(disk: MemoryDisk): readonly Place[] {
  const paths = pathsIn(disk);
  const ring = disk.paths.includes(paths.durableRing) ? disk.contentOf(paths.durableRing) : null;
  const file = disk.paths.includes(paths.superblock) ? disk.contentOf(paths.superblock) : null;
  const note = ring === null ? null : newestNote(ring);
  const superblock = file === null ? null : newestSuperblock(file);
  const { commitHint = 0, cleanEnd = null } = superblock ?? {};
  const lastIndex = Math.max(note?.index ?? 0, commitHint, cleanEnd?.index ?? 0);
  const places: Place[] = [];
  const baseIndex = baseIn(disk)?.base.desc?.last.index ?? 0;
  for (const path of disk.paths) {
    if (!path.startsWith(`${paths.data}/`)) continue;
    const bytes = disk.contentOf(path);
    let position = SEGMENT_HEADER_SIZE_BYTES;
    for (;;) {
      const decoded = decodeEntryHeader(bytes, position);
      if (decoded.kind !== 'header' || decoded.header.desc.index > lastIndex) break;
      const { desc } = decoded.header;
      if (desc.index > baseIndex) places.push({ path, position, sizeBytes: storedSizeBytes(desc) });
      position += desc.sizeBytes;
    }
  }
  return places;
}

function flipBit(disk: MemoryDisk, { path, position, sizeBytes }: Place, random: Prng): void {
  const at = position + random.below(sizeBytes);
  const [byte] = disk.contentOf(path).subarray(at, at + 1);
  assert(byte !== undefined, 'the damaged byte exists');
  disk.rot(path, at, Uint8Array.of(byte ^ (1 << random.below(8))));
}

/** A sector that holds some of the place. */
function sectorIn({ path, position, sizeBytes }: Place, random: Prng): Place {
  const at = position + random.below(sizeBytes);
  return { path, position: at - (at % SECTOR_SIZE_BYTES), sizeBytes: SECTOR_SIZE_BYTES };
}

function bytesAt(disk: MemoryDisk, { path, position, sizeBytes }: Place): Uint8Array {
  return disk.contentOf(path).slice(position, position + sizeBytes);
}

function overwrite(
  disk: MemoryDisk,
  victim: Place,
  { path, position }: Place,
  bytes: Uint8Array,
): DamageOutcome {
  const before = bytesAt(disk, victim);
  const old = bytesAt(disk, { path, position, sizeBytes: bytes.length });
  disk.rot(path, position, bytes);
  if (Buffer.compare(before, bytesAt(disk, victim)) !== 0) return 'mustRefuse';
  // It changed nothing of an entry that was durable: take it back.
  disk.rot(path, position, old);
  return null;
}

/** Behind the last entry of a segment that has a header. */
function endOfEntries(segment: Uint8Array): number {
  let position = SEGMENT_HEADER_SIZE_BYTES;
  for (;;) {
    const decoded = decodeEntryHeader(segment, position);
    if (decoded.kind !== 'header') return position;
    position += decoded.header.desc.sizeBytes;
  }
}

/** Bytes in the zeros behind everything that was ever written: as after a torn write. */
function garbageBeyondEnd(disk: MemoryDisk, random: Prng): DamageOutcome {
  const { data } = pathsIn(disk);
  const path = disk.paths.filter((name) => name.startsWith(`${data}/`)).at(-1);
  if (path === undefined) return null;
  const content = disk.contentOf(path);
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  // The last entry may end with zeros of its own.
  const from = Math.max(end, endOfEntries(content));
  if (from + SECTOR_SIZE_BYTES > content.length) return null;
  const at = from + random.below(content.length - SECTOR_SIZE_BYTES - from + 1);
  disk.rot(
    path,
    at,
    Uint8Array.from({ length: 64 }, () => random.nextU32()),
  );
  return 'mustStart';
}
