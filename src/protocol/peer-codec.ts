/**
 * Frames between replicas: docs/format/peer-protocol.md, schema in proto/mqraft/peer.proto.
 *
 * Entries travel as the bytes that are on every disk and are never encoded again; their descriptors
 * are read from their own headers. Whatever a peer sends is either a frame that holds together or a
 * problem in words; no input throws.
 */
import { viewOf, writeU64 } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { Term } from '../base/units.ts';
import type { EntryId } from '../raft/entry.ts';
import type { Message } from '../raft/messages.ts';
import { membershipsIn } from './membership-codec.ts';
import { type ReceivedEntry, readEntries } from './peer-entries.ts';
import {
  areCounts,
  readEntryId,
  readMessage,
  type WireMessage,
  wireMessage,
} from './peer-messages.ts';
import { CodecError, messageCodec } from './schema.ts';

export type { ReceivedEntry } from './peer-entries.ts';

export const PEER_PROTOCOL_VERSION = 2;

/** Who a node is and what it assumes; both ends must agree on all but the node's own part. */
export interface PeerIdentity {
  readonly protocolVersion: number;
  readonly clusterId: string;
  readonly groupId: string;
  /** Decoded: fit to be a NodeId. */
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly bootCount: number;
  /** What this start of the store was called, then those before it; the oldest are forgotten. */
  readonly bootIds: readonly string[];
  /** Durable at the sender, as is `last`: what it said in an earlier life is not above them. */
  readonly term: Term;
  readonly last: EntryId;
  readonly segmentSizeBytes: number;
  /** The config entry that brought the membership in force; 0: the group's founding. */
  readonly membershipIndex: number;
  /** Of that membership, sorted. */
  readonly voters: readonly string[];
  readonly addresses: { readonly raft: string; readonly grpc: string; readonly http: string };
}

export interface PeerHello {
  readonly from: PeerIdentity;
  readonly toNodeId: string;
}

export type PeerContent =
  | { readonly kind: 'hello'; readonly hello: PeerHello }
  | { readonly kind: 'welcome'; readonly from: PeerIdentity }
  | { readonly kind: 'refused'; readonly code: string; readonly sentence: string }
  | { readonly kind: 'message'; readonly message: Message };

export type DecodedFrame =
  | {
      readonly kind: 'frame';
      readonly content: PeerContent;
      /** Of an appendRequest; empty for all else. */
      readonly entries: readonly ReceivedEntry[];
    }
  | { readonly kind: 'problem'; readonly problem: string };

interface WireFrame {
  readonly sequence: number;
  readonly crc: number;
  readonly body: Uint8Array;
  readonly entries: Uint8Array;
}

interface WireIdentity {
  readonly protocolVersion: number;
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly bootCount: number;
  readonly bootIds: readonly string[];
  readonly term: number;
  readonly last: { readonly term: number; readonly index: number } | null;
  readonly segmentSizeBytes: number;
  readonly membershipIndex: number;
  readonly voters: readonly string[];
  readonly raftAddress: string;
  readonly grpcAddress: string;
  readonly httpAddress: string;
}

/** Exactly one member is present, here or among the messages. */
interface WireBody extends WireMessage {
  readonly hello?: { readonly from: WireIdentity | null; readonly toNodeId: string };
  readonly welcome?: WireIdentity;
  readonly refused?: { readonly code: string; readonly sentence: string };
}

const frameCodec = messageCodec<WireFrame>('mqraft.PeerFrame');
const bodyCodec = messageCodec<WireBody>('mqraft.PeerBody');
const NO_BYTES = new Uint8Array(0);
/** Of each text in an identity: refusals repeat them to the other side and to the log. */
const TEXT_LENGTH_MAX = 256;
/** Receivers keep it for ever, of each member. */
const STORE_UUID_LENGTH_MAX = 36;
const BOOT_ID_COUNT_MAX = 64;
const VOTER_COUNT_MAX = 64;
const SENTENCE_LENGTH_MAX = 4096;

/** @param entries the bytes of an appendRequest's entries, in order */
export function encodePeerFrame(
  sequence: number,
  content: PeerContent,
  entries: readonly Uint8Array[],
): Uint8Array {
  const body = bodyCodec.encode(bodyOf(content));
  const joined = joinEntries(entries);
  const crc = frameCrc(sequence, body, joined);
  return frameCodec.encode({ sequence, crc, body, entries: joined });
}

/** The answer keeps no reference to `bytes`. */
export function decodePeerFrame(bytes: Uint8Array, expectedSequence: number): DecodedFrame {
  try {
    const wire = frameCodec.decode(bytes);
    // The schema's default for absent bytes is an empty array, not empty bytes.
    const body = Object.hasOwn(wire, 'body') ? wire.body : NO_BYTES;
    const entries = Object.hasOwn(wire, 'entries') ? wire.entries : NO_BYTES;
    const { sequence, crc } = wire;
    return readFrame({ sequence, crc, body, entries }, expectedSequence);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return problem(error.message);
  }
}

