/** Answers of Broker.Call: the way to bytes and back. Calls and the reasons are in verb-codec.ts. */
import { unreachable } from '../base/assert.ts';
import { LogIndex, PhysicalOffset, QueueOffset, Term } from '../base/units.ts';
import type { Role } from '../raft/effects.ts';
import { CodecError, messageCodec } from './schema.ts';
import {
  checkedInteger,
  checkedNodeId,
  checkedWord,
  propertiesOf,
  recordOf,
  required,
  type WireProperty,
} from './verb-wire.ts';
import {
  type AckOutcome,
  BROKER_ERROR_CODES,
  type BrokerReply,
  type BrokerResponse,
  type DeliveredMessage,
  type GroupDescription,
  INSTALL_PHASES,
  type InstallReport,
  type NodeReport,
  ROOM_LEVELS,
  type RoomReport,
  type TopicDescription,
} from './verbs.ts';

const ACK_OUTCOMES = ['ok', 'staleHandle', 'invalidHandle'] as const satisfies AckOutcome[];
const ROLES = ['follower', 'preCandidate', 'candidate', 'leader'] as const satisfies Role[];

interface WireReply {
  /** Name of the case that is set. */
  readonly reply: string | undefined;
  readonly failure: { readonly code: string; readonly message: string };
  readonly notLeader: { readonly term: number; readonly leader?: string };
  readonly sent: { readonly receipts: readonly WireReceipt[] };
  readonly received: { readonly messages: readonly WireDelivered[] };
  readonly acked: { readonly outcomes: readonly string[] };
  readonly invisibleChanged: { readonly handle: string };
  readonly topicPut: { readonly flag: boolean };
  readonly topicDeleted: { readonly flag: boolean };
  readonly topic: WireTopic;
  readonly topicList: { readonly topics: readonly WireTopic[] };
  readonly groupPut: { readonly flag: boolean };
  readonly group: WireGroup;
  readonly status: WireNode;
}

interface WireReceipt {
  readonly messageId: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: number;
  readonly duplicate: boolean;
}

interface WireDelivered {
  readonly topic: string;
  readonly messageId: string;
  readonly body: Uint8Array;
  readonly gzip: boolean;
  readonly tag?: string;
  readonly keys: readonly string[];
  readonly userProperties: readonly WireProperty[];
  readonly bornTimestampMs: number;
  readonly bornHost: string;
  readonly traceContext?: string;
  readonly storeTimestampMs: number;
  readonly storeHost: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly attempt: number;
  readonly handle: string;
  readonly invisibleMs: number;
  readonly deadLetterOf: { readonly topic: string; readonly messageId: string } | null;
}

interface WireTopic {
  readonly topic: string;
  readonly queueCount: number;
  readonly permission: number;
  readonly messageTypes: readonly number[];
  readonly createdAtMs: number;
  readonly queues: readonly {
    readonly queueId: number;
    readonly minOffset: number;
    readonly nextOffset: number;
  }[];
}

interface WireGroup {
  readonly group: string;
  readonly maxAttempts: number;
  readonly fifo: boolean;
  readonly createdAtMs: number;
  readonly queues: readonly {
    readonly topic: string;
    readonly queueId: number;
    readonly consumerOffset: number;
    readonly nextOffset: number;
    readonly inFlightCount: number;
    readonly lag: number;
  }[];
}

interface WireNode {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly groupId: string;
  readonly storeUuid: string;
  readonly role: string;
  readonly term: number;
  readonly leader?: string;
  readonly serving: boolean;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly peers: readonly WirePeer[];
  readonly disk: {
    readonly syncCount: number;
    readonly writtenBytes: number;
    readonly oldestPendingMs: number;
    readonly syncMsP50?: number;
    readonly syncMsP99?: number;
    readonly room: WireRoom | null;
  } | null;
  readonly log: {
    readonly firstIndex: number;
    readonly keptBytes: number;
    readonly install: WireInstall | null;
  } | null;
}

interface WireInstall {
  readonly phase: string;
  readonly index?: number;
  readonly percent: number;
}

interface WireRoom {
  readonly level: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly reserveBytes: number;
}

interface WirePeer {
  readonly nodeId: string;
  readonly connected: boolean;
  readonly raftAddress?: string;
  readonly grpcAddress?: string;
  readonly httpAddress?: string;
  readonly matchIndex?: number;
  readonly lagBytes?: number;
}

const replyCodec = messageCodec<WireReply>('mqraft.BrokerReply');

export function encodeBrokerReply(reply: BrokerReply): Uint8Array {
  // The codec reads the fields that are there; the interface describes what decoding gives.
  return replyCodec.encode(wireReplyOf(reply) as unknown as WireReply);
}

