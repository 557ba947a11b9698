/** The payload and padding of an entry whose header is good: its bytes, and what is wrong with them. */
import { crc32 } from '../../base/crc32.ts';
import { payloadProblem, storedSizeBytes } from '../../protocol/entry-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryDesc } from '../../raft/entry.ts';
import { SCAN_WINDOW_SIZE_BYTES } from '../limits.ts';
import { indexOfNonZero } from '../scan-remains.ts';
import { hex32 } from './damage.ts';
import type { WindowReader } from './window-reader.ts';

export type EntryBody =
  | { readonly kind: 'good'; readonly payload: Uint8Array }
  /** `payload` is null when it cannot be read. */
  | {
      readonly kind: 'bad';
      readonly payload: Uint8Array | null;
      readonly problem: BodyProblem;
    };

export interface BodyProblem {
  readonly kind: 'payload' | 'padding' | 'unreadable';
  readonly position: number;
  readonly sizeBytes: number;
  readonly expected: string;
  readonly found: string;
  /** As start-up calls it. */
  readonly word: string;
}

const UNREADABLE = 'nothing: the disk cannot read it (EIO), or the file ends';

/**
 * At once in the usual case, because a log may hold a hundred million entries.
 *
 * @param position of the header
 */
export function bodyOf(
  reader: WindowReader,
  position: number,
  desc: EntryDesc,
): EntryBody | Promise<EntryBody> {
  const sizeBytes = storedSizeBytes(desc);
  if (desc.type !== 'filler' && reader.has(position, sizeBytes)) {
    const bytes = reader.bytes(position, sizeBytes);
    if (payloadProblem(bytes, desc) === null)
      return { kind: 'good', payload: payloadIn(bytes, desc) };
  }
  return examined(reader, position, desc);
}

function payloadIn(bytes: Uint8Array, { payloadSizeBytes }: EntryDesc): Uint8Array {
  return bytes.subarray(ENTRY_HEADER_SIZE_BYTES, ENTRY_HEADER_SIZE_BYTES + payloadSizeBytes);
}

async function examined(
  reader: WindowReader,
  position: number,
  desc: EntryDesc,
): Promise<EntryBody> {
  const sizeBytes = storedSizeBytes(desc);
  const payloadAt = position + ENTRY_HEADER_SIZE_BYTES;
  const payloadEnd = payloadAt + desc.payloadSizeBytes;
  if (!(await reader.load(position, sizeBytes))) {
    const place = { position: payloadAt, sizeBytes: position + sizeBytes - payloadAt };
    return bad(null, {
      kind: 'unreadable',
      ...place,
      ...wording('a payload', UNREADABLE),
      word: 'EIO',
    });
  }
  const bytes = reader.bytes(position, sizeBytes);
  const payload = payloadIn(bytes, desc);
  const problem = payloadProblem(bytes, desc);
  if (problem === 'badPayloadCrc') {
    const place = { position: payloadAt, sizeBytes: desc.payloadSizeBytes };
    const words = wording(
      `payload CRC ${hex32(desc.payloadCrc)}`,
      `payload CRC ${hex32(crc32(payload))}`,
    );
    return bad(payload, { kind: 'payload', ...place, ...words, word: problem });
  }
  const zerosAt = problem === null ? position + sizeBytes : payloadEnd;
  const nonZeroAt = await firstNonZero(reader, zerosAt, position + desc.sizeBytes);
  if (nonZeroAt === null) return { kind: 'good', payload };
  const place = { position: nonZeroAt.position, sizeBytes: nonZeroAt.sizeBytes };
  if (!nonZeroAt.isReadable) {
    return bad(null, {
      kind: 'unreadable',
      ...place,
      ...wording('zeros', UNREADABLE),
      word: 'EIO',
    });
  }
  const where = desc.type === 'filler' ? 'behind the filler' : 'behind the payload';
  const words = wording(`zeros ${where}`, 'a byte that is not zero');
  return bad(null, { kind: 'padding', ...place, ...words, word: 'badPadding' });
}

function wording(expected: string, found: string) {
  return { expected, found };
}

function bad(payload: Uint8Array | null, problem: BodyProblem): EntryBody {
  return { kind: 'bad', payload, problem };
}

interface NonZero {
  readonly position: number;
  readonly sizeBytes: number;
  readonly isReadable: boolean;
}

async function firstNonZero(
  reader: WindowReader,
  from: number,
  to: number,
): Promise<NonZero | null> {
  for (let position = from; position < to; position += SCAN_WINDOW_SIZE_BYTES) {
    const sizeBytes = Math.min(SCAN_WINDOW_SIZE_BYTES, to - position);
    if (!(await reader.load(position, sizeBytes)))
      return { position, sizeBytes, isReadable: false };
    const at = indexOfNonZero(reader.bytes(position, sizeBytes));
    if (at !== null) return { position: position + at, sizeBytes: 1, isReadable: true };
  }
  return null;
}
