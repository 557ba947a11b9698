/**
 * Derived state over a key-value store: applies entries to the tables, and commits them in batches
 * together with the applied index (H19).
 *
 * Invariants:
 * - Entries are applied in order, each exactly once; a commit never splits one.
 * - The rows at an index are the same bytes on every replica, whenever it flushed or restarted.
 */
import { assert } from '../../base/assert.ts';
import { viewOf } from '../../base/bytes.ts';
import { FatalError } from '../../base/errors.ts';
import {
  advance,
  type LogIndex,
  type PhysicalOffset,
  type QueueOffset,
  type Term,
} from '../../base/units.ts';
import { decodeCommandRecord } from '../../protocol/command-record.ts';
import { messageIndexFieldsAt } from '../../protocol/message-index-fields.ts';
import { recordPlaceAt } from '../../protocol/records.ts';
import { applyCommand, applyMessage, type Tables } from './apply.ts';
import { ConsumeQueues } from './consume-queues.ts';
import { DedupWindow, type DedupWindowBounds } from './dedup-window.ts';
import type {
  CommittedEntry,
  DerivedState,
  FirstOutcome,
  GroupConfig,
  QueueProgress,
  QueueUnit,
  RecordResult,
  TopicConfig,
} from './derived-state.ts';
import { GroupTable } from './group-table.ts';
import { binaryOf, TABLE } from './key-codec.ts';
import { KeyIndex } from './key-index.ts';
import type { KvStore } from './kv-store.ts';
import { AUTO_FLUSH_CHANGES, DERIVED_FORMAT_VERSION } from './limits.ts';
import { encodeMeta, type Meta } from './meta-row.ts';
import { Overlay } from './overlay.ts';
import { ProgressTable } from './progress-table.ts';
import { Purge } from './purge.ts';
import { RowWriter } from './row-codec.ts';
import { TopicTable } from './topic-table.ts';

export interface StateMachineOptions {
  readonly store: KvStore;
  /** What the store was found at. */
  readonly meta: Meta;
  readonly windowBounds: DedupWindowBounds;
  /** Runs once, when a commit fails; the next `flush` throws. */
  readonly onCommitFailed: (error: Error) => void;
}

export class StateMachine implements DerivedState {
  readonly #store: KvStore;
  readonly #overlay: Overlay;
  readonly #rows = new RowWriter();
  readonly #tables: Tables;
  readonly #onCommitFailed: (error: Error) => void;
  #appliedIndex: LogIndex;
  #appliedTerm: Term;
  /** Applied index of the last finished commit. */
  #committedIndex: LogIndex;
  /** Owns the running commit; never rejects. */
  #commit: Promise<void> | null = null;
  #flushAgain = false;
  #commitFailure: Error | null = null;
  #closing: Promise<void> | null = null;

