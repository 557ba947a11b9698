/**
 * The topics, all in memory. A topic gets a number when it is created, never used again: its rows carry
 * the number instead of the name, so that a topic that is deleted and created again starts empty at
 * once, while the rows of the old number are removed bit by bit (purge.ts).
 *
 * A topic knows where in the log it was created, and a deleted one is remembered as long as the log may
 * have messages of it: so the number that a message belongs to can be told from its place.
 */
import { assert } from '../../base/assert.ts';
import type { PhysicalOffset } from '../../base/units.ts';
import type { TopicPutCommand, TopicRetentionPutCommand } from '../../protocol/command-record.ts';
import type { TopicConfig } from './derived-state.ts';
import { prefixEnd, readU32Key, TABLE, textKey, u32Key } from './key-codec.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

export interface Topic {
  readonly number: number;
  readonly config: TopicConfig;
  /** Of the command that created it. */
  readonly createdOffset: number;
}

/** A topic that is gone; messages of the name in [createdOffset, deletedOffset) are its. */
export interface DeletedTopic {
  readonly number: number;
  readonly topic: string;
  readonly createdOffset: number;
  readonly deletedOffset: number;
}

const FIXED_SIZE_BYTES = 4 + 4 + 4 + 8 + 8 + 8 + 1;
const DELETED_FIXED_SIZE_BYTES = 8 + 8;
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
  put(command: TopicPutCommand, placedAt: PhysicalOffset): { readonly created: boolean } {
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
        minRetentionMs: before?.config.minRetentionMs ?? 0,
      },
      createdOffset: before?.createdOffset ?? placedAt,
    };
    this.#store(topic);
    return { created: before === null };
  }

  /** @returns whether the topic is there */
  putRetention({ topic: name, minRetentionMs }: TopicRetentionPutCommand): boolean {
    const topic = this.get(name);
    if (topic === null) return false;
    this.#store({ ...topic, config: { ...topic.config, minRetentionMs } });
    return true;
  }

  delete({ number, config, createdOffset }: Topic, placedAt: PhysicalOffset): void {
    this.#byName.delete(config.topic);
    this.#byNumber.delete(number);
    this.#overlay.delete(TABLE.topic + textKey(config.topic));
    const row = this.#rows
      .begin(DELETED_FIXED_SIZE_BYTES, config.topic)
      .text(config.topic)
      .u64(createdOffset)
      .u64(placedAt)
      .finish();
    this.#overlay.put(TABLE.deletedTopic + u32Key(number), row);
  }

  /** Of deleted topics whose last message is gone nothing needs to be known any more. */
  forgetDeleted(logStart: PhysicalOffset): void {
    const rows = this.#overlay.range(TABLE.deletedTopic, prefixEnd(TABLE.deletedTopic));
    for (const { key, value } of [...rows]) {
      if (decodeDeletedTopic(key, value).deletedOffset < logStart) this.#overlay.delete(key);
    }
  }

  #store(topic: Topic): void {
    this.#remember(topic);
    this.#overlay.put(TABLE.topic + textKey(topic.config.topic), this.#encode(topic));
  }

  #remember(topic: Topic): void {
    this.#byName.set(topic.config.topic, topic);
    this.#byNumber.set(topic.number, topic);
  }

  #encode({ number, config, createdOffset }: Topic): Uint8Array {
    const rows = this.#rows
      .begin(FIXED_SIZE_BYTES + 4 * config.messageTypes.length, config.topic)
      .u32(number)
      .text(config.topic)
      .u32(config.queueCount)
      .u32(config.permission)
      .u64(config.createdAtMs)
      .u64(config.minRetentionMs)
      .u64(createdOffset)
      .u8(config.messageTypes.length);
    for (const type of config.messageTypes) rows.u32(type);
    return rows.finish();
  }
}

export function decodeTopic(value: Uint8Array): Topic {
  const row = new RowReader(value);
  const number = row.u32();
  const topic = row.text();
  const queueCount = row.u32();
  const permission = row.u32();
  const createdAtMs = row.u64();
  const minRetentionMs = row.u64();
  const createdOffset = row.u64();
  const messageTypes = Array.from({ length: row.u8() }, () => row.u32());
  row.end();
  return {
    number,
    config: { topic, queueCount, permission, messageTypes, createdAtMs, minRetentionMs },
    createdOffset,
  };
}

export function decodeDeletedTopic(key: string, value: Uint8Array): DeletedTopic {
  const row = new RowReader(value);
  const deleted = {
    number: readU32Key(key, TABLE.deletedTopic.length),
    topic: row.text(),
    createdOffset: row.u64(),
    deletedOffset: row.u64(),
  };
  row.end();
  return deleted;
}
