/**
 * Canonical keys (kv-store.ts: one character per byte). Numbers are big-endian, so that the order of
 * keys is the order of numbers; texts carry their length, so that no key is a prefix of another's text.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import type { KvKey } from './kv-store.ts';
import { INDEX_KEY_SIZE_BYTES_MAX } from './limits.ts';

const TWO_TO_32 = 2 ** 32;
const TEXT_SIZE_BYTES_MAX = 0xffff;

/** First byte of every key. docs/format/derived-state.md describes the rows. */
export const TABLE = {
  /** What operators have decided, and the audit trail: admin-table.ts. */
  admin: 'A',
  /** What this replica was at the last checkpoints, and should have been. */
  checkpoint: 'C',
  /** Topics deleted while the log still has messages of theirs. */
  deletedTopic: 'D',
  /** Messages that repeat an id which was in the de-duplication window when they came. */
  repeat: 'E',
  group: 'G',
  inFlight: 'I',
  journalChunk: 'J',
  key: 'K',
  meta: 'M',
  journalMeta: 'N',
  progress: 'P',
  queueChunk: 'Q',
  queueRange: 'R',
  /** Which topics a group has received from. */
  subscription: 'S',
  topic: 'T',
  uniqueKey: 'U',
  windowMeta: 'W',
  /** Topics deleted whose rows are still being removed. */
  purge: 'X',
  /** How far dead rows of messages are removed. */
  trim: 'Y',
} as const;

/** UTF-8 bytes as a binary string. Texts in ASCII, nearly all, are their own. */
export function binaryOf(text: string): string {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return Buffer.from(text).toString('latin1');
  }
  return text;
}

export function textOf(binary: string): string {
  for (let i = 0; i < binary.length; i++) {
    if (binary.charCodeAt(i) > 0x7f) return Buffer.from(binary, 'latin1').toString();
  }
  return binary;
}

export function u32Key(value: number): string {
  return String.fromCharCode(
    value >>> 24,
    (value >>> 16) & 0xff,
    (value >>> 8) & 0xff,
    value & 0xff,
  );
}

export function u64Key(value: number): string {
  return u32Key(Math.floor(value / TWO_TO_32)) + u32Key(value % TWO_TO_32);
}

/** The larger the number, the smaller the key: newest first. */
export function invertedU64Key(value: number): string {
  return u64Key(Number.MAX_SAFE_INTEGER - value);
}

export function textKey(text: string): string {
  const binary = binaryOf(text);
  assert(binary.length <= TEXT_SIZE_BYTES_MAX, 'a text in a key fits its length');
  return String.fromCharCode(binary.length >>> 8, binary.length & 0xff) + binary;
}

/** A key or message id of any length, exactly or, if it is long, by its SHA-256. Binary in and out. */
export function indexedKey(binary: string): string {
  if (binary.length <= INDEX_KEY_SIZE_BYTES_MAX) {
    return String.fromCharCode(0, binary.length) + binary;
  }
  const digest = createHash('sha256').update(binary, 'latin1').digest();
  return String.fromCharCode(1, digest.length) + digest.toString('latin1');
}

export function readU32Key(key: KvKey, at: number): number {
  return (
    key.charCodeAt(at) * 2 ** 24 +
    ((key.charCodeAt(at + 1) << 16) | (key.charCodeAt(at + 2) << 8) | key.charCodeAt(at + 3))
  );
}

export function readU64Key(key: KvKey, at: number): number {
  return readU32Key(key, at) * TWO_TO_32 + readU32Key(key, at + 4);
}

export function readInvertedU64Key(key: KvKey, at: number): number {
  return Number.MAX_SAFE_INTEGER - readU64Key(key, at);
}

/** Every key is in between. */
export const FIRST_KEY: KvKey = '\x01';
export const END_KEY: KvKey = '\xff';

/** One past every key that starts with the prefix. */
export function prefixEnd(prefix: KvKey): KvKey {
  for (let at = prefix.length - 1; at >= 0; at--) {
    const code = prefix.charCodeAt(at);
    if (code < 0xff) return prefix.slice(0, at) + String.fromCharCode(code + 1);
  }
  assert(false, 'a prefix starts with a table letter');
}
