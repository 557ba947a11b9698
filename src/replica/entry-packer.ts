/** Makes one payload of the proposals of a batch, at the place the core has given it. */
import { assert } from '../base/assert.ts';
import { viewOf, writeU64 } from '../base/bytes.ts';
import { advance, type PhysicalOffset } from '../base/units.ts';
import { PHYSICAL_OFFSET_AT } from '../protocol/message-record.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import type { Batch } from './proposals.ts';

/**
 * The records of all proposals, each message record with its physical offset. The proposals' own
 * bytes stay as they are, so a batch may be packed again elsewhere.
 *
 * @param entryOffset where the header of the entry will start
 */
export function packPayload(batch: Batch, entryOffset: PhysicalOffset): Uint8Array {
  const payload = new Uint8Array(batch.payloadSizeBytes);
  const view = viewOf(payload);
  const payloadOffset = advance(entryOffset, ENTRY_HEADER_SIZE_BYTES);
  let at = 0;
  for (const { proposal } of batch.proposals) {
    payload.set(proposal.records, at);
    for (const recordAt of proposal.messageRecordAt) {
      const place = at + recordAt;
      writeU64(view, place + PHYSICAL_OFFSET_AT, payloadOffset + place);
    }
    at += proposal.records.length;
  }
  assert(at === payload.length, 'the payload is filled');
  return payload;
}
