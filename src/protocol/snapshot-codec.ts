/**
 * What replicas say to each other about snapshots of derived state: proto/mqraft/snapshot.proto. Whether
 * a chunk is whole is said by the chunk itself (docs/format/snapshot.md).
 */
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import type { SnapshotDesc } from '../raft/entry.ts';
import {
  areCounts,
  readSnapshotDesc,
  type WireSnapshotDesc,
  wireSnapshotDesc,
} from './peer-messages.ts';
import { CodecError, messageCodec, serviceDefinition } from './schema.ts';

/** Who calls, and whom it means to call. */
export interface SnapshotCaller {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly bootId: string;
  readonly segmentSizeBytes: number;
  readonly toNodeId: string;
}

export interface OfferedSnapshot {
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  readonly logStart: { readonly index: LogIndex; readonly offset: PhysicalOffset };
  /** In hex digits. */
  readonly sha256: string;
  readonly chunkCount: number;
}

export interface SnapshotOffer {
  readonly caller: SnapshotCaller;
  readonly term: Term;
  readonly snapshot: OfferedSnapshot;
  /** What the log of the caller stands on. */
  readonly base: { readonly desc: SnapshotDesc | null; readonly headerCrc: number };
}

export interface SnapshotRead {
  readonly caller: SnapshotCaller;
  readonly snapshot: OfferedSnapshot;
  readonly number: number;
}

export interface SnapshotAsk {
  readonly caller: SnapshotCaller;
}

export interface WireFile {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly logStartIndex: number;
  readonly logStartOffset: number;
  readonly sha256: Uint8Array;
  readonly chunkCount: number;
}

export interface WireBase {
  readonly desc: WireSnapshotDesc | null;
  readonly headerCrc: number;
}

interface WireOffer {
  readonly caller: SnapshotCaller | null;
  readonly term: number;
  readonly snapshot: WireFile | null;
  readonly base?: WireBase | null;
}

interface WireRead {
  readonly caller: SnapshotCaller | null;
  readonly snapshot: WireFile | null;
  readonly number: number;
}

const SHA256_SIZE_BYTES = 32;
const TEXT_LENGTH_MAX = 256;

const offerCodec = messageCodec<WireOffer>('mqraft.SnapshotOffer');
const readCodec = messageCodec<WireRead>('mqraft.SnapshotRead');
const askCodec = messageCodec<{ readonly caller: SnapshotCaller | null }>('mqraft.SnapshotAsk');
const chunkCodec = messageCodec<{ readonly chunk?: Uint8Array }>('mqraft.SnapshotChunk');
const readyCodec = messageCodec<object>('mqraft.SnapshotReady');

export function encodeSnapshotOffer({ caller, term, snapshot, base }: SnapshotOffer): Uint8Array {
  const wired = wireBase(base);
  const named = wired === null ? {} : { base: wired };
  return offerCodec.encode({ caller, term, snapshot: wireFile(snapshot), ...named });
}

/** @throws CodecError when the bytes are no such offer. */
export function decodeSnapshotOffer(bytes: Uint8Array): SnapshotOffer {
  const wire = offerCodec.decode(bytes);
  require(areCounts(wire.term), 'a term out of range');
  return {
    caller: readCaller(wire.caller),
    term: Term(wire.term),
    snapshot: readFile(wire.snapshot),
    base: readBase(wire.base ?? null),
  };
}

export function encodeSnapshotRead({ caller, snapshot, number }: SnapshotRead): Uint8Array {
  return readCodec.encode({ caller, snapshot: wireFile(snapshot), number });
}

/** @throws CodecError when the bytes are no such question. */
export function decodeSnapshotRead(bytes: Uint8Array): SnapshotRead {
  const wire = readCodec.decode(bytes);
  const snapshot = readFile(wire.snapshot);
  require(wire.number < snapshot.chunkCount, 'a chunk behind the last one');
  return { caller: readCaller(wire.caller), snapshot, number: wire.number };
}

export function encodeSnapshotAsk(ask: SnapshotAsk): Uint8Array {
  return askCodec.encode(ask);
}

/** @throws CodecError when the bytes are no such question. */
export function decodeSnapshotAsk(bytes: Uint8Array): SnapshotAsk {
  return { caller: readCaller(askCodec.decode(bytes).caller) };
}

export function encodeSnapshotChunk(chunk: Uint8Array): Uint8Array {
  return chunkCodec.encode({ chunk });
}

