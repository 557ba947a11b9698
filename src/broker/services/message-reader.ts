/** Reads the message that an entry of a consume queue points to. */
import { assert } from '../../base/assert.ts';
import { decodeMessageRecord, type StoredMessage } from '../../protocol/message-record.ts';
import { type CommitLog, EntriesGone } from '../../store/commit-log.ts';
import type { QueueUnit } from '../../store/derived/derived-state.ts';

/** null when retention has taken the message while it was looked for. */
export async function readMessage(
  log: Pick<CommitLog, 'readRecord'>,
  unit: QueueUnit,
): Promise<StoredMessage | null> {
  const bytes = await readRecordUnlessGone(log, unit);
  if (bytes === null) return null;
  const message = decodeMessageRecord(bytes);
  assert(message.physicalOffset === unit.physicalOffset, 'the record knows its place', () => ({
    unit,
    found: message.physicalOffset,
  }));
  return message;
}

async function readRecordUnlessGone(
  log: Pick<CommitLog, 'readRecord'>,
  { physicalOffset, sizeBytes }: QueueUnit,
): Promise<Uint8Array | null> {
  try {
    return await log.readRecord(physicalOffset, sizeBytes);
  } catch (error) {
    if (!(error instanceof EntriesGone)) throw error;
    return null;
  }
}
