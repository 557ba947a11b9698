/** A node in memory that gives a backup of a small log. */
import { concatBytes } from '../../base/bytes.ts';
import { advance, LogIndex } from '../../base/units.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { type BackupNode, BackupNodeFailure } from '../../protocol/backup.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { CommittedEntry } from '../derived/derived-state.ts';
import { SNAPSHOT_CHUNK_SIZE_BYTES } from '../derived/limits.ts';
import { MemoryKvStore } from '../derived/memory-kv-store.ts';
import { openDerivedState } from '../derived/open-derived-state.ts';
import { bytesOf } from '../derived/test-rows.ts';
import type { EntryChain } from '../log-fixture.ts';
import { RECOVERED_GROUP, RECOVERED_IDENTITY } from '../recover/recovery-fixture.ts';
import { readSnapshotInfo } from '../snapshots/snapshot-info.ts';

export interface MemoryBackupNode extends BackupNode {
  close(): void;
  /** Answers nothing any more. */
  isGone: boolean;
}

/** @param chain from entry 1 on, of the group of the recovery fixture */
export async function aBackupNode(chain: EntryChain, name = 'n1'): Promise<MemoryBackupNode> {
  const chunks = await snapshotOf(chain.entries);
  const disk = new MemoryDisk();
  for (const [number, chunk] of chunks.entries()) {
    await disk.writeAt('/snap', number * SNAPSHOT_CHUNK_SIZE_BYTES, chunk);
  }
  const snapshot = await readSnapshotInfo(disk, '/snap');
  const { clusterId, groupId, segmentSizeBytes } = RECOVERED_IDENTITY;
  const committedIndex = chain.lastIndex;
  const answer = (): void => {
    if (node.isGone) throw new BackupNodeFailure('lost', 'nobody is there');
  };
  const node: MemoryBackupNode = {
    name,
    isGone: false,
    mark: async () => {
      answer();
      return { clusterId, groupId, nodeId: name, committedIndex };
    },
    begin: async () => {
      answer();
      const base = { desc: null, headerCrc: 0 };
      const foundation = { index: LogIndex(0), membership: RECOVERED_GROUP };
      const names = { clusterId, groupId, nodeId: name, segmentSizeBytes, version: 'test' };
      return { ...names, base, snapshot, committedIndex, foundation };
    },
    snapshotChunks: async function* ({ number }) {
      answer();
      yield* chunks.slice(number);
    },
    entries: async function* ({ firstIndex, lastIndex }) {
      answer();
      yield concatBytes(chain.entries.slice(firstIndex - 1, lastIndex).map(({ bytes }) => bytes));
    },
    close: () => {},
  };
  return node;
}

async function snapshotOf(entries: readonly StoredEntry[]): Promise<readonly Uint8Array[]> {
  const state = await openDerivedState({
    kv: new MemoryKvStore(),
    durableIndexMax: LogIndex(0),
    onEvent: () => {},
  });
  for (const entry of entries) state.apply(committed(entry));
  const chunks = await bytesOf(await state.takeSnapshot());
  await state.close();
  return chunks;
}

function committed({ desc, bytes }: StoredEntry): CommittedEntry {
  const { index, term, type, physicalOffset, payloadSizeBytes } = desc;
  const payload = bytes.subarray(
    ENTRY_HEADER_SIZE_BYTES,
    ENTRY_HEADER_SIZE_BYTES + payloadSizeBytes,
  );
  return {
    index,
    term,
    type,
    payload,
    payloadOffset: advance(physicalOffset, ENTRY_HEADER_SIZE_BYTES),
  };
}