/** @throws CodecError; keeps a reference to the bytes, which belong to nobody else */
export function decodeSnapshotChunk(bytes: Uint8Array): Uint8Array {
  const wire = chunkCodec.decode(bytes);
  require(Object.hasOwn(wire, 'chunk') && wire.chunk !== undefined, 'an answer without a chunk');
  return wire.chunk;
}

interface UnaryMethod<Request, Response> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: false;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (response: Response) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export type SnapshotReady = Readonly<Record<string, never>>;

export interface SnapshotMethods {
  readonly offer: UnaryMethod<SnapshotOffer, SnapshotReady>;
  readonly read: UnaryMethod<SnapshotRead, Uint8Array>;
  readonly newest: UnaryMethod<SnapshotAsk, SnapshotOffer>;
}

export function snapshotMethods(): SnapshotMethods {
  const service = serviceDefinition('mqraft.Snapshots');
  const pathOf = (name: string): string => service[name]!.path; // in snapshot.proto
  const unary = { requestStream: false, responseStream: false } as const;
  return {
    offer: {
      ...unary,
      path: pathOf('offer'),
      requestSerialize: (offer) => asBuffer(encodeSnapshotOffer(offer)),
      requestDeserialize: decodeSnapshotOffer,
      responseSerialize: (ready) => asBuffer(readyCodec.encode(ready)),
      responseDeserialize: () => ({}),
    },
    read: {
      ...unary,
      path: pathOf('read'),
      requestSerialize: (read) => asBuffer(encodeSnapshotRead(read)),
      requestDeserialize: decodeSnapshotRead,
      responseSerialize: (chunk) => asBuffer(encodeSnapshotChunk(chunk)),
      responseDeserialize: decodeSnapshotChunk,
    },
    newest: {
      ...unary,
      path: pathOf('newest'),
      requestSerialize: (ask) => asBuffer(encodeSnapshotAsk(ask)),
      requestDeserialize: decodeSnapshotAsk,
      responseSerialize: (offer) => asBuffer(encodeSnapshotOffer(offer)),
      responseDeserialize: decodeSnapshotOffer,
    },
  };
}

export function wireFile({ logStart, sha256, ...more }: OfferedSnapshot): WireFile {
  return {
    ...{ appliedIndex: more.appliedIndex, appliedTerm: more.appliedTerm },
    ...{ logStartIndex: logStart.index, logStartOffset: logStart.offset },
    sha256: Buffer.from(sha256, 'hex'),
    chunkCount: more.chunkCount,
  };
}

export function readFile(wire: WireFile | null): OfferedSnapshot {
  require(wire !== null, 'no snapshot');
  const { appliedIndex, appliedTerm, logStartIndex, logStartOffset, chunkCount } = wire;
  require(areCounts(
    appliedIndex,
    appliedTerm,
    logStartIndex,
    logStartOffset,
  ), 'a number out of range');
  require(chunkCount >= 2, 'fewer chunks than a snapshot has');
  const isWhole = Object.hasOwn(wire, 'sha256') && wire.sha256.length === SHA256_SIZE_BYTES;
  require(isWhole, 'no digest');
  return {
    appliedIndex: LogIndex(appliedIndex),
    appliedTerm: Term(appliedTerm),
    logStart: { index: LogIndex(logStartIndex), offset: PhysicalOffset(logStartOffset) },
    sha256: Buffer.from(wire.sha256).toString('hex'),
    chunkCount,
  };
}

/** null: of a log from which nothing was removed. */
export function wireBase({ desc, headerCrc }: SnapshotOffer['base']): WireBase | null {
  return desc === null ? null : { desc: wireSnapshotDesc(desc), headerCrc };
}

export function readBase(wire: WireBase | null): SnapshotOffer['base'] {
  if (wire === null) return { desc: null, headerCrc: 0 };
  const desc = readSnapshotDesc(wire.desc);
  require(desc !== null, 'a base that does not hold together');
  return { desc, headerCrc: wire.headerCrc };
}

function readCaller(wire: SnapshotCaller | null): SnapshotCaller {
  require(wire !== null, 'no caller');
  const { clusterId, groupId, nodeId, storeUuid, bootId, segmentSizeBytes, toNodeId } = wire;
  const texts = [clusterId, groupId, nodeId, storeUuid, bootId, toNodeId];
  require(texts.every((text) => text.length <= TEXT_LENGTH_MAX), 'a name that is too long');
  require(areCounts(segmentSizeBytes), 'a segment size out of range');
  return { clusterId, groupId, nodeId, storeUuid, bootId, segmentSizeBytes, toNodeId };
}

function require(condition: boolean, what: string): asserts condition {
  if (!condition) throw new CodecError(`Snapshot message: ${what}`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
