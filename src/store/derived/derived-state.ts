/**
 * The contract of derived state: everything a client can observe, as a function of the committed
 * log. `apply` is deterministic: no clock, no chance, no local configuration; time travels in the
 * records (design section 5). Delete the directory and it is rebuilt.
 *
 * Reads see every applied entry at once, also those that the database has not committed yet.
 */
import type { LogIndex, PhysicalOffset, QueueOffset, Term } from '../../base/units.ts';
import type { EntryType } from '../../raft/entry.ts';
import type { AdminOutcome, AdminView } from './admin-view.ts';
import type { Checkpoint } from './checkpoint-table.ts';
import type { KvView } from './kv-store.ts';
import type { LogStart } from './log-start.ts';
import type { StateSnapshot } from './state-snapshot.ts';

export type { LogStart };

export interface CommittedEntry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly type: EntryType;
  /** Where the payload starts: header offset plus 64. */
  readonly payloadOffset: PhysicalOffset;
  readonly payload: Uint8Array;
}

/** What applying one record did; one per record of the entry, in order. */
export type RecordResult =
  | {
      readonly kind: 'messageStored';
      readonly topic: string;
      readonly messageId: string;
      readonly queueId: number;
      readonly queueOffset: QueueOffset;
      readonly physicalOffset: PhysicalOffset;
      readonly storeTimestampMs: number;
    }
  | { readonly kind: 'topicPut'; readonly created: boolean }
  | { readonly kind: 'topicDeleted'; readonly existed: boolean }
  | { readonly kind: 'groupPut'; readonly created: boolean }
  /** For each delivery of the command, queue by queue, whether it took effect. */
  | { readonly kind: 'delivered'; readonly accepted: readonly boolean[] }
  | { readonly kind: 'acknowledged'; readonly outcomes: readonly HandleOutcome[] }
  | { readonly kind: 'invisibleChanged'; readonly outcome: HandleOutcome }
  | { readonly kind: 'offsetSaved' }
  | {
      readonly kind: 'logStartAdvanced';
      /** False when it did not move the start forward, or beyond the command itself. */
      readonly advanced: boolean;
      /** Messages that are gone from the queues of topics. */
      readonly messageCount: number;
      /** Deliveries of such messages that were not acknowledged. */
      readonly deliveryCount: number;
    }
  | { readonly kind: 'topicRetentionPut'; readonly existed: boolean }
  | {
      readonly kind: 'adminApplied';
      readonly outcome: AdminOutcome;
      /** Of its line in the audit trail; 0 when nothing was recorded. */
      readonly sequence: number;
    }
  /** The state after this entry, the one before the checkpoint, is noted. */
  | { readonly kind: 'checkpointMarked'; readonly index: LogIndex }
  /** `isKnown`: the checkpoint is still among those that are kept. */
  | { readonly kind: 'checkpointClaimed'; readonly index: LogIndex; readonly isKnown: boolean };

/** `gone`: acknowledged before, or never delivered. `stale`: another delivery replaced this one. */
export type HandleOutcome = 'ok' | 'gone' | 'stale';

export interface TopicConfig {
  readonly topic: string;
  readonly queueCount: number;
  readonly permission: number;
  readonly messageTypes: readonly number[];
  readonly createdAtMs: number;
  /** Its messages are kept at least this long; 0 for no minimum. */
  readonly minRetentionMs: number;
}

export interface GroupConfig {
  readonly group: string;
  readonly maxAttempts: number;
  readonly fifo: boolean;
  readonly createdAtMs: number;
}

/** One entry of a consume queue. */
export interface QueueUnit {
  readonly physicalOffset: PhysicalOffset;
  readonly sizeBytes: number;
  /** Java's String.hashCode of the tag, 0 without tag: a 64-bit value in RocketMQ, 32 bits used. */
  readonly tagsCode: number;
  readonly storeTimestampMs: number;
}

/** A message that a consumer of the group has received and not acknowledged. */
export interface InFlight {
  readonly queueOffset: QueueOffset;
  readonly deliveryId: string;
  readonly attempt: number;
  readonly invisibleUntilMs: number;
  readonly clientId: string;
  readonly autoRenew: boolean;
  readonly attemptId: string;
  readonly firstDeliveredAtMs: number;
}

/** What a group has consumed of one queue. */
export interface QueueProgress {
  /** First offset never delivered. All below it are consumed or in flight. */
  readonly nextOffset: QueueOffset;
  /** Ascending by queue offset, all below nextOffset. */
  readonly inFlight: readonly InFlight[];
  /** min(in flight, nextOffset): what RocketMQ calls the consumer offset. */
  readonly consumerOffset: QueueOffset;
}

/** The first outcome of a message id inside the window. */
export interface FirstOutcome {
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly physicalOffset: PhysicalOffset;
  readonly storeTimestampMs: number;
}

export interface DerivedState {
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  /** Of all entries applied and their results: equal on two replicas at the same index (H19). */
  digest(): string;
  /** Where the group has decided that the log begins. */
  readonly logStart: LogStart;
  /**
   * Highest store time of the messages up to the first one at or behind the offset; of all messages,
   * when none is behind it. null before any message.
   */
  storeTimeFrom(offset: PhysicalOffset): number | null;

  /** Requires `entry.index === appliedIndex + 1`. Throws InvariantError if the log is impossible. */
  apply(entry: CommittedEntry): readonly RecordResult[];
  /** Entries applied that no finished database transaction covers yet. */
  readonly unflushedEntries: number;
  /**
   * Starts to commit applied entries and the applied index in one database transaction, beside the
   * event loop. While one runs, the next starts when it ends. Throws FatalError after a failed one.
   */
  flush(): void;
  /**
   * Resolves when no commit runs, in success or not. Whoever replays many entries awaits it between
   * batches: applied entries that the database has not taken yet are kept in memory.
   */
  flushed(): Promise<void>;
  /**
   * What everything applied so far comes to, to be brought to others while applying goes on. Whoever
   * takes it closes it, before this state is closed.
   * @throws FatalError when the database cannot be written
   */
  takeSnapshot(): Promise<StateSnapshot>;
  /** The same as rows, all of them: to be compared. */
  takeView(): Promise<KvView>;
  /** Commits what is applied, then releases the database. Idempotent. */
  close(): Promise<void>;

  topic(name: string): TopicConfig | null;
  topics(): readonly TopicConfig[];
  group(name: string): GroupConfig | null;
  groups(): readonly GroupConfig[];
  /** First offset that exists, and the one the next message will get. */
  queueRange(
    topic: string,
    queueId: number,
  ): { readonly min: QueueOffset; readonly next: QueueOffset };
  /** null outside the range. */
  queueUnit(topic: string, queueId: number, at: QueueOffset): QueueUnit | null;
  /** Physical offsets of messages with the key, newest first. */
  findByKey(topic: string, key: string, countMax: number): readonly PhysicalOffset[];
  /** A group that never received from the queue is at its first offset. */
  progress(group: string, topic: string, queueId: number): QueueProgress;
  /** Topics that the group has received from. */
  topicsOf(group: string): readonly string[];
  firstOutcome(topic: string, messageId: string): FirstOutcome | null;
  /** What operators have decided. */
  readonly admin: AdminView;
  /** The last ones, ascending. */
  checkpoints(): readonly Checkpoint[];
}
