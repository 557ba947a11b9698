/**
 * Admin.Call (proto/mqraft/admin.proto): requests and answers of administration on their way to bytes and
 * back. The wire shapes have the names of the values, so encoding passes them through.
 */
import { unreachable } from '../base/assert.ts';
import {
  ADMIN_FAILURES,
  type AdminCall,
  type AdminReply,
  type AdminRequest,
  type AdminResponse,
  NO_OPTIONS,
} from './admin.ts';
import {
  catchup,
  changed,
  changeOptions,
  checkReport,
  events,
  features,
  grant,
  health,
  members,
  planned,
} from './admin-wire.ts';
import { CodecError, type MethodDefinition, messageCodec, serviceDefinition } from './schema.ts';
import { required } from './verb-wire.ts';
import { count, flag, listOf, nodeId, optional, record, term, text } from './wire-reader.ts';

const callCodec = messageCodec<object>('mqraft.AdminCall');
const replyCodec = messageCodec<object>('mqraft.AdminReply');

export function encodeAdminCall(call: AdminCall): Uint8Array {
  const { hops, stale, options, request } = call;
  const remainingMs = Math.max(0, Math.floor(call.remainingMs));
  return callCodec.encode({ remainingMs, hops, stale, options, [request.kind]: wireOf(request) });
}

/** @throws CodecError when the bytes are no call, or ask for what this version does not know. */
export function decodeAdminCall(bytes: Uint8Array): AdminCall {
  const wire = callCodec.decode(bytes);
  return {
    remainingMs: count(wire, 'remainingMs'),
    hops: count(wire, 'hops'),
    stale: flag(wire, 'stale'),
    request: requestOf(wire),
    options: optional(changeOptions)(wire, 'options') ?? NO_OPTIONS,
  };
}

export function encodeAdminReply(reply: AdminReply): Uint8Array {
  switch (reply.kind) {
    case 'failure':
    case 'notLeader':
      return replyCodec.encode({ [reply.kind]: reply });
    case 'answer':
      return replyCodec.encode({ [reply.response.kind]: bodyOf(reply.response) });
    default:
      return unreachable(reply);
  }
}

/** @throws CodecError when the bytes are no reply that this version knows. */
export function decodeAdminReply(bytes: Uint8Array): AdminReply {
  const wire = replyCodec.decode(bytes);
  const kind = caseOf(wire, 'reply');
  if (kind === 'failure') return { kind, ...failure(wire, kind) };
  if (kind === 'notLeader') return { kind, ...notLeader(wire, kind) };
  return { kind: 'answer', response: responseOf(wire, kind) };
}

/** The Admin service with values instead of wire shapes on both sides. */
export function adminServiceDefinition(): { readonly call: MethodDefinition } {
  const definition = required(serviceDefinition('mqraft.Admin')['call'], 'Admin.Call');
  return {
    call: {
      ...definition,
      // grpc-js hands over what this module's own types describe, typed as object.
      requestSerialize: (call) => asBuffer(encodeAdminCall(call as AdminCall)),
      requestDeserialize: decodeAdminCall,
      responseSerialize: (reply) => asBuffer(encodeAdminReply(reply as AdminReply)),
      responseDeserialize: decodeAdminReply,
    },
  };
}

function wireOf(request: AdminRequest): object {
  if (request.kind !== 'join') return request;
  const { diskFreeBytes } = request;
  return { ...request, diskFreeBytes: diskFreeBytes ?? 0, isDiskKnown: diskFreeBytes !== null };
}

const failure = record({ code: codeReader, message: text });
const notLeader = record({ term, leader: optional(nodeId) });
const byNode = record({ nodeId });
const byNodes = record({ nodeIds: listOf(nodeId) });
const eventsRequest = record({ afterSequence: count, countMax: count });
const addRequest = record({ nodeId, raftAddress: text });
const replaceRequest = record({ oldNodeId: nodeId, newNodeId: nodeId, raftAddress: text });
const transferRequest = record({ to: optional(nodeId) });
const finalizeRequest = record({ level: count });
const joinRequest = record({
  token: text,
  nodeId,
  storeUuid: text,
  raftAddress: text,
  clusterId: text,
  groupId: text,
  diskFreeBytes: count,
  isDiskKnown: flag,
});

function codeReader(wire: object, name: string) {
  const code = text(wire, name);
  // A newer node may know more ways to fail: the sentence still says which.
  return ADMIN_FAILURES.find((known) => known === code) ?? 'internal';
}

function requestOf(wire: object): AdminRequest {
  const kind = caseOf(wire, 'request');
  switch (kind) {
    case 'members':
    case 'health':
    case 'check':
    case 'features':
    case 'unlock':
    case 'rollingRestart':
      return { kind };
    case 'events':
      return { kind, ...eventsRequest(wire, kind) };
    case 'promote':
    case 'remove':
      return { kind, ...byNodes(wire, kind) };
    case 'catchup':
    case 'drain':
    case 'undrain':
    case 'snapshot':
    case 'scrub':
      return { kind, ...byNode(wire, kind) };
    case 'add':
      return { kind, ...addRequest(wire, kind) };
    case 'replace':
      return { kind, ...replaceRequest(wire, kind) };
    case 'transfer':
      return { kind, ...transferRequest(wire, kind) };
    case 'finalizeFeatures':
      return { kind, ...finalizeRequest(wire, kind) };
    case 'join': {
      const { isDiskKnown, diskFreeBytes, ...asked } = joinRequest(wire, kind);
      return { kind, ...asked, diskFreeBytes: isDiskKnown ? diskFreeBytes : null };
    }
    default:
      throw new CodecError('An AdminCall asks for nothing that this version knows');
  }
}

/** Which case of a `oneof` is set; empty: none that this version knows. */
function caseOf(wire: object, name: 'request' | 'reply'): string {
  // A computed property of the message, undefined when none is set.
  const value: unknown = (wire as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' ? value : '';
}

function bodyOf(response: AdminResponse): object {
  switch (response.kind) {
    case 'members':
    case 'check':
    case 'events':
    case 'catchup':
    case 'features':
      return response.report;
    case 'health':
      return response.health;
    case 'planned':
    case 'refused':
    case 'changed':
      return response;
    case 'granted':
      return response.grant;
    default:
      return unreachable(response);
  }
}

function responseOf(wire: object, kind: string): AdminResponse {
  switch (kind) {
    case 'members':
      return { kind, report: members(wire, kind) };
    case 'health':
      return { kind, health: health(wire, kind) };
    case 'check':
      return { kind, report: checkReport(wire, kind) };
    case 'events':
      return { kind, report: events(wire, kind) };
    case 'catchup':
      return { kind, report: catchup(wire, kind) };
    case 'features':
      return { kind, report: features(wire, kind) };
    case 'planned':
    case 'refused':
      return { kind, ...planned(wire, kind) };
    case 'changed':
      return { kind, ...changed(wire, kind) };
    case 'granted':
      return { kind, grant: grant(wire, kind) };
    default:
      throw new CodecError('An AdminReply says nothing that this version knows');
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
