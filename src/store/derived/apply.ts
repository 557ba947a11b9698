/**
 * What one record of the log does to the tables. Deterministic: reads nothing but the record, its place
 * and the tables.
 *
 * A message that cannot be placed is a bug, because the leader checked it against the same state in
 * the same order: that stops the replica. A command about a topic that is gone does nothing and says
 * so: a deletion may have been appended between the consumer's request and its command.
 */
import { assert, unreachable } from '../../base/assert.ts';
import { LogIndex, type PhysicalOffset } from '../../base/units.ts';
import type {
  AcknowledgeCommand,
  AdvanceLogStartCommand,
  ChangeInvisibleCommand,
  Command,
  DeliverCommand,
  OffsetSaveCommand,
} from '../../protocol/command-record.ts';
import type { MessageIndexFields } from '../../protocol/message-index-fields.ts';
import type { AdminTable } from './admin-table.ts';
import type { ApplyDigest } from './apply-digest.ts';
import type { CheckpointTable } from './checkpoint-table.ts';
import type { ConsumeQueues } from './consume-queues.ts';
import type { DedupWindow } from './dedup-window.ts';
import type { HandleOutcome, RecordResult } from './derived-state.ts';
import type { GroupTable } from './group-table.ts';
import { indexedKey, textOf } from './key-codec.ts';
import type { KeyIndex } from './key-index.ts';
import type { LogStart } from './log-start.ts';
import type { JournalUnit, MessageJournal } from './message-journal.ts';
import type { ProgressTable } from './progress-table.ts';
import type { Purge } from './purge.ts';
import type { RowTrim } from './row-trim.ts';
import type { TopicTable } from './topic-table.ts';

export interface Tables {
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly queues: ConsumeQueues;
  readonly keys: KeyIndex;
  readonly window: DedupWindow;
  readonly progress: ProgressTable;
  readonly purge: Purge;
  readonly journal: MessageJournal;
  readonly trim: RowTrim;
  readonly admin: AdminTable;
  readonly checkpoints: CheckpointTable;
  logStart: LogStart;
}

/** Where a command lies. */
export interface CommandPlace {
  readonly index: LogIndex;
  readonly offset: PhysicalOffset;
  /** Of everything before the entry. */
  readonly digestBefore: Pick<ApplyDigest, 'toString'>;
}

/** @param placedAt where the record lies in the log */
export function applyMessage(
  tables: Tables,
  message: MessageIndexFields,
  placedAt: PhysicalOffset,
): RecordResult {
  const { queueId, queueOffset, physicalOffset, storeTimestampMs } = message;
  const topic = tables.topics.get(message.topic);
  assert(topic !== null, 'a message has a topic', () => ({ topic: message.topic, placedAt }));
  assert(queueId < topic.config.queueCount, 'a message has a queue', () => ({
    topic: message.topic,
    queueId,
    placedAt,
  }));
  assert(physicalOffset === placedAt, 'a message says where it lies', () => ({
    physicalOffset,
    placedAt,
  }));

  tables.queues.append(topic.number, queueId, queueOffset, message);
  const unit = journalUnitOf(topic.number, message);
  tables.journal.append(unit);
  tables.window.follow();
  if (unit.id !== null) {
    tables.keys.addId(topic.number, unit.id, message, {
      windowStart: tables.window.startOffset,
      logStart: tables.logStart.offset,
    });
  }
  tables.keys.addKeys(topic.number, unit);
  return {
    kind: 'messageStored',
    topic: message.topic,
    messageId: message.messageIdBinary === null ? '' : textOf(message.messageIdBinary),
    queueId,
    queueOffset,
    physicalOffset,
    storeTimestampMs,
  };
}

export function journalUnitOf(topicNumber: number, message: MessageIndexFields): JournalUnit {
  const { messageIdBinary, keysBinary } = message;
  return {
    physicalOffset: message.physicalOffset,
    storeTimestampMs: message.storeTimestampMs,
    topicNumber,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    id: messageIdBinary === null ? null : indexedKey(messageIdBinary),
    keys: keysBinary.map(indexedKey),
  };
}

