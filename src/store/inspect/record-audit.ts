/**
 * The records of the log as a replica would apply them: they fill their payload, messages say where they
 * lie, queue offsets are dense, topics exist. What is wrong here has good checksums: it was written so.
 *
 * After a loss nothing is known of topics and queues; what comes next is believed, and checked from there.
 * Memory: one number for each queue that the log has written to.
 */
import { tryReadU64, viewOf } from '../../base/bytes.ts';
import { CorruptionError } from '../../base/errors.ts';
import { advance, type PhysicalOffset } from '../../base/units.ts';
import { type Command, decodeCommandRecord } from '../../protocol/command-record.ts';
import { parseProperties } from '../../protocol/message-properties.ts';
import {
  messageLayoutAt,
  PHYSICAL_OFFSET_AT,
  QUEUE_ID_AT,
  QUEUE_OFFSET_AT,
  verifyBody,
} from '../../protocol/message-record.ts';
import { type RecordPlace, recordPlaceAt } from '../../protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { DamageKind } from './damage.ts';
import type { WalkedEntry } from './walk-options.ts';

export interface RecordFinding {
  readonly kind: DamageKind & ('record' | 'queueOffset' | 'topic');
  /** In the payload. */
  readonly at: number;
  readonly sizeBytes: number;
  readonly expected: string;
  readonly found: string;
}

interface Topic {
  /** null: not known, since an entry was lost. */
  queueCount: number | null;
  readonly nextOffsets: Map<number, number>;
}

export class RecordAudit {
  messageCount = 0;
  commandCount = 0;
  readonly #topics = new Map<string, Topic>();
  /** Something before is not known. */
  #hasLoss = false;

  /** Entries before the next one are lost. */
  lose(): void {
    this.#hasLoss = true;
    this.#topics.clear();
  }

  check({ header, body }: WalkedEntry): readonly RecordFinding[] {
    if (header.desc.type !== 'data') return [];
    if (body.kind === 'bad') {
      this.lose();
      return [];
    }
    const { payload } = body;
    const view = viewOf(payload);
    const findings: RecordFinding[] = [];
    const payloadOffset = advance(header.desc.physicalOffset, ENTRY_HEADER_SIZE_BYTES);
    let at = 0;
    while (at < payload.length) {
      let sizeBytes = payload.length - at;
      try {
        const place = recordPlaceAt(view, at);
        sizeBytes = place.sizeBytes;
        findings.push(...this.#checkRecord(payload, view, place, advance(payloadOffset, at)));
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        findings.push({
          kind: 'record',
          at,
          sizeBytes,
          expected: 'a record',
          found: error.message,
        });
        this.lose();
      }
      at += sizeBytes;
    }
    return findings;
  }

  #checkRecord(
    payload: Uint8Array,
    view: DataView,
    place: RecordPlace,
    physicalOffset: PhysicalOffset,
  ): readonly RecordFinding[] {
    if (place.kind === 'message') return this.#checkMessage(payload, view, place, physicalOffset);
    this.commandCount += 1;
    this.#apply(decodeCommandRecord(payload, place.at));
    return [];
  }

  #checkMessage(
    payload: Uint8Array,
    view: DataView,
    { at, sizeBytes }: RecordPlace,
    physicalOffset: PhysicalOffset,
  ): readonly RecordFinding[] {
    this.messageCount += 1;
    const layout = messageLayoutAt(view, at);
    verifyBody(payload, view, layout);
    const { topicAt, topicSizeBytes, propertiesAt, propertiesSizeBytes } = layout;
    const name = utf8(payload, topicAt, topicSizeBytes);
    const stretch = { at, sizeBytes };
    const findings: RecordFinding[] = [];
    if (parseProperties(utf8(payload, propertiesAt, propertiesSizeBytes)) === null) {
      const words = { expected: 'properties with names', found: 'properties without a name' };
      findings.push({ kind: 'record', ...stretch, ...words });
    }
    const says = tryReadU64(view, at + PHYSICAL_OFFSET_AT);
    if (says !== physicalOffset) {
      const expected = `a message that says it lies at ${physicalOffset}`;
      const found = `one that says ${says ?? 'a number beyond 2^53'}`;
      findings.push({ kind: 'record', ...stretch, expected, found });
    }
    const queueId = view.getUint32(at + QUEUE_ID_AT);
    const queueOffset = tryReadU64(view, at + QUEUE_OFFSET_AT) ?? Number.POSITIVE_INFINITY;
    const misfit = this.#place(name, queueId, queueOffset);
    return misfit === null ? findings : [...findings, { ...stretch, ...misfit }];
  }

  /** @returns what does not fit; the queue goes on from what was found. */
  #place(
    name: string,
    queueId: number,
    queueOffset: number,
  ): Pick<RecordFinding, 'kind' | 'expected' | 'found'> | null {
    const queue = `${name}/${queueId}`;
    const topic = this.#topics.get(name);
    if (topic === undefined && !this.#hasLoss) {
      const expected = 'a topic that was made before its messages';
      return {
        kind: 'topic',
        expected,
        found: `a message for ${queue}, whose topic does not exist`,
      };
    }
    const known = topic ?? this.#remember(name, null);
    if (known.queueCount !== null && queueId >= known.queueCount) {
      const expected = `a queue from 0 to ${known.queueCount - 1}`;
      return { kind: 'topic', expected, found: `a message for ${queue}` };
    }
    const next = known.nextOffsets.get(queueId) ?? (this.#hasLoss ? queueOffset : 0);
    known.nextOffsets.set(queueId, queueOffset + 1);
    if (queueOffset === next) return null;
    const found = `queue offset ${queueOffset} of ${queue}`;
    return { kind: 'queueOffset', expected: `queue offset ${next}, the next one`, found };
  }

  #apply(command: Command): void {
    if (command.kind === 'topicDelete') this.#topics.delete(command.topic);
    if (command.kind !== 'topicPut') return;
    const topic = this.#topics.get(command.topic);
    if (topic === undefined) this.#remember(command.topic, this.#firstCount(command.queueCount));
    else if (topic.queueCount !== null && command.queueCount > topic.queueCount) {
      topic.queueCount = command.queueCount;
    }
  }

  /** After a loss the topic may be there already, with more queues. */
  #firstCount(queueCount: number): number | null {
    return this.#hasLoss ? null : queueCount;
  }

  #remember(name: string, queueCount: number | null): Topic {
    const topic = { queueCount, nextOffsets: new Map<number, number>() };
    this.#topics.set(name, topic);
    return topic;
  }
}

function utf8(bytes: Uint8Array, at: number, sizeBytes: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, sizeBytes).toString();
}
