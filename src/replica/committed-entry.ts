/** An entry of the log as derived state takes it. */
import { advance } from '../base/units.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import type { StoredEntry } from '../store/commit-log.ts';
import type { CommittedEntry } from '../store/derived/derived-state.ts';

export function committedEntryOf({ desc, bytes }: StoredEntry): CommittedEntry {
  return {
    index: desc.index,
    term: desc.term,
    type: desc.type,
    payloadOffset: advance(desc.physicalOffset, ENTRY_HEADER_SIZE_BYTES),
    payload: bytes.subarray(
      ENTRY_HEADER_SIZE_BYTES,
      ENTRY_HEADER_SIZE_BYTES + desc.payloadSizeBytes,
    ),
  };
}
