/** Reads the message that an entry of a consume queue points to. */
import { assert } from '../../base/assert.ts';
import { decodeMessageRecord, type StoredMessage } from '../../protocol/message-record.ts';
import type { CommitLog } from '../../store/commit-log.ts';
import type { QueueUnit } from '../../store/derived/derived-state.ts';

export async function readMessage(log: CommitLog, unit: QueueUnit): Promise<StoredMessage> {
  const bytes = await log.readRecord(unit.physicalOffset, unit.sizeBytes);
  const message = decodeMessageRecord(bytes);
  assert(message.physicalOffset === unit.physicalOffset, 'the record knows its place', () => ({
    unit,
    found: message.physicalOffset,
  }));
  return message;
}
