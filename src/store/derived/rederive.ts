/**
 * Derives the state again from the log, into a database beside, and compares the two row by row: rot in the
 * database, a write of LMDB that was lost, a bug that depends on when a replica commits. Writing goes on
 * meanwhile: the second derivation follows until both are at one index, and then a view of that moment is
 * compared.
 */
import { assert } from '../../base/assert.ts';
import { advance, LogIndex } from '../../base/units.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { CommitLog, StoredEntry } from '../commit-log.ts';
import { compareRows, type RowComparison } from './compare-rows.ts';
import type { CommittedEntry, DerivedState } from './derived-state.ts';
import { type InstallSource, installSnapshot } from './install-snapshot.ts';
import type { KvStore } from './kv-store.ts';
import { REDERIVE_READ_SIZE_BYTES } from './limits.ts';
import { liveFilterOf } from './live-filter.ts';
import { appliedIndexOf } from './meta-row.ts';
import { openDerivedState } from './open-derived-state.ts';

/** A log that does not begin at its first entry is derived from such a snapshot on. */
export interface RederiveFrom {
  readonly appliedIndex: LogIndex;
  readonly chunks: () => AsyncIterable<Uint8Array>;
}

export interface RederiveOptions {
  readonly log: Pick<CommitLog, 'readEntries'>;
  /** null: from the first entry. */
  readonly from: RederiveFrom | null;
  readonly live: Pick<DerivedState, 'appliedIndex' | 'takeView'>;
  /** Empty; the caller closes and removes it. */
  readonly scratch: KvStore;
  readonly onProgress: (progress: RederiveProgress) => void;
  /** Lets time pass after so much of the log, or of nothing. @throws when it is to end */
  readonly breathe: (sizeBytes: number) => Promise<void>;
}

export interface RederiveProgress {
  readonly phase: 'derived' | 'rows';
  /** Entries, or rows. */
  readonly done: number;
  readonly total: number | null;
}

export interface Rederived extends RowComparison {
  /** Both were compared after this entry. */
  readonly index: LogIndex;
}

export async function rederive(options: RederiveOptions): Promise<Rederived> {
  const { live, scratch, from, onProgress, breathe } = options;
  if (from !== null) {
    await installSnapshot(scratch, { chunks: from.chunks, entries: entriesIn(options) });
  }
  const state = await openDerivedState({
    kv: scratch,
    durableIndexMax: from?.appliedIndex ?? LogIndex(0),
    onEvent: () => assert(false, 'an empty database is usable'),
  });
  await follow(options, state, live.appliedIndex);
  const view = await live.takeView();
  try {
    const index = appliedIndexOf(view);
    await follow(options, state, index);
    state.flush();
    await state.flushed();
    const expected = scratch.view();
    try {
      const comparison = await compareRows({
        found: view,
        expected,
        isLive: liveFilterOf(expected),
        onProgress: (done) => onProgress({ phase: 'rows', done, total: null }),
        breathe: () => breathe(0),
      });
      return { index, ...comparison };
    } finally {
      expected.close();
    }
  } finally {
    view.close();
  }
}

/** For the installation of the snapshot. */
function entriesIn({ log, onProgress, breathe }: RederiveOptions): InstallSource['entries'] {
  return async function* (from, to) {
    for (let next = from; next <= to; ) {
      const entries = await log.readEntries(next, to, REDERIVE_READ_SIZE_BYTES);
      let sizeBytes = 0;
      for (const entry of entries) {
        yield committedEntryOf(entry);
        sizeBytes += entry.bytes.length;
        next = advance(entry.desc.index, 1);
      }
      onProgress({ phase: 'derived', done: next - 1, total: to });
      await breathe(sizeBytes);
    }
  };
}

async function follow(
  { log, onProgress, breathe }: RederiveOptions,
  state: DerivedState,
  target: LogIndex,
): Promise<void> {
  while (state.appliedIndex < target) {
    const from = advance(state.appliedIndex, 1);
    const entries = await log.readEntries(from, target, REDERIVE_READ_SIZE_BYTES);
    let sizeBytes = 0;
    for (const entry of entries) {
      state.apply(committedEntryOf(entry));
      sizeBytes += entry.bytes.length;
    }
    onProgress({ phase: 'derived', done: state.appliedIndex, total: target });
    // What is applied and not committed is in memory.
    await state.flushed();
    await breathe(sizeBytes);
  }
}

function committedEntryOf({ desc, bytes }: StoredEntry): CommittedEntry {
  const payloadEnd = ENTRY_HEADER_SIZE_BYTES + desc.payloadSizeBytes;
  return {
    index: desc.index,
    term: desc.term,
    type: desc.type,
    payloadOffset: advance(desc.physicalOffset, ENTRY_HEADER_SIZE_BYTES),
    payload: bytes.subarray(ENTRY_HEADER_SIZE_BYTES, payloadEnd),
  };
}
