/** Durations and timestamps of protobuf, from and to milliseconds. */
import type { WireTime } from './wire-types.ts';

const MS_PER_SECOND = 1_000;
const NANOS_PER_MS = 1_000_000;
const NANOS_MAX = 999_999_999;

/**
 * Fractions of a millisecond are dropped.
 *
 * @returns null for what no client means: negative, nanos out of range, beyond exact numbers
 */
export function wireTimeToMs(time: WireTime): number | null {
  const { seconds, nanos } = time;
  if (!Number.isSafeInteger(seconds) || seconds < 0) return null;
  if (nanos < 0 || nanos > NANOS_MAX) return null;
  const ms = seconds * MS_PER_SECOND + Math.floor(nanos / NANOS_PER_MS);
  return Number.isSafeInteger(ms) ? ms : null;
}

export function msToWireTime(ms: number): WireTime {
  const wholeMs = Math.floor(ms);
  const seconds = Math.floor(wholeMs / MS_PER_SECOND);
  return { seconds, nanos: (wholeMs - seconds * MS_PER_SECOND) * NANOS_PER_MS };
}
