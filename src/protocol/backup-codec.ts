/**
 * Backups on the wire: proto/mqraft/backup.proto. Every chunk carries a CRC of its own, beside those of the entries
 * in it: what is damaged on the way is known before anything of it is written.
 */
import { crc32 } from '../base/crc32.ts';
import { LogIndex } from '../base/units.ts';
import type { BackupBegin, BackupMark, BackupOffer, EntriesPull, SnapshotPull } from './backup.ts';
import { decodeMembership, encodeMembership } from './membership-codec.ts';
import { areCounts } from './peer-messages.ts';
import { CodecError, messageCodec, serviceDefinition } from './schema.ts';
import {
  readBase,
  readFile,
  type WireBase,
  type WireFile,
  wireBase,
  wireFile,
} from './snapshot-codec.ts';

interface WireMark {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  readonly leads: boolean;
  readonly committedIndex: number;
}

interface WireBegin {
  readonly holder: string;
  readonly firstIndex: number;
  readonly snapshot?: WireFile | null;
}

interface WireOffer {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  readonly segmentSizeBytes: number;
  readonly version: string;
  readonly base?: WireBase | null;
  readonly snapshot: WireFile | null;
  readonly committedIndex: number;
  readonly foundationIndex: number;
  readonly foundation: Uint8Array;
}

interface WireSnapshotPull {
  readonly holder: string;
  readonly snapshot: WireFile | null;
  readonly number: number;
  readonly bytesPerSecond: number;
}

const TEXT_LENGTH_MAX = 256;

const askCodec = messageCodec<object>('mqraft.BackupAsk');
const markCodec = messageCodec<WireMark>('mqraft.BackupMark');
const beginCodec = messageCodec<WireBegin>('mqraft.BackupBegin');
const offerCodec = messageCodec<WireOffer>('mqraft.BackupOffer');
const snapshotPullCodec = messageCodec<WireSnapshotPull>('mqraft.BackupSnapshotPull');
const entriesPullCodec = messageCodec<EntriesPull>('mqraft.BackupEntriesPull');
const chunkCodec = messageCodec<{ readonly bytes?: Uint8Array; readonly crc: number }>(
  'mqraft.BackupChunk',
);

export function encodeBackupMark({ committedIndex, ...names }: BackupMark): Uint8Array {
  const leads = committedIndex !== null;
  return markCodec.encode({ ...names, leads, committedIndex: committedIndex ?? 0 });
}

/** All decoders here: @throws CodecError when the bytes are not that message. */
export function decodeBackupMark(bytes: Uint8Array): BackupMark {
  const wire = markCodec.decode(bytes);
  const { clusterId, groupId, nodeId } = wire;
  requireTexts(clusterId, groupId, nodeId);
  requireCounts(wire.committedIndex);
  const committedIndex = wire.leads ? LogIndex(wire.committedIndex) : null;
  return { clusterId, groupId, nodeId, committedIndex };
}

export function encodeBackupBegin({ holder, firstIndex, snapshot }: BackupBegin): Uint8Array {
  const file = snapshot === null ? {} : { snapshot: wireFile(snapshot) };
  return beginCodec.encode({ holder, firstIndex, ...file });
}

export function decodeBackupBegin(bytes: Uint8Array): BackupBegin {
  const { holder, firstIndex, snapshot } = beginCodec.decode(bytes);
  requireTexts(holder);
  requireCounts(firstIndex);
  const isNamed = snapshot !== undefined && snapshot !== null;
  return { holder, firstIndex, snapshot: isNamed ? readFile(snapshot) : null };
}

export function encodeBackupOffer(offer: BackupOffer): Uint8Array {
  const { base, snapshot, foundation, ...rest } = offer;
  const wired = wireBase(base);
  return offerCodec.encode({
    ...rest,
    ...(wired === null ? {} : { base: wired }),
    snapshot: wireFile(snapshot),
    foundationIndex: foundation.index,
    foundation: encodeMembership(foundation.membership),
  });
}

export function decodeBackupOffer(bytes: Uint8Array): BackupOffer {
  const wire = offerCodec.decode(bytes);
  const { clusterId, groupId, nodeId, segmentSizeBytes, version, committedIndex } = wire;
  requireTexts(clusterId, groupId, nodeId, version);
  requireCounts(segmentSizeBytes, committedIndex, wire.foundationIndex);
  const decoded = decodeMembership(wire.foundation);
  if (decoded.kind === 'problem') throw new CodecError(`Backup message: ${decoded.problem}`);
  const index = LogIndex(wire.foundationIndex);
  return {
    ...{ clusterId, groupId, nodeId, segmentSizeBytes, version },
    base: readBase(wire.base ?? null),
    snapshot: readFile(wire.snapshot),
    committedIndex: LogIndex(committedIndex),
    foundation: { index, membership: decoded.membership },
  };
}

