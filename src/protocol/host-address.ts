/**
 * `ip:port` as RocketMQ stores it in a message record: 4 or 16 address bytes, then the port as a
 * 32-bit number. Text form of IPv6 is `[2001:db8::1]:port` (RFC 5952); unbracketed input is read too.
 */
import { assert } from '../base/assert.ts';

export interface HostAddress {
  /** 4 bytes for IPv4, 16 for IPv6. */
  readonly ip: Uint8Array;
  readonly port: number;
}

export const IPV4_SIZE_BYTES = 4;
export const IPV6_SIZE_BYTES = 16;
const IPV6_WORD_COUNT = 8;
const PORT_MAX = 0xffff;
const DIGIT_ZERO = 0x30;
const IPV4_DIGITS_MAX = 3;

/** @returns null when the text is not a literal address with a port. */
export function parseHostAddress(text: string): HostAddress | null {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return null;
  const portText = text.slice(colon + 1);
  if (!/^\d{1,5}$/.test(portText)) return null;
  const port = Number(portText);
  if (port > PORT_MAX) return null;
  const literal = text.slice(0, colon);
  const bare = literal.startsWith('[') && literal.endsWith(']') ? literal.slice(1, -1) : literal;
  const ip = bare.includes(':') ? parseIpv6(bare) : parseIpv4(bare);
  return ip === null ? null : { ip, port };
}

export function formatHostAddress({ ip, port }: HostAddress): string {
  if (ip.length === IPV4_SIZE_BYTES) return `${ip.join('.')}:${port}`;
  assert(ip.length === IPV6_SIZE_BYTES, 'an address has 4 or 16 bytes');
  return `[${formatIpv6(ip)}]:${port}`;
}

/** Four decimal numbers. By hand, because the leader does it for every message. */
function parseIpv4(text: string): Uint8Array | null {
  const ip = new Uint8Array(IPV4_SIZE_BYTES);
  let part = 0;
  let digitCount = 0;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - DIGIT_ZERO;
    if (digit >= 0 && digit <= 9 && digitCount < IPV4_DIGITS_MAX) {
      value = value * 10 + digit;
      digitCount++;
    } else if (text[i] === '.' && digitCount > 0 && part < IPV4_SIZE_BYTES - 1) {
      ip[part++] = value;
      digitCount = 0;
      value = 0;
    } else {
      return null;
    }
    if (value > 0xff) return null;
  }
  if (part !== IPV4_SIZE_BYTES - 1 || digitCount === 0) return null;
  ip[part] = value;
  return ip;
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = expandDottedTail(text)?.split('::');
  if (halves === undefined || halves.length > 2) return null;
  const head = parseWords(halves[0] ?? '');
  const tail = parseWords(halves[1] ?? '');
  if (head === null || tail === null) return null;
  const missing = IPV6_WORD_COUNT - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const ip = new Uint8Array(IPV6_SIZE_BYTES);
  for (const [i, word] of [...head, ...new Array<number>(missing).fill(0), ...tail].entries()) {
    ip[2 * i] = word >>> 8;
    ip[2 * i + 1] = word & 0xff;
  }
  return ip;
}

/** `::ffff:10.0.0.1` as `::ffff:a00:1`; null when the dotted tail is wrong. */
function expandDottedTail(text: string): string | null {
  if (!text.includes('.')) return text;
  const at = text.lastIndexOf(':') + 1;
  const ip = parseIpv4(text.slice(at));
  if (ip === null) return null;
  const [a = 0, b = 0, c = 0, d = 0] = ip;
  return `${text.slice(0, at)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function parseWords(text: string): number[] | null {
  if (text === '') return [];
  const words: number[] = [];
  for (const part of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
    words.push(Number.parseInt(part, 16));
  }
  return words;
}

/** The longest run of at least two zero words becomes `::`, the first one among equals. */
function formatIpv6(ip: Uint8Array): string {
  const words = Array.from({ length: IPV6_WORD_COUNT }, (_, i) => {
    return ((ip[2 * i] ?? 0) << 8) | (ip[2 * i + 1] ?? 0);
  });
  let runAt = 0;
  let runLength = 0;
  for (let at = 0; at < IPV6_WORD_COUNT; at++) {
    let length = 0;
    while (words[at + length] === 0) length++;
    if (length > runLength) {
      runAt = at;
      runLength = length;
    }
  }
  const hex = words.map((word) => word.toString(16));
  if (runLength < 2) return hex.join(':');
  return `${hex.slice(0, runAt).join(':')}::${hex.slice(runAt + runLength).join(':')}`;
}
