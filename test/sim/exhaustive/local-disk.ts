/**
 * The disk of one node in the search: what is durable, and the writes on their way. A crash keeps
 * any prefix of the queue, cut inside a write between its parts: vote memory, then the cut or the
 * snapshot, then entries one by one.
 */
import { assert } from '../../../src/base/assert.ts';
import { LogIndex } from '../../../src/base/units.ts';
import type { CoreStart } from '../../../src/raft/core-types.ts';
import type { HardState, PersistEffect } from '../../../src/raft/effects.ts';
import type { EntryDesc, SnapshotDesc } from '../../../src/raft/entry.ts';
import type { LoggedMembership } from '../../../src/raft/membership.ts';

/** Never changed in place: a restart may share it. */
export interface DiskImage {
  readonly hardState: HardState;
  readonly base: SnapshotDesc;
  readonly entries: readonly EntryDesc[];
  readonly memberships: readonly LoggedMembership[];
}

type Part = (image: DiskImage) => DiskImage;

export class LocalDisk {
  #image: DiskImage;
  #queue: PersistEffect[] = [];

  constructor(image: DiskImage) {
    this.#image = image;
  }

  get image(): DiskImage {
    return this.#image;
  }

  get queue(): readonly PersistEffect[] {
    return this.#queue;
  }

  get lastIndex(): number {
    return this.#image.base.last.index + this.#image.entries.length;
  }

  submit(persist: PersistEffect): void {
    this.#queue.push(persist);
  }

  completeOldest(): PersistEffect {
    const oldest = this.#queue.shift();
    assert(oldest !== undefined, 'a write that completes was queued');
    for (const part of partsOf(oldest)) this.#image = part(this.#image);
    return oldest;
  }

  /** In how many places a crash can cut the queue, besides before its first part. */
  partCount(): number {
    return this.#queue.reduce((count, persist) => count + partsOf(persist).length, 0);
  }

  /** What a restart finds after a crash that let so many parts reach the disk. */
  imageAfterCrash(keptParts: number): DiskImage {
    const parts = this.#queue.flatMap(partsOf).slice(0, keptParts);
    return parts.reduce((image, part) => part(image), this.#image);
  }

  /** A durable snapshot covers everything up to its end. */
  compact(snapshot: SnapshotDesc): void {
    const { entries, memberships } = this.#image;
    assert(snapshot.last.index <= this.lastIndex, 'what is compacted is durable', () => snapshot);
    this.#image = {
      ...this.#image,
      base: snapshot,
      entries: entries.filter(({ index }) => index > snapshot.last.index),
      memberships: memberships.filter(({ index }) => index > snapshot.last.index),
    };
  }
}

/** Only what a restart remembers for sure: commit and applied begin at the snapshot. */
export function startOf(image: DiskImage): CoreStart {
  return {
    ...image,
    commitIndex: image.base.last.index,
    appliedIndex: image.base.last.index,
    hasTornTail: false,
  };
}

function partsOf(persist: PersistEffect): Part[] {
  const { hardState, snapshot, truncateFrom, entries, memberships } = persist;
  const parts: Part[] = [];
  if (hardState !== null) parts.push((image) => ({ ...image, hardState }));
  if (snapshot !== null) {
    parts.push((image) => ({ ...image, base: snapshot, entries: [], memberships: [] }));
  } else if (truncateFrom !== null) {
    parts.push((image) => ({
      ...image,
      entries: image.entries.filter(({ index }) => index < truncateFrom),
      memberships: image.memberships.filter(({ index }) => index < truncateFrom),
    }));
  }
  for (const entry of entries) {
    const brought = memberships.filter(({ index }) => index === entry.index);
    parts.push((image) => appended(image, entry, brought));
  }
  return parts;
}

function appended(
  image: DiskImage,
  entry: EntryDesc,
  brought: readonly LoggedMembership[],
): DiskImage {
  const next = LogIndex(image.base.last.index + image.entries.length + 1);
  assert(entry.index === next, 'the durable log has no holes', () => ({ entry, next }));
  return {
    ...image,
    entries: [...image.entries, entry],
    memberships: [...image.memberships, ...brought],
  };
}