export function applyCommand(tables: Tables, command: Command, place: CommandPlace): RecordResult {
  switch (command.kind) {
    case 'topicPut':
      return { kind: 'topicPut', created: tables.topics.put(command, place.offset).created };
    case 'topicDelete':
      return { kind: 'topicDeleted', existed: deleteTopic(tables, command.topic, place.offset) };
    case 'groupPut':
      return { kind: 'groupPut', created: tables.groups.put(command).created };
    case 'deliver':
      return { kind: 'delivered', accepted: deliver(tables, command) };
    case 'acknowledge':
      return { kind: 'acknowledged', outcomes: acknowledge(tables, command) };
    case 'changeInvisible':
      return { kind: 'invisibleChanged', outcome: changeInvisible(tables, command) };
    case 'offsetSave':
      saveOffset(tables, command);
      return { kind: 'offsetSaved' };
    case 'advanceLogStart':
      return advanceLogStart(tables, command, place);
    case 'topicRetentionPut':
      return { kind: 'topicRetentionPut', existed: tables.topics.putRetention(command) };
    case 'admin':
      return { kind: 'adminApplied', ...tables.admin.apply(command, place.index) };
    case 'checkpoint': {
      const index = LogIndex(place.index - 1);
      tables.checkpoints.mark(index, place.digestBefore.toString());
      return { kind: 'checkpointMarked', index };
    }
    case 'checkpointClaim': {
      const { index } = command;
      return { kind: 'checkpointClaimed', index, isKnown: tables.checkpoints.claim(command) };
    }
    default:
      return unreachable(command);
  }
}

/**
 * From here on nobody finds the topic's queues, progress or ids. Its messages stay in the log, where
 * who holds a physical offset can still read them; the rows go with time.
 */
function deleteTopic(tables: Tables, name: string, placedAt: PhysicalOffset): boolean {
  const topic = tables.topics.get(name);
  if (topic === null) return false;
  tables.topics.delete(topic, placedAt);
  tables.queues.drop(topic.number);
  tables.purge.add(topic.number);
  return true;
}

function deliver(tables: Tables, command: DeliverCommand): readonly boolean[] {
  return command.queues.flatMap((queue) => {
    const topic = topicWithQueue(tables, command.topic, queue.queueId);
    if (topic === null) return queue.deliveries.map(() => false);
    const key = { group: command.group, topicNumber: topic.number, queueId: queue.queueId };
    const range = tables.queues.range(topic.number, queue.queueId);
    return tables.progress.deliver(key, command, queue, range);
  });
}

function acknowledge(tables: Tables, command: AcknowledgeCommand): readonly HandleOutcome[] {
  const topic = tables.topics.get(command.topic);
  return command.deliveries.map((delivery) => {
    if (topic === null) return 'gone';
    const key = { group: command.group, topicNumber: topic.number, queueId: delivery.queueId };
    return tables.progress.acknowledge(key, delivery);
  });
}

function changeInvisible(tables: Tables, command: ChangeInvisibleCommand): HandleOutcome {
  const { group, queueId } = command;
  const topic = tables.topics.get(command.topic);
  if (topic === null) return 'gone';
  return tables.progress.changeInvisible({ group, topicNumber: topic.number, queueId }, command);
}

function saveOffset(tables: Tables, command: OffsetSaveCommand): void {
  const { group, queueId, queueOffset } = command;
  const topic = topicWithQueue(tables, command.topic, queueId);
  if (topic === null) return;
  const range = tables.queues.range(topic.number, queueId);
  tables.progress.reset({ group, topicNumber: topic.number, queueId }, queueOffset, range);
}

/**
 * What is before the new start is gone for everybody at once. A command that comes too late, because
 * another one has moved the start further, does nothing.
 */
function advanceLogStart(
  tables: Tables,
  command: AdvanceLogStartCommand,
  place: CommandPlace,
): RecordResult {
  const { physicalOffset: offset, firstIndex: index } = command;
  const isForward = offset > tables.logStart.offset && index > tables.logStart.index;
  if (!isForward || index > place.index || offset > place.offset) {
    return { kind: 'logStartAdvanced', advanced: false, messageCount: 0, deliveryCount: 0 };
  }
  tables.logStart = { index, offset };
  let messageCount = 0;
  let deliveryCount = 0;
  for (const { number } of tables.topics.all()) {
    const queues = tables.queues.advanceMin(number, offset);
    if (queues.length === 0) continue;
    for (const queue of queues) messageCount += queue.messageCount;
    deliveryCount += tables.progress.advanceMin(number, queues);
  }
  tables.journal.advanceFirst(offset);
  tables.keys.forgetRepeats(offset);
  tables.topics.forgetDeleted(offset);
  return { kind: 'logStartAdvanced', advanced: true, messageCount, deliveryCount };
}

function topicWithQueue(tables: Tables, name: string, queueId: number) {
  const topic = tables.topics.get(name);
  return topic !== null && queueId < topic.config.queueCount ? topic : null;
}
