/** Bodies that say whose they are, and of which every byte can be checked. */
import { crc32 } from '../../../src/base/crc32.ts';

export interface BodyWords {
  readonly id: string;
  readonly producer: string;
  readonly sequence: number;
}

const FILLER = 0x2e;

/** `words|crc|` and then filler up to the size. */
export function bodyFor({ id, producer, sequence }: BodyWords, sizeBytes: number): Uint8Array {
  const words = `${id}|${producer}|${sequence}|`;
  const head = Buffer.from(`${words}${crc32(Buffer.from(words))}|`);
  const body = Buffer.alloc(Math.max(sizeBytes, head.length), FILLER);
  head.copy(body);
  return body;
}

/** null: not a body of this suite, or not as it was written. */
export function readBody(body: Uint8Array): BodyWords | null {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const [id, producer, sequence, crc] = bytes.subarray(0, 400).toString('latin1').split('|', 5);
  if (id === undefined || producer === undefined || sequence === undefined || crc === undefined) {
    return null;
  }
  const words = `${id}|${producer}|${sequence}|`;
  if (String(crc32(Buffer.from(words))) !== crc) return null;
  const headSizeBytes = words.length + crc.length + 1;
  for (let at = headSizeBytes; at < bytes.length; at++) if (bytes[at] !== FILLER) return null;
  return { id, producer, sequence: Number(sequence) };
}
