/**
 * What a replica has on disk, and the persists on their way there. Persists complete in order; a
 * crash keeps any prefix of the queue, and of the first unfinished persist any prefix of its parts:
 * vote memory first, then the cut, then entries one by one. The parts of an install are the staged
 * files, the switch of the manifest (one atomic step) and the removal of the old segments (H8, H18).
 */
import { assert } from '../../src/base/assert.ts';
import { LogIndex, type NodeId, Term } from '../../src/base/units.ts';
import type { CoreStart } from '../../src/raft/core-types.ts';
import type { HardState, PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc, SnapshotDesc } from '../../src/raft/entry.ts';
import type { LoggedMembership } from '../../src/raft/membership.ts';
import type { CrashMemory } from './fault-script.ts';
import type { DiskBug } from './planted-bugs.ts';
import { emptyContent, type SnapshotContent } from './state-machine.ts';

/** What a node remembers of a peer, for ever (hazards H21 to H23). */
export interface PeerPin {
  readonly storeUuid: string;
  /** The start of that store that was met last, and its number. */
  readonly bootId: string;
  readonly bootCount: number;
}

export interface DurableImage {
  hardState: HardState;
  /** What the log stands on, and the state of the state machine there. */
  snapshot: SnapshotContent;
  /** `snapshot.desc`. */
  base: SnapshotDesc;
  /** After the base. */
  entries: EntryDesc[];
  /** Of the config entries among `entries`. */
  memberships: LoggedMembership[];
  /** Segments that the manifest names no more and that nobody has removed yet. */
  leftover: EntryDesc[];
  /** A commit index that was true when some persist ran: what entry headers remember. */
  notedCommitIndex: LogIndex;
  /** What the derived state has flushed. */
  appliedIndex: LogIndex;
  bootCount: number;
  /** What each start of this directory was called, the last one first; the oldest are forgotten. */
  bootIds: readonly string[];
  readonly peers: Map<NodeId, PeerPin>;
}

export interface CrashKeep {
  readonly keepPersists: number;
  readonly keepParts: number;
}

export interface QueuedPersist {
  readonly persist: PersistEffect;
  readonly commitIndex: LogIndex;
  /** What an install brings, null for every other persist. */
  readonly content: SnapshotContent | null;
  readonly atMs: number;
}

/** How far an install had come when the node crashed. */
export type InstallRemains = 'staged' | 'switched';

const INSTALL_PARTS = { hardState: 1, staged: 2, switched: 3, removed: 4 } as const;
const WRITE_PARTS = { hardState: 1, cut: 2 } as const;

export class SimDisk {
  image: DurableImage;
  readonly #bug: DiskBug | null;
  #queue: QueuedPersist[] = [];
  /** Entries that the last change of the image removed, except those that a snapshot sums up. */
  #removed: readonly EntryDesc[] = [];
  #hasTornTail = false;
  #installRemains: InstallRemains | null = null;
  #hasLostInstall = false;

  constructor(origin: SnapshotDesc, bug: DiskBug | null = null) {
    this.image = emptyImage(origin);
    this.#bug = bug;
  }

  get queue(): readonly QueuedPersist[] {
    return this.#queue;
  }

  get baseIndex(): LogIndex {
    return this.image.base.last.index;
  }

  get durableIndex(): number {
    return this.baseIndex + this.image.entries.length;
  }

  get removed(): readonly EntryDesc[] {
    return this.#removed;
  }

  /** Of the last crash. */
  get installRemains(): InstallRemains | null {
    return this.#installRemains;
  }

  /** The last crash threw away an install that had not begun. */
  get hasLostInstall(): boolean {
    return this.#hasLostInstall;
  }

  get isInstalling(): boolean {
    return this.#queue.some(({ content }) => content !== null);
  }

  entryAt(index: number): EntryDesc | undefined {
    return this.image.entries[index - this.baseIndex - 1];
  }

  /** In force on disk. */
  get membership(): LoggedMembership {
    return this.image.memberships.at(-1) ?? this.image.base.membership;
  }