export function encodeSnapshotPull({ snapshot, ...rest }: SnapshotPull): Uint8Array {
  return snapshotPullCodec.encode({ ...rest, snapshot: wireFile(snapshot) });
}

export function decodeSnapshotPull(bytes: Uint8Array): SnapshotPull {
  const { holder, snapshot, number, bytesPerSecond } = snapshotPullCodec.decode(bytes);
  requireTexts(holder);
  requireCounts(number, bytesPerSecond);
  return { holder, snapshot: readFile(snapshot), number, bytesPerSecond };
}

export function encodeEntriesPull(pull: EntriesPull): Uint8Array {
  return entriesPullCodec.encode(pull);
}

export function decodeEntriesPull(bytes: Uint8Array): EntriesPull {
  const wire = entriesPullCodec.decode(bytes);
  const { holder, firstIndex, lastIndex, prevHeaderCrc, bytesPerSecond } = wire;
  requireTexts(holder);
  requireCounts(firstIndex, lastIndex, bytesPerSecond);
  if (firstIndex < 1 || lastIndex < firstIndex) {
    throw new CodecError(`Not a range of entries: ${firstIndex} to ${lastIndex}`);
  }
  return { holder, firstIndex, lastIndex, prevHeaderCrc, bytesPerSecond };
}

export function encodeBackupChunk(bytes: Uint8Array): Uint8Array {
  return chunkCodec.encode({ bytes, crc: crc32(bytes) });
}

/** The answer keeps a reference to the bytes, which belong to nobody else. */
export function decodeBackupChunk(message: Uint8Array): Uint8Array {
  const { bytes, crc } = chunkCodec.decode(message);
  if (bytes === undefined || bytes.length === 0) throw new CodecError('Backup message: no bytes');
  if (crc32(bytes) !== crc) throw new CodecError('Backup message: a chunk was damaged on its way');
  return bytes;
}

interface Method<Request, Response> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: boolean;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (response: Response) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface BackupMethods {
  readonly mark: Method<object, BackupMark>;
  readonly begin: Method<BackupBegin, BackupOffer>;
  readonly snapshot: Method<SnapshotPull, Uint8Array>;
  readonly entries: Method<EntriesPull, Uint8Array>;
}

export function backupMethods(): BackupMethods {
  const service = serviceDefinition('mqraft.Backups');
  const named = (name: string) => {
    const { path, responseStream } = service[name]!; // in backup.proto
    return { path, responseStream, requestStream: false } as const;
  };
  const chunks = {
    responseSerialize: (bytes: Uint8Array) => asBuffer(encodeBackupChunk(bytes)),
    responseDeserialize: decodeBackupChunk,
  };
  return {
    mark: {
      ...named('mark'),
      requestSerialize: (ask) => asBuffer(askCodec.encode(ask)),
      requestDeserialize: () => ({}),
      responseSerialize: (mark) => asBuffer(encodeBackupMark(mark)),
      responseDeserialize: decodeBackupMark,
    },
    begin: {
      ...named('begin'),
      requestSerialize: (begin) => asBuffer(encodeBackupBegin(begin)),
      requestDeserialize: decodeBackupBegin,
      responseSerialize: (offer) => asBuffer(encodeBackupOffer(offer)),
      responseDeserialize: decodeBackupOffer,
    },
    snapshot: {
      ...named('snapshot'),
      ...chunks,
      requestSerialize: (pull) => asBuffer(encodeSnapshotPull(pull)),
      requestDeserialize: decodeSnapshotPull,
    },
    entries: {
      ...named('entries'),
      ...chunks,
      requestSerialize: (pull) => asBuffer(encodeEntriesPull(pull)),
      requestDeserialize: decodeEntriesPull,
    },
  };
}

function requireTexts(...texts: readonly string[]): void {
  if (texts.every((text) => text.length <= TEXT_LENGTH_MAX)) return;
  throw new CodecError('Backup message: a name that is too long');
}

function requireCounts(...numbers: readonly number[]): void {
  if (!areCounts(...numbers)) throw new CodecError('Backup message: a number out of range');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
