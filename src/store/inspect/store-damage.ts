/** What is wrong with a store apart from the bytes inside its segments. */
import { PhysicalOffset } from '../../base/units.ts';
import {
  DURABLE_NOTE_COUNT,
  DURABLE_NOTE_SIZE_BYTES,
  DURABLE_RING_SIZE_BYTES,
} from '../durable-ring.ts';
import { SLOT_SIZE_BYTES, SUPERBLOCK_SIZE_BYTES, type Superblock } from '../superblock.ts';
import type { Damage, DamageKind } from './damage.ts';
import type { RingSlot, StoreView } from './store-view.ts';

export function damageBesideLog(view: StoreView): readonly Damage[] {
  const beside = [...superblockDamage(view), ...baseDamage(view), ...ringDamage(view)];
  return [...beside, ...segmentFileDamage(view)];
}

function superblockDamage({ paths, superblock }: StoreView): readonly Damage[] {
  const path = paths.superblock;
  const { sizeBytes, slots } = superblock;
  const wholeFile = fileProblem('superblock', path, sizeBytes, SUPERBLOCK_SIZE_BYTES);
  if (sizeBytes === null) return wholeFile;
  const damaged = slots.flatMap((slot, i) =>
    slot === null ? [slotDamage(path, i, 'a slot with a good checksum', 'a damaged slot')] : [],
  );
  return [...wholeFile, ...damaged, ...slotsApart(path, slots)];
}

/** An update writes slot 0, then slot 1, and nothing depends on it before both are durable. */
function slotsApart(path: string, slots: readonly (Superblock | null)[]): readonly Damage[] {
  const [first, second] = slots;
  if (!first || !second) return [];
  const ahead = first.sequence - second.sequence;
  if (ahead === 0 || ahead === 1) return [];
  const stale = ahead < 0 ? 0 : 1;
  const [old, current] = ahead < 0 ? [first, second] : [second, first];
  const expected = `what slot ${1 - stale} has, sequence ${current.sequence}`;
  return [slotDamage(path, stale, expected, `an old slot, sequence ${old.sequence}`)];
}

function slotDamage(path: string, slot: number, expected: string, found: string): Damage {
  const position = slot * SLOT_SIZE_BYTES;
  return beside('superblock', path, { position, sizeBytes: SLOT_SIZE_BYTES, expected, found });
}

function baseDamage({ paths, base: { sizeBytes, copies, found } }: StoreView): readonly Damage[] {
  const path = paths.base;
  const whole = (expected: string, was: string): Damage => {
    return beside('base', path, { position: null, sizeBytes: null, expected, found: was });
  };
  if (sizeBytes === null) return [whole('a file', 'no such file')];
  const copySizeBytes = Math.floor(sizeBytes / copies.length);
  const damaged = copies.flatMap((copy, i) => {
    if (copy !== null) return [];
    const place = { position: i * copySizeBytes, sizeBytes: copySizeBytes };
    const words = { expected: 'a copy with a good checksum', found: 'a damaged copy' };
    return [beside('base', path, { ...place, ...words })];
  });
  const isOther = found.kind === 'refuse' && damaged.length < copies.length;
  return isOther ? [...damaged, whole('the base of this store', found.problem)] : damaged;
}

function ringDamage({ paths, ring }: StoreView): readonly Damage[] {
  const path = paths.durableRing;
  const wholeFile = fileProblem('durableRing', path, ring.sizeBytes, DURABLE_RING_SIZE_BYTES);
  if (ring.sizeBytes === null) return wholeFile;
  const bad = ring.slots.flatMap((slot, i) => {
    const found = problemOfRingSlot(slot);
    if (found === null) return [];
    const position = i * DURABLE_NOTE_SIZE_BYTES;
    const expected = `a good note or zeros in slot ${i} of ${DURABLE_NOTE_COUNT}`;
    const sizeBytes = DURABLE_NOTE_SIZE_BYTES;
    return [beside('durableRing', path, { position, sizeBytes, expected, found })];
  });
  const isEmpty = ring.slots.every(({ kind }) => kind === 'unused');
  if (!isEmpty) return [...wholeFile, ...bad];
  const expected = 'at least the note that the directory was made with';
  const nothing = { position: null, sizeBytes: null, expected, found: 'only zeros' };
  return [...wholeFile, beside('durableRing', path, nothing)];
}

function problemOfRingSlot(slot: RingSlot): string | null {
  if (slot.kind === 'damaged') return 'a damaged note';
  if (slot.kind === 'note' && !slot.restIsZero) return 'bytes that are not zero behind the note';
  return null;
}

function segmentFileDamage(view: StoreView): readonly Damage[] {
  const { paths, segments, names, begin, base } = view;
  if (names === null) return [];
  const { segmentSizeBytes } = names;
  const damage: Damage[] = [];
  // Without a base the log may begin anywhere.
  const isKnown = base.found.kind === 'base';
  let expectedStart: number = isKnown ? begin.end : (segments[0]?.startOffset ?? 0);
  for (const { path, startOffset, sizeBytes } of segments) {
    if (startOffset !== expectedStart) {
      const start = PhysicalOffset(expectedStart);
      damage.push(missingBefore({ path: paths.segment(start), start }, startOffset));
    }
    expectedStart = startOffset + segmentSizeBytes;
    if (sizeBytes === segmentSizeBytes) continue;
    damage.push({
      ...beside('segmentSize', path, {
        position: Math.min(sizeBytes, segmentSizeBytes),
        sizeBytes: Math.abs(segmentSizeBytes - sizeBytes),
        expected: `${segmentSizeBytes} bytes`,
        found: `${sizeBytes} bytes`,
      }),
      physicalOffset: startOffset,
    });
  }
  return damage;
}

/** A file under a name that is no multiple of the segment size also shows as a gap. */
function missingBefore(
  { path, start }: { readonly path: string; readonly start: PhysicalOffset },
  next: PhysicalOffset,
): Damage {
  const found =
    next > start
      ? `no file, and the next segment starts at ${next}`
      : `a segment that starts at ${next}, inside the one before`;
  const expected = `a segment that starts at ${start}`;
  const file = { position: null, sizeBytes: null, expected, found };
  return { ...beside('segmentMissing', path, file), physicalOffset: start };
}

function fileProblem(
  kind: DamageKind,
  path: string,
  sizeBytes: number | null,
  expectedSizeBytes: number,
): readonly Damage[] {
  if (sizeBytes === expectedSizeBytes) return [];
  const found = sizeBytes === null ? 'no such file' : `${sizeBytes} bytes`;
  const expected = `a file of ${expectedSizeBytes} bytes`;
  return [beside(kind, path, { position: null, sizeBytes: null, expected, found })];
}

function beside(
  kind: DamageKind,
  path: string,
  what: Pick<Damage, 'position' | 'sizeBytes' | 'expected' | 'found'>,
): Damage {
  return { kind, path, physicalOffset: null, index: null, belowWatermark: null, ...what };
}
