/** For tests and benchmarks: builds committed entries as a leader would, queue offsets included. */
import { concatBytes } from '../../base/bytes.ts';
import { advance, LogIndex, PhysicalOffset, QueueOffset, Term } from '../../base/units.ts';
import { type Command, encodeCommandRecord } from '../../protocol/command-record.ts';
import { encodeMessageRecord, patchPhysicalOffset } from '../../protocol/message-record.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryType,
  entrySizeBytes,
  SEGMENT_HEADER_SIZE_BYTES,
} from '../../raft/entry.ts';
import type { CommittedEntry } from './derived-state.ts';

export interface TestMessage {
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly messageId: string;
  readonly tag?: string;
  readonly keys?: string;
  readonly storeTimestampMs?: number;
  readonly body?: Uint8Array;
}

export function messageRecord(message: TestMessage): Uint8Array {
  const properties = new Map([['UNIQ_KEY', message.messageId]]);
  if (message.tag !== undefined) properties.set('TAGS', message.tag);
  if (message.keys !== undefined) properties.set('KEYS', message.keys);
  return encodeMessageRecord({
    topic: message.topic,
    queueId: message.queueId,
    queueOffset: QueueOffset(message.queueOffset),
    physicalOffset: PhysicalOffset(0),
    flag: 0,
    sysFlag: 0,
    bornTimestampMs: 1,
    bornHost: '10.0.0.1:1234',
    storeTimestampMs: message.storeTimestampMs ?? 1_000,
    storeHost: '10.0.0.2:10911',
    reconsumeTimes: 0,
    body: message.body ?? Uint8Array.of(1, 2, 3),
    properties,
  });
}

export function recordBytes(record: Command | TestMessage): Uint8Array {
  return 'kind' in record ? encodeCommandRecord(record) : messageRecord(record);
}

/** Places entries one after the other, without segments. */
export class TestLog {
  readonly entries: CommittedEntry[] = [];
  #end = PhysicalOffset(SEGMENT_HEADER_SIZE_BYTES);

  get lastIndex(): LogIndex {
    return LogIndex(this.entries.length);
  }

  /** Where the first record of the next entry will lie. */
  get nextPayloadOffset(): PhysicalOffset {
    return advance(this.#end, ENTRY_HEADER_SIZE_BYTES);
  }

  append(...records: readonly (Command | TestMessage)[]): CommittedEntry {
    const parts: Uint8Array[] = [];
    let at = 0;
    for (const record of records) {
      const bytes = recordBytes(record);
      if (!('kind' in record)) patchPhysicalOffset(bytes, 0, advance(this.nextPayloadOffset, at));
      parts.push(bytes);
      at += bytes.length;
    }
    return this.appendPayload('data', concatBytes(parts));
  }

  appendPayload(type: EntryType, payload: Uint8Array): CommittedEntry {
    const entry: CommittedEntry = {
      index: advance(this.lastIndex, 1),
      term: Term(1),
      type,
      payloadOffset: this.nextPayloadOffset,
      payload,
    };
    this.#end = advance(this.#end, entrySizeBytes(payload.length));
    this.entries.push(entry);
    return entry;
  }
}