/** @throws CodecError when the bytes are no reply, or one that this version does not know. */
export function decodeBrokerReply(bytes: Uint8Array): BrokerReply {
  const wire = replyCodec.decode(bytes);
  switch (wire.reply) {
    case 'failure': {
      const code = checkedWord(wire.failure.code, BROKER_ERROR_CODES, 'code');
      return { kind: 'failure', code, message: wire.failure.message };
    }
    case 'notLeader': {
      const leader = optionalOf(wire.notLeader, 'leader');
      return {
        kind: 'notLeader',
        term: Term(checkedInteger(wire.notLeader.term, 'term')),
        leader: leader === null ? null : checkedNodeId(leader, 'leader'),
      };
    }
    default:
      return { kind: 'answer', response: responseOf(wire) };
  }
}

function wireReplyOf(reply: BrokerReply): object {
  switch (reply.kind) {
    case 'failure':
      return { failure: { code: reply.code, message: reply.message } };
    case 'notLeader':
      return { notLeader: { term: reply.term, leader: reply.leader } };
    case 'answer':
      return { [reply.response.kind]: wireResponseOf(reply.response) };
    default:
      return unreachable(reply);
  }
}

function wireResponseOf(response: BrokerResponse): object {
  switch (response.kind) {
    case 'received':
      return { messages: response.messages.map(wireDeliveredOf) };
    case 'topicPut':
    case 'groupPut':
      return { flag: response.created };
    case 'topicDeleted':
      return { flag: response.existed };
    case 'topic':
      return response.topic;
    case 'group':
      return response.group;
    case 'status':
      return response.status;
    case 'sent':
    case 'acked':
    case 'invisibleChanged':
    case 'topicList':
    case 'deadLettered':
    case 'noted':
      return response;
    default:
      return unreachable(response);
  }
}

function wireDeliveredOf(message: DeliveredMessage): object {
  return {
    ...message,
    gzip: message.bodyEncoding === 'gzip',
    userProperties: propertiesOf(message.userProperties),
  };
}

function responseOf(wire: WireReply): BrokerResponse {
  const kind = wire.reply as BrokerResponse['kind'] | undefined;
  switch (kind) {
    case 'sent':
      return { kind, receipts: wire.sent.receipts.map(receiptOf) };
    case 'received':
      return { kind, messages: wire.received.messages.map(deliveredOf) };
    case 'acked':
      return {
        kind,
        outcomes: wire.acked.outcomes.map((word) => checkedWord(word, ACK_OUTCOMES, 'outcome')),
      };
    case 'invisibleChanged':
      return { kind, handle: wire.invisibleChanged.handle };
    case 'topicPut':
      return { kind, created: wire.topicPut.flag };
    case 'topicDeleted':
      return { kind, existed: wire.topicDeleted.flag };
    case 'topic':
      return { kind, topic: topicOf(wire.topic) };
    case 'topicList':
      return { kind, topics: wire.topicList.topics.map(topicOf) };
    case 'groupPut':
      return { kind, created: wire.groupPut.flag };
    case 'group':
      return { kind, group: groupOf(wire.group) };
    case 'status':
      return { kind, status: nodeOf(wire.status) };
    case 'deadLettered':
    case 'noted':
      return { kind };
    case undefined:
      throw new CodecError('A BrokerReply holds no answer that this version knows');
    default:
      return unreachable(kind);
  }
}

function receiptOf(wire: WireReceipt) {
  return {
    messageId: wire.messageId,
    queueId: wire.queueId,
    queueOffset: QueueOffset(checkedInteger(wire.queueOffset, 'queue_offset')),
    physicalOffset: PhysicalOffset(checkedInteger(wire.physicalOffset, 'physical_offset')),
    duplicate: wire.duplicate,
  };
}

function deliveredOf(wire: WireDelivered): DeliveredMessage {
  return {
    topic: wire.topic,
    messageId: wire.messageId,
    body: wire.body,
    bodyEncoding: wire.gzip ? 'gzip' : 'identity',
    tag: optionalOf(wire, 'tag'),
    keys: wire.keys,
    userProperties: recordOf(wire.userProperties),
    bornTimestampMs: checkedInteger(wire.bornTimestampMs, 'born_timestamp_ms'),
    bornHost: wire.bornHost,
    storeTimestampMs: checkedInteger(wire.storeTimestampMs, 'store_timestamp_ms'),
    storeHost: wire.storeHost,
    traceContext: optionalOf(wire, 'traceContext'),
    queueId: wire.queueId,
    queueOffset: QueueOffset(checkedInteger(wire.queueOffset, 'queue_offset')),
    attempt: wire.attempt,
    handle: wire.handle,
    invisibleMs: checkedInteger(wire.invisibleMs, 'invisible_ms'),
    deadLetterOf:
      wire.deadLetterOf === null
        ? null
        : { topic: wire.deadLetterOf.topic, messageId: wire.deadLetterOf.messageId },
  };
}

