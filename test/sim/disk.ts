/**
 * What a replica has on disk, and the persists on their way there. Persists complete in order; a
 * crash keeps any prefix of the queue, and of the first unfinished persist any prefix of its parts:
 * vote memory first, then the cut, then entries one by one.
 */
import { assert } from '../../src/base/assert.ts';
import { LogIndex, Term } from '../../src/base/units.ts';
import type { CoreStart } from '../../src/raft/core-types.ts';
import type { HardState, PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import type { CrashMemory } from './fault-script.ts';
import type { DiskBug } from './planted-bugs.ts';

export interface DurableImage {
  hardState: HardState;
  entries: EntryDesc[];
  /** A commit index that was true when some persist ran: what entry headers remember. */
  notedCommitIndex: LogIndex;
  /** What the derived state has flushed. */
  appliedIndex: LogIndex;
}

export interface CrashKeep {
  readonly keepPersists: number;
  readonly keepParts: number;
}

export interface QueuedPersist {
  readonly persist: PersistEffect;
  readonly commitIndex: LogIndex;
}

export class SimDisk {
  readonly image: DurableImage = {
    hardState: { term: Term(0), votedFor: null },
    entries: [],
    notedCommitIndex: LogIndex(0),
    appliedIndex: LogIndex(0),
  };
  readonly #bug: DiskBug | null;
  #queue: QueuedPersist[] = [];
  /** Entries that the last change of the image removed. */
  #removed: readonly EntryDesc[] = [];

  constructor(bug: DiskBug | null = null) {
    this.#bug = bug;
  }

  get queue(): readonly QueuedPersist[] {
    return this.#queue;
  }

  get durableIndex(): number {
    return this.image.entries.length;
  }

  get removed(): readonly EntryDesc[] {
    return this.#removed;
  }

  /**
   * @param commitIndex as it was when the persist was emitted. A later one would not do: it is true
   * of the log in memory, and the disk may still hold entries that a queued cut will replace.
   */
  submit(persist: PersistEffect, commitIndex: LogIndex): void {
    this.#queue.push({ persist, commitIndex });
  }

  /** Makes the oldest persist durable. */
  complete(): PersistEffect {
    const oldest = this.#queue.shift();
    assert(oldest !== undefined, 'a persist that completes was queued');
    const { persist } = oldest;
    this.#removed = this.#write(persist, partCountOf(persist));
    this.#noteCommit(oldest);
    return persist;
  }

  /** Loses the queue, but for the prefix that had reached the disk. */
  crash(keep: CrashKeep): void {
    const keptCount = keep.keepPersists % (this.#queue.length + 1);
    const removed: EntryDesc[] = [];
    for (const kept of this.#queue.slice(0, keptCount)) {
      removed.push(...this.#write(kept.persist, partCountOf(kept.persist)));
      this.#noteCommit(kept);
    }
    const torn = this.#queue[keptCount]?.persist;
    if (torn !== undefined) {
      removed.push(...this.#write(torn, keep.keepParts % partCountOf(torn)));
    }
    this.#removed = removed;
    this.#queue = [];
  }

  #noteCommit({ commitIndex }: QueuedPersist): void {
    if (commitIndex > this.image.notedCommitIndex) this.image.notedCommitIndex = commitIndex;
  }

  /** Writes the first `partCount` parts: vote memory, cut, entries. Returns what was cut. */
  #write(persist: PersistEffect, partCount: number): readonly EntryDesc[] {
    const { entries } = this.image;
    if (partCount >= 1 && persist.hardState !== null) this.image.hardState = persist.hardState;
    let cut: EntryDesc[] = [];
    if (partCount >= 2 && persist.truncateFrom !== null) {
      cut = entries.splice(persist.truncateFrom - 1);
    }
    for (const entry of persist.entries.slice(0, Math.max(0, partCount - 2))) {
      assert(entry.index === entries.length + 1, 'the durable log has no holes', () => ({
        index: entry.index,
        durable: entries.length,
      }));
      entries.push(entry);
    }
    return cut;
  }

  /** What a restart finds. */
  recover(memory: CrashMemory): CoreStart {
    const { hardState, entries, notedCommitIndex, appliedIndex } = this.image;
    const log = [...entries];
    switch (memory) {
      case 'nothing':
        return this.#start(hardState, log, LogIndex(0), LogIndex(0));
      case 'applied':
        return this.#start(hardState, log, appliedIndex, appliedIndex);
      case 'commit': {
        const commitIndex = LogIndex(Math.max(notedCommitIndex, appliedIndex));
        return this.#start(hardState, log, commitIndex, appliedIndex);
      }
    }
  }

  #start(
    hardState: HardState,
    entries: readonly EntryDesc[],
    commitIndex: LogIndex,
    appliedIndex: LogIndex,
  ): CoreStart {
    const start = { entries, commitIndex, appliedIndex };
    switch (this.#bug) {
      case null:
        return { ...start, hardState };
      case 'votesForgotten':
        return { ...start, hardState: { term: hardState.term, votedFor: null } };
      case 'termsForgotten':
        return { ...start, hardState: { term: entries.at(-1)?.term ?? Term(0), votedFor: null } };
    }
  }
}

function partCountOf(persist: PersistEffect): number {
  return 2 + persist.entries.length;
}
