/**
 * What replicas say to each other about lost entries: proto/mqraft/repair.proto. Entries travel as they
 * are on disk; whoever asked checks them against his own log (store/repair/), so a frame needs no
 * checksum of its own.
 */
import { LogIndex, Term } from '../base/units.ts';
import type { EntryDesc, EntryId } from '../raft/entry.ts';
import { decodeEntryHeader, storedSizeBytes } from './entry-codec.ts';
import { CodecError, type MethodDefinition, messageCodec, serviceDefinition } from './schema.ts';

export interface RepairRead {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  readonly segmentSizeBytes: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly fromEnd: boolean;
  readonly sizeBytesMax: number;
}

export interface RepairHead {
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly committed: EntryId;
  readonly sizeBytes: number;
  readonly isUnderRepair: boolean;
  readonly firstIndex: LogIndex;
}

export type RepairFrame =
  | { readonly kind: 'head'; readonly head: RepairHead }
  | { readonly kind: 'entries'; readonly bytes: Uint8Array };

/** Words with which a node answers whoever wants something else of it meanwhile. */
export const UNDER_REPAIR = 'Under repair';

interface WireHead {
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly committedIndex: number;
  readonly committedTerm: number;
  readonly sizeBytes: number;
  readonly isUnderRepair: boolean;
  readonly firstIndex: number;
}

interface WireFrame {
  readonly head?: WireHead;
  readonly entries?: Uint8Array;
}

const readCodec = messageCodec<RepairRead>('mqraft.RepairRead');
const frameCodec = messageCodec<WireFrame>('mqraft.RepairFrame');
const TEXT_LENGTH_MAX = 256;

export function encodeRepairRead(read: RepairRead): Uint8Array {
  return readCodec.encode(read);
}

/** @throws CodecError when the bytes are no such question. */
export function decodeRepairRead(bytes: Uint8Array): RepairRead {
  const wire = readCodec.decode(bytes);
  const { firstIndex, lastIndex, sizeBytesMax, segmentSizeBytes } = wire;
  const numbers = [firstIndex, lastIndex, sizeBytesMax, segmentSizeBytes];
  if (!numbers.every(isCount) || firstIndex < 1 || lastIndex < firstIndex) {
    throw new CodecError(`Not a range of entries: ${firstIndex} to ${lastIndex}`);
  }
  const { clusterId, groupId, nodeId, fromEnd } = wire;
  if (![clusterId, groupId, nodeId].every((text) => text.length <= TEXT_LENGTH_MAX)) {
    throw new CodecError('A name in a question for entries is too long');
  }
  return {
    clusterId,
    groupId,
    nodeId,
    segmentSizeBytes,
    firstIndex,
    lastIndex,
    fromEnd,
    sizeBytesMax,
  };
}

export function encodeRepairFrame(frame: RepairFrame): Uint8Array {
  if (frame.kind === 'entries') return frameCodec.encode({ entries: frame.bytes });
  const { committed, ...rest } = frame.head;
  const { index: committedIndex, term: committedTerm } = committed;
  return frameCodec.encode({ head: { ...rest, committedIndex, committedTerm } });
}

/**
 * Entries are a part of `bytes`, and nearly all of it: they are not copied. A frame is a buffer of its own.
 * @throws CodecError when the bytes are no such frame.
 */
export function decodeRepairFrame(bytes: Uint8Array): RepairFrame {
  const wire = frameCodec.decode(bytes);
  if (Object.hasOwn(wire, 'entries') && wire.entries !== undefined) {
    const { buffer, byteOffset, byteLength } = wire.entries;
    return { kind: 'entries', bytes: new Uint8Array(buffer, byteOffset, byteLength) };
  }
  const { head } = wire;
  if (!head) throw new CodecError('A frame of an answer with entries is empty');
  const { nodeId, storeUuid, committedIndex, committedTerm, sizeBytes, isUnderRepair } = head;
  if (![committedIndex, committedTerm, sizeBytes, head.firstIndex].every(isCount)) {
    throw new CodecError('A number in the head of an answer with entries is out of range');
  }
  const committed = { index: LogIndex(committedIndex), term: Term(committedTerm) };
  // A node that says nothing of it keeps everything.
  const firstIndex = LogIndex(Math.max(1, head.firstIndex));
  const names = { nodeId, storeUuid };
  return { kind: 'head', head: { ...names, committed, sizeBytes, isUnderRepair, firstIndex } };
}

/** Cuts an answer into its entries, without judging them. @returns the problem in words */
export function splitEntries(
  bytes: Uint8Array,
): readonly { readonly desc: EntryDesc; readonly bytes: Uint8Array }[] | string {
  const entries: { desc: EntryDesc; bytes: Uint8Array }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const decoded = decodeEntryHeader(bytes, at);
    if (decoded.kind !== 'header') return `a bad entry came: ${decoded.kind}`;
    const { desc } = decoded.header;
    const end = at + storedSizeBytes(desc);
    if (end > bytes.length) return `entry ${desc.index} is cut off`;
    entries.push({ desc, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return entries;
}

export type RepairMethod = Pick<MethodDefinition, 'path' | 'requestStream' | 'responseStream'> & {
  readonly requestSerialize: (read: RepairRead) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => RepairRead;
  readonly responseSerialize: (frame: RepairFrame) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => RepairFrame;
};

export function repairMethod(): RepairMethod {
  const method = serviceDefinition('mqraft.Repair')['read']!; // in repair.proto
  return {
    path: method.path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: (read) => asBuffer(encodeRepairRead(read)),
    requestDeserialize: decodeRepairRead,
    responseSerialize: (frame) => asBuffer(encodeRepairFrame(frame)),
    responseDeserialize: decodeRepairFrame,
  };
}

/** The same bytes, for a library that wants a Buffer. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