function readFrame(frame: WireFrame, expectedSequence: number): DecodedFrame {
  if (frame.sequence !== expectedSequence) {
    return problem(`frame ${frame.sequence} came instead of ${expectedSequence}`);
  }
  if (frame.crc !== frameCrc(frame.sequence, frame.body, frame.entries)) {
    return problem(`the CRC of frame ${frame.sequence} is wrong`);
  }
  const content = readBody(bodyCodec.decode(frame.body));
  if (content === null) return problem(`frame ${frame.sequence} has no valid content`);
  if (content.kind !== 'message' || content.message.kind !== 'appendRequest') {
    if (frame.entries.length > 0) return problem(`frame ${frame.sequence} has stray entries`);
    return { kind: 'frame', content, entries: [] };
  }
  // One copy, because the bytes will live in the log's cache and the frame aliases a socket buffer
  // that may be larger and is reused (H32). `slice` of a Buffer would not copy.
  const entries = readEntries(new Uint8Array(frame.entries), content.message.prev);
  if (typeof entries === 'string') return problem(entries);
  const lastTerm = entries.at(-1)?.desc.term ?? content.message.prev.term;
  if (lastTerm > content.message.term) return problem('an entry is of a later term than its frame');
  const decoded = membershipsIn(entries);
  if (decoded.kind === 'problem') return decoded;
  const message = {
    ...content.message,
    entries: entries.map((entry) => entry.desc),
    memberships: decoded.memberships,
  };
  return { kind: 'frame', content: { kind: 'message', message }, entries };
}

function problem(words: string): DecodedFrame {
  return { kind: 'problem', problem: words };
}

function frameCrc(sequence: number, body: Uint8Array, entries: Uint8Array): number {
  const head = new Uint8Array(8);
  writeU64(viewOf(head), 0, sequence);
  return crc32(entries, crc32(body, crc32(head)));
}

function joinEntries(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length === 0) return NO_BYTES;
  // One entry per message is the usual case under load: no copy.
  if (entries.length === 1) return entries[0]!;
  return Buffer.concat(entries);
}

function bodyOf(content: PeerContent): WireBody {
  switch (content.kind) {
    case 'hello':
      return {
        hello: { from: wireIdentity(content.hello.from), toNodeId: content.hello.toNodeId },
      };
    case 'welcome':
      return { welcome: wireIdentity(content.from) };
    case 'refused':
      return { refused: { code: content.code, sentence: content.sentence } };
    case 'message':
      return wireMessage(content.message);
  }
}

function wireIdentity(identity: PeerIdentity): WireIdentity {
  const { addresses, ...rest } = identity;
  return {
    ...rest,
    raftAddress: addresses.raft,
    grpcAddress: addresses.grpc,
    httpAddress: addresses.http,
  };
}

function readBody(body: WireBody): PeerContent | null {
  if (body.hello) {
    const { toNodeId } = body.hello;
    const from = areShort(toNodeId) ? readIdentity(body.hello.from) : null;
    return from && { kind: 'hello', hello: { from, toNodeId } };
  }
  if (body.welcome) {
    const from = readIdentity(body.welcome);
    return from && { kind: 'welcome', from };
  }
  if (body.refused) {
    const { code, sentence } = body.refused;
    return { kind: 'refused', code, sentence: sentence.slice(0, SENTENCE_LENGTH_MAX) };
  }
  const message = readMessage(body);
  return message && { kind: 'message', message };
}

function readIdentity(wire: WireIdentity | null): PeerIdentity | null {
  if (!wire || !areCounts(wire.bootCount, wire.segmentSizeBytes, wire.membershipIndex)) {
    return null;
  }
  // Absent in earlier versions of the protocol, which must be understood to be refused in words.
  const last = readEntryId(wire.last ?? { term: 0, index: 0 });
  if (last === null || !areCounts(wire.term) || last.term > wire.term) return null;
  if (wire.bootIds.length > Math.min(wire.bootCount, BOOT_ID_COUNT_MAX)) return null;
  if (wire.protocolVersion === PEER_PROTOCOL_VERSION && wire.bootIds.length === 0) return null;
  if (!wire.bootIds.every((id) => /^[0-9a-f]{16}$/.test(id))) return null;
  const { clusterId, groupId, nodeId, storeUuid, raftAddress, grpcAddress, httpAddress } = wire;
  if (!areShort(clusterId, groupId, nodeId) || storeUuid.length > STORE_UUID_LENGTH_MAX)
    return null;
  // The rule of NodeId(), which asserts and is therefore not for what others send.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(nodeId)) return null;
  if (wire.voters.length > VOTER_COUNT_MAX) return null;
  if (!areShort(raftAddress, grpcAddress, httpAddress, ...wire.voters)) return null;
  return {
    protocolVersion: wire.protocolVersion,
    clusterId,
    groupId,
    nodeId,
    storeUuid,
    bootCount: wire.bootCount,
    bootIds: [...wire.bootIds],
    term: Term(wire.term),
    last,
    segmentSizeBytes: wire.segmentSizeBytes,
    membershipIndex: wire.membershipIndex,
    voters: [...wire.voters],
    addresses: { raft: raftAddress, grpc: grpcAddress, http: httpAddress },
  };
}

function areShort(...texts: readonly string[]): boolean {
  return texts.every((text) => text.length <= TEXT_LENGTH_MAX);
}
