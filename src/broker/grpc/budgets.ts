/**
 * How long a call may take. Clients give every call a gRPC deadline and read its expiry as a broken
 * connection, so we answer with a status a little before.
 */
import type { Clock } from '../../io/clock.ts';
import {
  ANSWER_MARGIN_MS,
  LONG_POLL_MS_MAX,
  POLL_ANSWER_MARGIN_MS,
  POLL_SLACK_MS,
  WORK_MS_DEFAULT,
  WORK_MS_MAX,
} from './limits.ts';

/** @param deadline as grpc-js has it: a Date, ms since the epoch, or Infinity for none */
export function remainingMs(deadline: Date | number, clock: Clock): number {
  return Math.max(0, Number(deadline) - clock.wallMs());
}

/** Budget of a unary call. Of a very short deadline, half is left for the way back. */
export function workMs(remaining: number): number {
  if (!Number.isFinite(remaining)) return WORK_MS_DEFAULT;
  return Math.min(WORK_MS_MAX, Math.max(remaining - ANSWER_MARGIN_MS, remaining / 2));
}

export interface PollBudget {
  /** How long to wait for the first message. */
  readonly waitMs: number;
  /** How long the call may take in all. */
  readonly totalMs: number;
}

/**
 * @param requestedMs null: the client gave a deadline only, of which half a request timeout is meant
 *   for the way there and back
 */
export function pollBudget(
  requestedMs: number | null,
  remaining: number,
  requestTimeoutMs: number,
): PollBudget {
  const wantedMs = requestedMs ?? Math.max(0, remaining - requestTimeoutMs / 2);
  const answerInMs = Math.max(remaining - POLL_ANSWER_MARGIN_MS, remaining / 2);
  const waitMs = Math.min(wantedMs, LONG_POLL_MS_MAX, answerInMs);
  return { waitMs, totalMs: Math.min(answerInMs, waitMs + POLL_SLACK_MS) };
}