  constructor({ store, meta, windowBounds, onCommitFailed }: StateMachineOptions) {
    this.#store = store;
    this.#overlay = new Overlay(store);
    this.#onCommitFailed = onCommitFailed;
    this.#appliedIndex = meta.appliedIndex;
    this.#appliedTerm = meta.appliedTerm;
    this.#committedIndex = meta.appliedIndex;
    const progress = new ProgressTable(this.#overlay, this.#rows);
    this.#tables = {
      topics: new TopicTable(this.#overlay, this.#rows, meta.nextTopicNumber),
      groups: new GroupTable(this.#overlay, this.#rows),
      queues: new ConsumeQueues(this.#overlay, this.#rows),
      keys: new KeyIndex(this.#overlay, this.#rows),
      window: new DedupWindow(this.#overlay, this.#rows, windowBounds),
      progress,
      purge: new Purge(this.#overlay, progress),
    };
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  get unflushedEntries(): number {
    return this.#appliedIndex - this.#committedIndex;
  }

  apply(entry: CommittedEntry): readonly RecordResult[] {
    assert(this.#closing === null, 'a closed state takes no entry');
    assert(entry.index === this.#appliedIndex + 1, 'entries are applied in order', () => ({
      index: entry.index,
      appliedIndex: this.#appliedIndex,
    }));
    assert(entry.term >= this.#appliedTerm, 'terms do not decrease');
    const results = entry.type === 'data' ? this.#applyRecords(entry) : [];
    this.#tables.purge.step();
    this.#appliedIndex = entry.index;
    this.#appliedTerm = entry.term;
    if (this.#overlay.changeCount >= AUTO_FLUSH_CHANGES && this.#commit === null) this.flush();
    return results;
  }

  flush(): void {
    if (this.#commitFailure !== null) {
      throw new FatalError('diskFailed', 'The database of derived state cannot be written', {
        cause: this.#commitFailure,
      });
    }
    if (this.#commit !== null) {
      this.#flushAgain = true;
      return;
    }
    if (this.unflushedEntries === 0) return;
    this.#commit = this.#commitApplied();
  }

  async flushed(): Promise<void> {
    while (this.#commit !== null) await this.#commit;
  }

  close(): Promise<void> {
    this.#closing ??= this.#flushAndClose();
    return this.#closing;
  }

  topic(name: string): TopicConfig | null {
    return this.#tables.topics.get(name)?.config ?? null;
  }

  topics(): readonly TopicConfig[] {
    return this.#tables.topics.all().map(({ config }) => config);
  }

  group(name: string): GroupConfig | null {
    return this.#tables.groups.get(name);
  }

  groups(): readonly GroupConfig[] {
    return this.#tables.groups.all();
  }

  queueRange(topic: string, queueId: number) {
    return this.#tables.queues.range(this.#numberOf(topic), queueId);
  }

  queueUnit(topic: string, queueId: number, at: QueueOffset): QueueUnit | null {
    return this.#tables.queues.unit(this.#numberOf(topic), queueId, at);
  }

  findByKey(topic: string, key: string, countMax: number): readonly PhysicalOffset[] {
    return this.#tables.keys.find(this.#numberOf(topic), binaryOf(key), countMax);
  }

  progress(group: string, topic: string, queueId: number): QueueProgress {
    return this.#tables.progress.progress({ group, topicNumber: this.#numberOf(topic), queueId });
  }

  topicsOf(group: string): readonly string[] {
    const numbers = this.#tables.progress.topicNumbersOf(group);
    const topics = numbers.map((number) => this.#tables.topics.byNumber(number));
    return topics.flatMap((topic) => (topic === null ? [] : [topic.config.topic])).sort();
  }

  firstOutcome(topic: string, messageId: string): FirstOutcome | null {
    const { keys, window } = this.#tables;
    const outcome = keys.outcomeOf(this.#numberOf(topic), binaryOf(messageId));
    return outcome !== null && outcome.physicalOffset >= window.startOffset ? outcome : null;
  }

  /** No topic has the number 0, so nothing is found for a topic that does not exist. */
  #numberOf(topic: string): number {
    return this.#tables.topics.get(topic)?.number ?? 0;
  }

  #applyRecords({ payload, payloadOffset }: CommittedEntry): readonly RecordResult[] {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const view = viewOf(payload);
    const results: RecordResult[] = [];
    for (let at = 0; at < payload.length; ) {
      const place = recordPlaceAt(view, at);
      results.push(
        place.kind === 'message'
          ? applyMessage(
              this.#tables,
              messageIndexFieldsAt(bytes, view, at),
              advance(payloadOffset, at),
            )
          : applyCommand(this.#tables, decodeCommandRecord(payload, at)),
      );
      at += place.sizeBytes;
    }
    return results;
  }

  async #commitApplied(): Promise<void> {
    const index = this.#appliedIndex;
    this.#flushAgain = false;
    this.#tables.queues.writeDirty();
    this.#tables.window.writeDirty();
    const meta = encodeMeta(this.#rows, {
      version: DERIVED_FORMAT_VERSION,
      appliedIndex: index,
      appliedTerm: this.#appliedTerm,
      nextTopicNumber: this.#tables.topics.nextNumber,
    });
    this.#overlay.put(TABLE.meta, meta);
    try {
      await this.#store.commit(this.#overlay.freeze());
    } catch (error) {
      // Whatever the database says, nothing after this point is committed; `flush` rethrows it.
      this.#commitFailure = error instanceof Error ? error : new Error(String(error));
      this.#commit = null;
      this.#onCommitFailed(this.#commitFailure);
      return;
    }
    this.#overlay.thaw();
    this.#committedIndex = index;
    this.#commit = null;
    if (this.#flushAgain) this.flush();
  }

  async #flushAndClose(): Promise<void> {
    await this.flushed();
    if (this.#commitFailure === null) this.flush();
    await this.flushed();
    await this.#store.close();
  }
}
