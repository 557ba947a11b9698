/** Answers of Broker.Call: the way to bytes and back. Calls and the reasons are in verb-codec.ts. */
import { unreachable } from '../base/assert.ts';
import { PhysicalOffset, QueueOffset, Term } from '../base/units.ts';
import { nodeReportOf, type WireNode } from './node-report-codec.ts';
import { CodecError, messageCodec } from './schema.ts';
import {
  checkedInteger,
  checkedNodeId,
  checkedWord,
  optionalOf,
  propertiesOf,
  recordOf,
  type WireProperty,
} from './verb-wire.ts';
import {
  type AckOutcome,
  BROKER_ERROR_CODES,
  type BrokerReply,
  type BrokerResponse,
  type DeliveredMessage,
  type GroupDescription,
  type TopicDescription,
} from './verbs.ts';

const ACK_OUTCOMES = ['ok', 'staleHandle', 'invalidHandle'] as const satisfies AckOutcome[];

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
      return { kind, status: nodeReportOf(wire.status) };
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
