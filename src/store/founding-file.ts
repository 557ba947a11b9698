/**
 * The file `founding` of a node that joined its group later: the store uuid that its token was used for,
 * and, once the group has taken it in, with whom the group was founded - what its log stands on until a
 * config entry says otherwise. A founder has no such file: its operator says the same at each start.
 *
 *     magic u32 | version u32 | body size u32 | CRC-32 of the body u32 | mqraft.Founding
 *
 * It is written twice, whole each time: with the uuid before the token is used, so that a crash between
 * does not burn the token; with the group before the first byte of the log. It never changes afterwards.
 */
import { viewOf } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { FatalError } from '../base/errors.ts';
import type { NodeId } from '../base/units.ts';
import type { Disk } from '../io/disk.ts';
import { CodecError, messageCodec } from '../protocol/schema.ts';
import { count, listOf, nodeId, optional, record, text } from '../protocol/wire-reader.ts';

export interface Founding {
  readonly nodeId: NodeId;
  readonly storeUuid: string;
  /** null: not taken in yet. */
  readonly group: FoundedGroup | null;
}

export interface FoundedGroup {
  readonly clusterId: string;
  readonly groupId: string;
  readonly segmentSizeBytes: number;
  readonly founders: readonly { readonly nodeId: NodeId; readonly raftAddress: string }[];
}

/** `MQF1`. */
const MAGIC = 0x4d514631;
const MAGIC_AT = 0;
const VERSION_AT = MAGIC_AT + 4;
const BODY_SIZE_AT = VERSION_AT + 4;
const BODY_CRC_AT = BODY_SIZE_AT + 4;
export const FOUNDING_HEADER_SIZE_BYTES = BODY_CRC_AT + 4;
const VERSION = 1;
const FILE_NAME = 'founding';

const codec = messageCodec<object>('mqraft.Founding');

const group = record<FoundedGroup>({
  clusterId: text,
  groupId: text,
  segmentSizeBytes: count,
  founders: listOf(record<FoundedGroup['founders'][number]>({ nodeId, raftAddress: text })),
});
const founding = record<Founding>({ nodeId, storeUuid: text, group: optional(group) });

/** null: the node is a founder, or has no store yet. @throws FatalError when it cannot be understood */
export async function readFounding(disk: Disk, directory: string): Promise<Founding | null> {
  const path = `${directory}/${FILE_NAME}`;
  const sizeBytes = await disk.sizeOf(path);
  if (sizeBytes === null) return null;
  const bytes = await disk.read(path, 0, sizeBytes);
  const decoded = decodeFounding(bytes);
  if (decoded !== null) return decoded;
  throw new FatalError(
    'identityRefused',
    `Cannot start: ${path} is damaged, so this node does not know with whom its group was founded. ` +
      'Restore the file from a backup, or replace the node by a new one with a new id',
  );
}

/** Durable when it resolves. */
export function writeFounding(disk: Disk, directory: string, value: Founding): Promise<void> {
  return disk.writeFile(`${directory}/${FILE_NAME}`, encodeFounding(value));
}

export function encodeFounding(value: Founding): Uint8Array {
  const body = codec.encode(value);
  const bytes = new Uint8Array(FOUNDING_HEADER_SIZE_BYTES + body.length);
  const view = viewOf(bytes);
  view.setUint32(MAGIC_AT, MAGIC);
  view.setUint32(VERSION_AT, VERSION);
  view.setUint32(BODY_SIZE_AT, body.length);
  view.setUint32(BODY_CRC_AT, crc32(body));
  bytes.set(body, FOUNDING_HEADER_SIZE_BYTES);
  return bytes;
}

/** null for bytes that are no such file of this version. */
export function decodeFounding(bytes: Uint8Array): Founding | null {
  if (bytes.length < FOUNDING_HEADER_SIZE_BYTES) return null;
  const view = viewOf(bytes);
  const body = bytes.subarray(FOUNDING_HEADER_SIZE_BYTES);
  const isWhole =
    view.getUint32(MAGIC_AT) === MAGIC &&
    view.getUint32(VERSION_AT) === VERSION &&
    view.getUint32(BODY_SIZE_AT) === body.length &&
    view.getUint32(BODY_CRC_AT) === crc32(body);
  if (!isWhole) return null;
  try {
    return founding({ file: codec.decode(body) }, 'file');
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return null;
  }
}
