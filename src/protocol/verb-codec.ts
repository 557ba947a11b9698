/**
 * Broker.Call between nodes (proto/mqraft/broker.proto): the envelope of a forwarded verb and its
 * way to bytes and back. Replies are in verb-reply-codec.ts.
 *
 * The wire shapes have the names of the verbs, so encoding passes the verb through; decoding copies
 * field by field, because a decoded message has its defaults on the prototype only and because what
 * a peer says is checked before it becomes a branded number.
 */
import { unreachable } from '../base/assert.ts';
import { Term } from '../base/units.ts';
import { CodecError, type MethodDefinition, messageCodec, serviceDefinition } from './schema.ts';
import { decodeBrokerReply, encodeBrokerReply } from './verb-reply-codec.ts';
import {
  checkedInteger,
  propertiesOf,
  recordOf,
  required,
  type WireProperty,
} from './verb-wire.ts';
import type { BrokerReply, BrokerRequest, OutgoingMessage, SendRequest } from './verbs.ts';

/** A verb on its way to another node. */
export interface BrokerCall {
  /** What is left of the caller's time. */
  readonly remainingMs: number;
  /** How often the call was forwarded; a forwarded call is never forwarded again. */
  readonly hops: number;
  /** The term in which the caller believes the asked node to lead; 0 when it does not know. */
  readonly leaderTerm: Term;
  /** An earlier try ended without an answer: its effect may be there already. */
  readonly retried: boolean;
  readonly request: BrokerRequest;
}

interface WireCall {
  readonly remainingMs: number;
  readonly hops: number;
  readonly leaderTerm: number;
  readonly retried: boolean;
  /** Name of the case that is set. */
  readonly request: string | undefined;
  readonly send: { readonly messages: readonly WireOutgoing[] };
  readonly receive: {
    readonly group: string;
    readonly topic: string;
    readonly tags: readonly string[];
    readonly batchSize: number;
    readonly invisibleMs: number;
    readonly autoRenew: boolean;
    readonly waitMs: number;
    readonly clientId: string;
    readonly attemptId: string;
  };
  readonly ack: {
    readonly group: string;
    readonly topic: string;
    readonly handles: readonly string[];
  };
  readonly changeInvisible: {
    readonly group: string;
    readonly topic: string;
    readonly handle: string;
    readonly invisibleMs: number;
  };
  readonly deadLetter: {
    readonly group: string;
    readonly topic: string;
    readonly handle: string;
    readonly messageId: string;
  };
  readonly topicPut: { readonly topic: string; readonly queueCount: number };
  readonly topicDelete: { readonly topic: string };
  readonly topicDescribe: { readonly topic: string };
  readonly groupPut: { readonly group: string; readonly maxAttempts: number };
  readonly groupDescribe: { readonly group: string };
  readonly clientSeen: { readonly clientId: string };
  readonly clientGone: { readonly clientId: string };
}

interface WireOutgoing {
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
}

const callCodec = messageCodec<WireCall>('mqraft.BrokerCall');

export function encodeBrokerCall(call: BrokerCall): Uint8Array {
  const { request } = call;
  const wire = {
    remainingMs: Math.max(0, Math.floor(call.remainingMs)),
    hops: call.hops,
    leaderTerm: call.leaderTerm,
    retried: call.retried,
    [request.kind]: wireRequestOf(request),
  };
  // The codec reads the fields that are there; the interface describes what decoding gives.
  return callCodec.encode(wire as unknown as WireCall);
}

/** @throws CodecError when the bytes are no call, or name a verb this version does not know. */
export function decodeBrokerCall(bytes: Uint8Array): BrokerCall {
  const wire = callCodec.decode(bytes);
  return {
    remainingMs: wire.remainingMs,
    hops: wire.hops,
    leaderTerm: Term(checkedInteger(wire.leaderTerm, 'leader_term')),
    retried: wire.retried,
    request: requestOf(wire),
  };
}

