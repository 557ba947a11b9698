/**
 * CRC-32 (IEEE polynomial), the checksum of every byte we keep or send: native in Node, several
 * GB/s. Algorithm id 1 in the segment header (design section 4).
 */
import { crc32 as zlibCrc32 } from 'node:zlib';

export const CRC32_ALGORITHM_ID = 1;

/** @returns an unsigned 32-bit value. `seed` continues a checksum over split bytes. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed);
}
