/**
 * Derived state over a key-value store: applies entries to the tables, and commits them in batches
 * together with the applied index (H19).
 *
 * Invariants:
 * - Entries are applied in order, each exactly once; a commit never splits one.
 * - The rows at an index are the same bytes on every replica, whenever it flushed or restarted; but for
 *   dead rows, which nobody sees and which go with time, also on one that began with a snapshot.
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
import type { Clock } from '../../io/clock.ts';
import { isOutOfSpace } from '../../io/disk.ts';
import { decodeCommandRecord } from '../../protocol/command-record.ts';
import { messageIndexFieldsAt } from '../../protocol/message-index-fields.ts';
import { recordPlaceAt } from '../../protocol/records.ts';
import type { AdminView } from './admin-view.ts';
import { applyCommand, applyMessage, type Tables } from './apply.ts';
import { ApplyDigest } from './apply-digest.ts';
import { type ApplyRules, standardApplyRules } from './apply-rules.ts';
import type { Checkpoint } from './checkpoint-table.ts';
import type { DedupWindowBounds } from './dedup-window.ts';
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
import { binaryOf, indexedKey, TABLE } from './key-codec.ts';
import type { KvChanges, KvStore, KvView } from './kv-store.ts';
import { AUTO_FLUSH_CHANGES, DERIVED_FORMAT_VERSION, NO_ROOM_RETRY_MS } from './limits.ts';
import type { LogStart } from './log-start.ts';
import { encodeMeta, type Meta } from './meta-row.ts';
import { openTables } from './open-tables.ts';
import { type ChangeListener, Overlay } from './overlay.ts';
import { RowWriter } from './row-codec.ts';
import { type StateSnapshot, snapshotOf } from './state-snapshot.ts';

/** How a commit waits that finds no room on the disk (H10). */
export interface RoomWait {
  readonly clock: Clock;
  /** Aborted when this process stops: the next one replays what is not committed. */
  readonly stopping: AbortSignal;
}

export interface StateMachineOptions {
  readonly store: KvStore;
  /** What the store was found at. */
  readonly meta: Meta;
  readonly windowBounds: DedupWindowBounds;
  /** Runs once, when a commit fails; the next `flush` throws. */
  readonly onCommitFailed: (error: Error) => void;
  /** null: a commit that finds no room has failed. */
  readonly roomWait: RoomWait | null;
  /** For tests: production leaves it out. */
  readonly rules?: ApplyRules | undefined;
  /** Runs when a commit begins to wait for room. */
  readonly onCommitWaits: () => void;
}

interface ViewWaiter {
  readonly resolve: (view: KvView) => void;
  readonly reject: (error: Error) => void;
}

export class StateMachine implements DerivedState {
  readonly #store: KvStore;
  readonly #overlay: Overlay;
  readonly #rows = new RowWriter();
  readonly #tables: Tables;
  readonly #options: StateMachineOptions;
  readonly #digest: ApplyDigest;
  readonly #onChange: ChangeListener = (key, value) => this.#digest.addChange(key, value);
  /** Wait for a commit of what is applied. */
  #viewWaiters: ViewWaiter[] = [];
  #appliedIndex: LogIndex;
  #appliedTerm: Term;
  /** Applied index of the last finished commit. */
  #committedIndex: LogIndex;
  /** Owns the running commit; never rejects. */
  #commit: Promise<void> | null = null;
  #flushAgain = false;
  #commitFailure: Error | null = null;
  /** The process stops while a commit waits for room: none begins any more. */
  #hasGivenUp = false;
  #closing: Promise<void> | null = null;

