/** Big-endian access to our own byte formats. 64-bit numbers are safe integers or refused. */
import { assert } from './assert.ts';

const TWO_TO_32 = 2 ** 32;
/** The high word of the largest safe integer, exclusive. */
const HIGH_WORD_LIMIT = 2 ** 21;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function writeU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a u64 is a safe integer', () => ({ value }));
  view.setUint32(at, Math.floor(value / TWO_TO_32));
  view.setUint32(at + 4, value % TWO_TO_32);
}

/**
 * For bytes whose checksum has been verified: a high word out of range is a bug.
 * Bytes of a peer or a client go through {@link tryReadU64}.
 */
export function readU64(view: DataView, at: number): number {
  const value = tryReadU64(view, at);
  assert(value !== null, 'a verified u64 is a safe integer', () => ({ at }));
  return value;
}

/** @returns null when the value is beyond 2^53 - 1. */
export function tryReadU64(view: DataView, at: number): number | null {
  const high = view.getUint32(at);
  if (high >= HIGH_WORD_LIMIT) return null;
  return high * TWO_TO_32 + view.getUint32(at + 4);
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let sizeBytes = 0;
  for (const part of parts) sizeBytes += part.length;
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The same bytes in as few parts as can be without a copy: neighbours in one buffer become one. */
export function adjacentRuns(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const runs: Uint8Array[] = [];
  let first = 0;
  for (const [i, part] of parts.entries()) {
    const next = parts[i + 1];
    const goesOn =
      next !== undefined &&
      next.buffer === part.buffer &&
      next.byteOffset === part.byteOffset + part.byteLength;
    if (goesOn) continue;
    const { buffer, byteOffset } = parts[first] ?? part;
    const end = part.byteOffset + part.byteLength;
    runs.push(first === i ? part : new Uint8Array(buffer, byteOffset, end - byteOffset));
    first = i + 1;
  }
  return runs;
}

/** As `concatBytes`, without a copy when they are one run already. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const runs = adjacentRuns(parts);
  const [only] = runs;
  return runs.length === 1 && only !== undefined ? only : concatBytes(runs);
}