/** The Broker service with verbs instead of wire shapes on both sides. */
export function brokerServiceDefinition(): { readonly call: MethodDefinition } {
  const definition = required(serviceDefinition('mqraft.Broker')['call'], 'Broker.Call');
  return {
    call: {
      ...definition,
      // grpc-js hands over what this module's own types describe, typed as object.
      requestSerialize: (call) => asBuffer(encodeBrokerCall(call as BrokerCall)),
      requestDeserialize: decodeBrokerCall,
      responseSerialize: (reply) => asBuffer(encodeBrokerReply(reply as BrokerReply)),
      responseDeserialize: decodeBrokerReply,
    },
  };
}

function wireRequestOf(request: BrokerRequest): object {
  if (request.kind === 'send') return { messages: request.messages.map(wireOutgoingOf) };
  if (request.kind === 'receive') return { ...request, tags: request.filter.tags };
  return request;
}

function wireOutgoingOf(message: OutgoingMessage): object {
  return {
    ...message,
    gzip: message.bodyEncoding === 'gzip',
    userProperties: propertiesOf(message.userProperties),
  };
}

function requestOf(wire: WireCall): BrokerRequest {
  const kind = wire.request as BrokerRequest['kind'] | undefined;
  switch (kind) {
    case 'send':
      return sendOf(wire.send.messages);
    case 'receive':
      return receiveOf(wire.receive);
    case 'ack': {
      const { group, topic, handles } = wire.ack;
      return { kind, group, topic, handles };
    }
    case 'changeInvisible': {
      const { group, topic, handle } = wire.changeInvisible;
      const invisibleMs = checkedInteger(wire.changeInvisible.invisibleMs, 'invisible_ms');
      return { kind, group, topic, handle, invisibleMs };
    }
    case 'deadLetter': {
      const { group, topic, handle, messageId } = wire.deadLetter;
      return { kind, group, topic, handle, messageId };
    }
    case 'topicPut':
      return { kind, topic: wire.topicPut.topic, queueCount: wire.topicPut.queueCount };
    case 'topicDelete':
      return { kind, topic: wire.topicDelete.topic };
    case 'topicDescribe':
      return { kind, topic: wire.topicDescribe.topic };
    case 'groupPut':
      return { kind, group: wire.groupPut.group, maxAttempts: wire.groupPut.maxAttempts };
    case 'groupDescribe':
      return { kind, group: wire.groupDescribe.group };
    case 'clientSeen':
      return { kind, clientId: wire.clientSeen.clientId };
    case 'clientGone':
      return { kind, clientId: wire.clientGone.clientId };
    case 'topicList':
    case 'status':
      return { kind };
    case undefined:
      throw new CodecError('A BrokerCall names no verb that this version knows');
    default:
      return unreachable(kind);
  }
}

function sendOf(messages: readonly WireOutgoing[]): SendRequest {
  return {
    kind: 'send',
    messages: messages.map((wire) => ({
      topic: wire.topic,
      messageId: wire.messageId,
      body: wire.body,
      bodyEncoding: wire.gzip ? 'gzip' : 'identity',
      tag: Object.hasOwn(wire, 'tag') ? (wire.tag ?? null) : null,
      keys: wire.keys,
      userProperties: recordOf(wire.userProperties),
      bornTimestampMs: checkedInteger(wire.bornTimestampMs, 'born_timestamp_ms'),
      bornHost: wire.bornHost,
      traceContext: Object.hasOwn(wire, 'traceContext') ? (wire.traceContext ?? null) : null,
    })),
  };
}

function receiveOf(wire: WireCall['receive']): BrokerRequest {
  return {
    kind: 'receive',
    group: wire.group,
    topic: wire.topic,
    filter: { tags: wire.tags },
    batchSize: wire.batchSize,
    invisibleMs: checkedInteger(wire.invisibleMs, 'invisible_ms'),
    autoRenew: wire.autoRenew,
    waitMs: wire.waitMs,
    clientId: wire.clientId,
    attemptId: wire.attemptId,
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