  constructor(options: StateMachineOptions) {
    const { store, meta, windowBounds } = options;
    this.#options = options;
    this.#store = store;
    this.#overlay = new Overlay(store);
    this.#appliedIndex = meta.appliedIndex;
    this.#appliedTerm = meta.appliedTerm;
    this.#committedIndex = meta.appliedIndex;
    this.#digest = new ApplyDigest(meta.digest.high, meta.digest.low);
    this.#tables = openTables(this.#overlay, this.#rows, meta, windowBounds);
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  get logStart(): LogStart {
    return this.#tables.logStart;
  }

  get admin(): AdminView {
    return this.#tables.admin;
  }

  digest(): string {
    return this.#digest.toString();
  }

  storeTimeFrom(offset: PhysicalOffset): number | null {
    return this.#tables.journal.storeTimeFrom(offset);
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
    const messagesBefore = this.#tables.journal.next;
    const results =
      entry.type !== 'data'
        ? []
        : this.#overlay.listenDuring(this.#onChange, () => this.#applyRecords(entry));
    this.#tables.purge.step();
    this.#tables.trim.step(this.#tables.journal.next - messagesBefore);
    this.#digest.add(entry, results);
    this.#appliedIndex = entry.index;
    this.#appliedTerm = entry.term;
    if (this.#overlay.changeCount >= AUTO_FLUSH_CHANGES && this.#commit === null) this.flush();
    return results;
  }

  flush(): void {
    if (this.#commitFailure !== null) throw failureOf(this.#commitFailure);
    if (this.#commit !== null) {
      this.#flushAgain = true;
      return;
    }
    if (this.unflushedEntries === 0 || this.#hasGivenUp) return;
    this.#commit = this.#commitApplied();
  }

  async flushed(): Promise<void> {
    while (this.#commit !== null) await this.#commit;
  }

  async takeSnapshot(): Promise<StateSnapshot> {
    return snapshotOf(await this.takeView());
  }

  async takeView(): Promise<KvView> {
    assert(this.#closing === null, 'a closed state is not looked at');
    assert(this.#appliedIndex > 0, 'a view is taken of something');
    if (this.#commitFailure !== null) throw failureOf(this.#commitFailure);
    if (this.#hasGivenUp) throw failureOf(new Error('No room, and the process stops'));
    if (this.unflushedEntries === 0) return this.#store.view();
    const taken = new Promise<KvView>((resolve, reject) => {
      this.#viewWaiters.push({ resolve, reject });
    });
    this.flush();
    return taken;
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
    const { keys, logStart } = this.#tables;
    return keys.find(this.#numberOf(topic), indexedKey(binaryOf(key)), countMax, logStart.offset);
  }

  progress(group: string, topic: string, queueId: number): QueueProgress {
    const topicNumber = this.#numberOf(topic);
    const { min } = this.#tables.queues.range(topicNumber, queueId);
    return this.#tables.progress.progress({ group, topicNumber, queueId }, min);
  }

  topicsOf(group: string): readonly string[] {
    const numbers = this.#tables.progress.topicNumbersOf(group);
    const topics = numbers.map((number) => this.#tables.topics.byNumber(number));
    return topics.flatMap((topic) => (topic === null ? [] : [topic.config.topic])).sort();
  }

  firstOutcome(topic: string, messageId: string): FirstOutcome | null {
    const { keys, window } = this.#tables;
    const outcome = keys.outcomeOf(this.#numberOf(topic), indexedKey(binaryOf(messageId)));
    return outcome !== null && outcome.physicalOffset >= window.startOffset ? outcome : null;
  }

  checkpoints(): readonly Checkpoint[] {
    return this.#tables.checkpoints.all();
  }

  /** No topic has the number 0, so nothing is found for a topic that does not exist. */
  #numberOf(topic: string): number {
    return this.#tables.topics.get(topic)?.number ?? 0;
  }

  #applyRecords({ index, payload, payloadOffset }: CommittedEntry): readonly RecordResult[] {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const view = viewOf(payload);
    const { commandOf } = this.#options.rules ?? standardApplyRules;
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
          : applyCommand(this.#tables, commandOf(decodeCommandRecord(payload, at)), {
              index,
              offset: advance(payloadOffset, at),
              digestBefore: this.#digest,
            }),
      );
      at += place.sizeBytes;
    }
    return results;
  }

  async #commitApplied(): Promise<void> {
    const index = this.#appliedIndex;
    const viewWaiters = this.#takeViewWaiters();
    this.#flushAgain = false;
    this.#tables.queues.writeDirty();
    this.#tables.journal.writeDirty();
    this.#tables.window.writeDirty();
    this.#tables.trim.writeDirty();
    const meta = encodeMeta(this.#rows, {
      version: DERIVED_FORMAT_VERSION,
      appliedIndex: index,
      appliedTerm: this.#appliedTerm,
      nextTopicNumber: this.#tables.topics.nextNumber,
      digest: this.#digest.words,
      logStart: this.#tables.logStart,
    });
    this.#overlay.put(TABLE.meta, meta);
    try {
      const isCommitted = await this.#commitWithRoom(this.#overlay.freeze());
      if (!isCommitted) {
        this.#hasGivenUp = true;
        this.#commit = null;
        this.#failViews(viewWaiters, new Error('No room, and the process stops'));
        return;
      }
    } catch (error) {
      // Whatever the database says, nothing after this point is committed; `flush` rethrows it.
      this.#commitFailure = error instanceof Error ? error : new Error(String(error));
      this.#commit = null;
      this.#failViews(viewWaiters, this.#commitFailure);
      this.#options.onCommitFailed(this.#commitFailure);
      return;
    }
    this.#overlay.thaw();
    this.#committedIndex = index;
    this.#commit = null;
    // Who came while it ran is content with it, if nothing was applied meanwhile.
    if (this.unflushedEntries === 0) viewWaiters.push(...this.#takeViewWaiters());
    // Before the next commit begins: the view is of this index.
    for (const { resolve } of viewWaiters) resolve(this.#store.view());
    if (this.#flushAgain) this.flush();
  }

  /** @returns false when it had to wait for room and this process stops */
  async #commitWithRoom(changes: KvChanges): Promise<boolean> {
    const { roomWait, onCommitWaits } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#store.commit(changes);
        return true;
      } catch (error) {
        if (roomWait === null || !isOutOfSpace(error)) throw error;
        if (attempt === 1) onCommitWaits();
        if (!(await pauseUnlessStopping(roomWait))) return false;
      }
    }
  }

  #failViews(waiting: readonly ViewWaiter[], cause: Error): void {
    const failed = [...waiting, ...this.#takeViewWaiters()];
    for (const { reject } of failed) reject(failureOf(cause));
  }

  #takeViewWaiters(): ViewWaiter[] {
    const waiters = this.#viewWaiters;
    this.#viewWaiters = [];
    return waiters;
  }

  async #flushAndClose(): Promise<void> {
    await this.flushed();
    if (this.#commitFailure === null) this.flush();
    await this.flushed();
    await this.#store.close();
  }
}

function failureOf(cause: Error): FatalError {
  return new FatalError('diskFailed', 'The database of derived state cannot be written', { cause });
}

/** @returns whether the pause came to its end */
function pauseUnlessStopping({ clock, stopping }: RoomWait): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isOver: boolean): void => {
      timer.cancel();
      stopping.removeEventListener('abort', onAbort);
      resolve(isOver);
    };
    const onAbort = (): void => end(false);
    const timer = clock.setTimer(NO_ROOM_RETRY_MS, () => end(true));
    stopping.addEventListener('abort', onAbort, { once: true });
    if (stopping.aborted) onAbort();
  });
}