function topicOf(wire: WireTopic): TopicDescription {
  return {
    topic: wire.topic,
    queueCount: wire.queueCount,
    permission: wire.permission,
    messageTypes: wire.messageTypes,
    createdAtMs: checkedInteger(wire.createdAtMs, 'created_at_ms'),
    queues: wire.queues.map((queue) => ({
      queueId: queue.queueId,
      minOffset: QueueOffset(checkedInteger(queue.minOffset, 'min_offset')),
      nextOffset: QueueOffset(checkedInteger(queue.nextOffset, 'next_offset')),
    })),
  };
}

function groupOf(wire: WireGroup): GroupDescription {
  return {
    group: wire.group,
    maxAttempts: wire.maxAttempts,
    fifo: wire.fifo,
    createdAtMs: checkedInteger(wire.createdAtMs, 'created_at_ms'),
    queues: wire.queues.map((queue) => ({
      topic: queue.topic,
      queueId: queue.queueId,
      consumerOffset: QueueOffset(checkedInteger(queue.consumerOffset, 'consumer_offset')),
      nextOffset: QueueOffset(checkedInteger(queue.nextOffset, 'next_offset')),
      inFlightCount: queue.inFlightCount,
      lag: checkedInteger(queue.lag, 'lag'),
    })),
  };
}

function nodeOf(wire: WireNode): NodeReport {
  const leader = optionalOf(wire, 'leader');
  const disk = required(wire.disk, 'disk');
  const log = required(wire.log, 'log');
  return {
    nodeId: checkedNodeId(wire.nodeId, 'node_id'),
    clusterId: wire.clusterId,
    groupId: wire.groupId,
    storeUuid: wire.storeUuid,
    role: checkedWord(wire.role, ROLES, 'role'),
    term: Term(checkedInteger(wire.term, 'term')),
    leader: leader === null ? null : checkedNodeId(leader, 'leader'),
    serving: wire.serving,
    lastIndex: LogIndex(checkedInteger(wire.lastIndex, 'last_index')),
    durableIndex: LogIndex(checkedInteger(wire.durableIndex, 'durable_index')),
    commitIndex: LogIndex(checkedInteger(wire.commitIndex, 'commit_index')),
    appliedIndex: LogIndex(checkedInteger(wire.appliedIndex, 'applied_index')),
    peers: wire.peers.map(peerOf),
    disk: {
      syncCount: checkedInteger(disk.syncCount, 'sync_count'),
      writtenBytes: checkedInteger(disk.writtenBytes, 'written_bytes'),
      oldestPendingMs: disk.oldestPendingMs,
      syncMsP50: optionalOf(disk, 'syncMsP50'),
      syncMsP99: optionalOf(disk, 'syncMsP99'),
      room: disk.room === null ? null : roomOf(disk.room),
    },
    log: {
      firstIndex: LogIndex(checkedInteger(log.firstIndex, 'first_index')),
      keptBytes: checkedInteger(log.keptBytes, 'kept_bytes'),
      install: log.install === null ? null : installOf(log.install),
    },
  };
}

function installOf(wire: WireInstall): InstallReport {
  const index = optionalOf(wire, 'index');
  return {
    phase: checkedWord(wire.phase, INSTALL_PHASES, 'phase'),
    index: index === null ? null : LogIndex(checkedInteger(index, 'index')),
    percent: checkedInteger(wire.percent, 'percent'),
  };
}

function roomOf(wire: WireRoom): RoomReport {
  return {
    level: checkedWord(wire.level, ROOM_LEVELS, 'level'),
    totalBytes: checkedInteger(wire.totalBytes, 'total_bytes'),
    freeBytes: checkedInteger(wire.freeBytes, 'free_bytes'),
    reserveBytes: checkedInteger(wire.reserveBytes, 'reserve_bytes'),
  };
}

function peerOf(wire: WirePeer): NodeReport['peers'][number] {
  const matchIndex = optionalOf(wire, 'matchIndex');
  return {
    nodeId: checkedNodeId(wire.nodeId, 'node_id'),
    connected: wire.connected,
    raftAddress: optionalOf(wire, 'raftAddress'),
    grpcAddress: optionalOf(wire, 'grpcAddress'),
    httpAddress: optionalOf(wire, 'httpAddress'),
    matchIndex: matchIndex === null ? null : LogIndex(checkedInteger(matchIndex, 'match_index')),
    lagBytes: optionalOf(wire, 'lagBytes'),
  };
}

/** The value when the message carries the field; its prototype would give a default otherwise. */
function optionalOf<T extends object, K extends keyof T>(
  message: T,
  field: K,
): Exclude<T[K], undefined> | null {
  return Object.hasOwn(message, field)
    ? ((message[field] ?? null) as Exclude<T[K], undefined>)
    : null;
}