  /**
   * @param queued `commitIndex` as it was when the persist was emitted. A later one would not do: it
   * is true of the log in memory, and the disk may still hold entries that a queued cut will replace.
   */
  submit(queued: QueuedPersist): void {
    this.#queue.push(queued);
  }

  /** Makes the oldest persist durable. */
  complete(): QueuedPersist {
    const oldest = this.#queue.shift();
    assert(oldest !== undefined, 'a persist that completes was queued');
    this.#removed = this.#write(oldest, partCountOf(oldest));
    this.#noteCommit(oldest);
    return oldest;
  }

  /** A snapshot of what is applied is durable: the entries it covers may go. */
  compact(content: SnapshotContent): void {
    const { index } = content.desc.last;
    const { image } = this;
    assert(index > this.baseIndex && index <= this.durableIndex, 'a snapshot covers the log');
    image.entries.splice(0, index - this.baseIndex);
    image.memberships = image.memberships.filter((logged) => logged.index > index);
    image.snapshot = content;
    image.base = content.desc;
    image.appliedIndex = LogIndex(Math.max(image.appliedIndex, index));
  }

  /** Loses the queue, but for the prefix that had reached the disk. */
  crash(keep: CrashKeep): void {
    const keptCount = keep.keepPersists % (this.#queue.length + 1);
    const removed: EntryDesc[] = [];
    this.#hasTornTail = false;
    this.#installRemains = null;
    for (const kept of this.#queue.slice(0, keptCount)) {
      removed.push(...this.#write(kept, partCountOf(kept)));
      this.#noteCommit(kept);
    }
    const torn = this.#queue[keptCount];
    if (torn !== undefined) {
      const partCount = keep.keepParts % partCountOf(torn);
      removed.push(...this.#write(torn, partCount));
      if (this.#bug === 'cutsFrontToBack' && partCount < WRITE_PARTS.cut) this.#tearHole(torn);
      this.#hasTornTail = torn.persist.entries.length > 0;
      if (torn.content !== null && partCount >= INSTALL_PARTS.staged) {
        this.#installRemains = partCount >= INSTALL_PARTS.switched ? 'switched' : 'staged';
      }
    }
    const lost = this.#queue.slice(keptCount);
    this.#hasLostInstall =
      this.#installRemains === null && lost.some(({ content }) => content !== null);
    this.#removed = removed;
    this.#queue = [];
  }

  /** Another directory takes the place of this one: an empty one, or an older copy. */
  replace(image: DurableImage): void {
    assert(this.#queue.length === 0, 'a disk is replaced while its node is down');
    this.image = image;
    this.#hasTornTail = false;
    this.#hasLostInstall = false;
    this.#installRemains = null;
    this.#removed = [];
  }

  #noteCommit({ commitIndex }: QueuedPersist): void {
    if (commitIndex > this.image.notedCommitIndex) this.image.notedCommitIndex = commitIndex;
  }

  /** Writes the first `partCount` parts. Returns what was cut. */
  #write(queued: QueuedPersist, partCount: number): readonly EntryDesc[] {
    const { persist, content } = queued;
    const { image } = this;
    if (partCount >= WRITE_PARTS.hardState && persist.hardState !== null) {
      image.hardState = persist.hardState;
    }
    if (content !== null) return this.#install(content, persist, partCount);
    let cut: EntryDesc[] = [];
    if (partCount >= WRITE_PARTS.cut && persist.truncateFrom !== null) {
      const { truncateFrom } = persist;
      cut = image.entries.splice(truncateFrom - this.baseIndex - 1);
      image.memberships = image.memberships.filter(({ index }) => index < truncateFrom);
    }
    this.#append(persist, partCount - WRITE_PARTS.cut);
    return cut;
  }

  #install(
    content: SnapshotContent,
    persist: PersistEffect,
    partCount: number,
  ): readonly EntryDesc[] {
    if (partCount < INSTALL_PARTS.switched) return [];
    const { image } = this;
    const { index } = content.desc.last;
    const removed = image.entries.filter((entry) => entry.index > index);
    image.leftover = image.entries;
    image.snapshot = content;
    image.base = content.desc;
    image.entries = [];
    image.memberships = [];
    image.appliedIndex = index;
    if (partCount >= INSTALL_PARTS.removed) image.leftover = [];
    this.#append(persist, partCount - INSTALL_PARTS.removed);
    return removed;
  }

  #append(persist: PersistEffect, count: number): void {
    const { entries, memberships } = this.image;
    for (let at = 0; at < count && at < persist.entries.length; at++) {
      const entry = persist.entries[at]!; // at < length
      assert(entry.index === this.durableIndex + 1, 'the durable log has no holes', () => ({
        index: entry.index,
        durable: this.durableIndex,
      }));
      entries.push(entry);
      if (entry.type !== 'config') continue;
      const logged = persist.memberships.find(({ index }) => index === entry.index);
      assert(logged !== undefined, 'a config entry comes with its content', () => entry);
      memberships.push(logged);
    }
  }

  /** What a restart finds. */
  recover(memory: CrashMemory): CoreStart {
    const { image } = this;
    const baseIndex = this.baseIndex;
    if (this.#bug === 'keepsLogOverSnapshot') this.#readLeftover();
    image.leftover = [];
    const appliedIndex = LogIndex(Math.max(image.appliedIndex, baseIndex));
    const commitIndex = LogIndex(Math.max(image.notedCommitIndex, appliedIndex));
    switch (memory) {
      case 'nothing':
        return this.#start(baseIndex, baseIndex);
      case 'applied':
        return this.#start(appliedIndex, appliedIndex);
      case 'commit':
        return this.#start(commitIndex, appliedIndex);
    }
  }

  #start(commitIndex: LogIndex, appliedIndex: LogIndex): CoreStart {
    const { hardState, entries, memberships, base } = this.image;
    const start: CoreStart = {
      hardState,
      base,
      entries: [...entries],
      memberships: [...memberships],
      commitIndex,
      appliedIndex,
      hasTornTail: this.#hasTornTail,
    };
    switch (this.#bug) {
      case 'votesForgotten':
        return { ...start, hardState: { term: hardState.term, votedFor: null } };
      case 'termsForgotten': {
        const term = entries.at(-1)?.term ?? base.last.term;
        return { ...start, hardState: { term: Term(term), votedFor: null } };
      }
      default:
        return start;
    }
  }

  /** The planted bug: a cut in progress has removed its first entry and not the later ones. */
  #tearHole({ persist }: QueuedPersist): void {
    if (persist.truncateFrom === null) return;
    this.image.entries.splice(persist.truncateFrom - this.baseIndex - 1, 1);
  }

  /** The planted bug: old segments are read as if the manifest still named them. */
  #readLeftover(): void {
    const { image } = this;
    for (const entry of image.leftover) {
      if (entry.index !== this.durableIndex + 1 || entry.type === 'config') continue;
      image.entries.push(entry);
    }
  }
}

export function emptyImage(origin: SnapshotDesc): DurableImage {
  return {
    hardState: { term: Term(0), votedFor: null },
    snapshot: emptyContent(origin),
    base: origin,
    entries: [],
    memberships: [],
    leftover: [],
    notedCommitIndex: LogIndex(0),
    appliedIndex: LogIndex(0),
    bootCount: 0,
    bootIds: [],
    peers: new Map(),
  };
}

/** A copy of the directory: entries are values, the lists around them are not shared. */
export function copyImage(image: DurableImage): DurableImage {
  return {
    ...image,
    entries: [...image.entries],
    memberships: [...image.memberships],
    leftover: [...image.leftover],
    peers: new Map(image.peers),
  };
}

function partCountOf({ persist, content }: QueuedPersist): number {
  const fixed = content === null ? WRITE_PARTS.cut : INSTALL_PARTS.removed;
  return fixed + persist.entries.length;
}
