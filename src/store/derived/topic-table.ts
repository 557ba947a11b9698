/**
 * The topics, all in memory. A topic gets a number when it is created, never used again: its rows carry
 * the number instead of the name, so that a topic that is deleted and created again starts empty at
 * once, while the rows of the old number are removed bit by bit (purge.ts).
 */
import { assert } from '../../base/assert.ts';
import type { TopicPutCommand } from '../../protocol/command-record.ts';
import type { TopicConfig } from './derived-state.ts';
import { prefixEnd, TABLE, textKey } from './key-codec.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

export interface Topic {
  readonly number: number;
  readonly config: TopicConfig;
}

const FIXED_SIZE_BYTES = 4 + 4 + 4 + 8 + 1;
const MESSAGE_TYPES_MAX = 0xff;

export class TopicTable {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;
  readonly #byName = new Map<string, Topic>();
  readonly #byNumber = new Map<number, Topic>();
  #nextNumber: number;

  constructor(overlay: Overlay, rows: RowWriter, nextNumber: number) {
    this.#overlay = overlay;
    this.#rows = rows;
    this.#nextNumber = nextNumber;
    for (const { value } of overlay.range(TABLE.topic, prefixEnd(TABLE.topic))) {
      this.#remember(decodeTopic(value));
    }
  }

  /** Kept in the meta row (state-machine.ts). */
  get nextNumber(): number {
    return this.#nextNumber;
  }

  get(name: string): Topic | null {
    return this.#byName.get(name) ?? null;
  }

  /** null when the topic was deleted. */
  byNumber(number: number): Topic | null {
    return this.#byNumber.get(number) ?? null;
  }

  /** By name. */
  all(): readonly Topic[] {
    return [...this.#byName.values()].sort((a, b) => (a.config.topic < b.config.topic ? -1 : 1));
  }

  /** Creates or replaces. A smaller queue count is ignored: queues never disappear. */
  put(command: TopicPutCommand): { readonly created: boolean } {
    assert(command.messageTypes.length <= MESSAGE_TYPES_MAX, 'message types fit their count');
    const before = this.get(command.topic);
    const topic: Topic = {
      number: before?.number ?? this.#nextNumber++,
      config: {
        topic: command.topic,
        queueCount: Math.max(command.queueCount, before?.config.queueCount ?? 0),
        permission: command.permission,
        messageTypes: command.messageTypes,
        createdAtMs: before?.config.createdAtMs ?? command.atMs,
      },
    };
    this.#remember(topic);
    this.#overlay.put(TABLE.topic + textKey(command.topic), this.#encode(topic));
    return { created: before === null };
  }

  delete(topic: Topic): void {
    this.#byName.delete(topic.config.topic);
    this.#byNumber.delete(topic.number);
    this.#overlay.delete(TABLE.topic + textKey(topic.config.topic));
  }

  #remember(topic: Topic): void {
    this.#byName.set(topic.config.topic, topic);
    this.#byNumber.set(topic.number, topic);
  }

  #encode({ number, config }: Topic): Uint8Array {
    const rows = this.#rows
      .begin(FIXED_SIZE_BYTES + 4 * config.messageTypes.length, config.topic)
      .u32(number)
      .text(config.topic)
      .u32(config.queueCount)
      .u32(config.permission)
      .u64(config.createdAtMs)
      .u8(config.messageTypes.length);
    for (const type of config.messageTypes) rows.u32(type);
    return rows.finish();
  }
}

function decodeTopic(value: Uint8Array): Topic {
  const row = new RowReader(value);
  const number = row.u32();
  const topic = row.text();
  const queueCount = row.u32();
  const permission = row.u32();
  const createdAtMs = row.u64();
  const messageTypes = Array.from({ length: row.u8() }, () => row.u32());
  row.end();
  return { number, config: { topic, queueCount, permission, messageTypes, createdAtMs } };
}
