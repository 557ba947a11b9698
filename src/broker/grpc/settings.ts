/**
 * The settings that a client gets back: its own, word for word, with the server's part filled in.
 * Clients are particular: a producer without exponential backoff ends the Node process, a consumer
 * without batch size asks for nothing, and two languages understand only one kind of backoff each.
 */
import { CONSUME_LIMITS, DEFAULT_MAX_ATTEMPTS, MESSAGE_LIMITS } from '../limits.ts';
import { LONG_POLL_MS_MAX, PRODUCER_ATTEMPTS } from './limits.ts';
import { LANGUAGE } from './wire-enums.ts';
import { msToWireTime } from './wire-time.ts';
import type { BackoffPolicy, Publishing, Settings, Subscription, WireTime } from './wire-types.ts';

/** What the settings of a consumer depend on. */
export interface GroupTraits {
  readonly maxAttempts: number;
  readonly fifo: boolean;
}

export const DEFAULT_GROUP_TRAITS: GroupTraits = {
  maxAttempts: DEFAULT_MAX_ATTEMPTS,
  fifo: false,
};

const PRODUCER_BACKOFF = { initialMs: 10, maxMs: 1_000 };
const MULTIPLIER = 2;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** RocketMQ's delays before each next delivery; the last one repeats. */
const CONSUMER_DELAYS_MS = [
  ...[1, 5, 10, 30].map((seconds) => seconds * SECOND_MS),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2].map((hours) => hours * HOUR_MS),
];
/** For Node, which knows no list: from the first delay to the last, doubling. */
const NODE_CONSUMER_BACKOFF = { initialMs: SECOND_MS, maxMs: 2 * HOUR_MS };

/** @returns null when the settings belong to neither a producer nor a consumer */
export function answerSettings(settings: Settings, group: GroupTraits): Settings | null {
  const base = { ...settings, metric: { on: false } };
  if (settings.publishing !== null) {
    return { ...base, backoffPolicy: producerBackoff(), publishing: filled(settings.publishing) };
  }
  if (settings.subscription === null) return null;
  return {
    ...base,
    backoffPolicy: consumerBackoff(languageOf(settings), group.maxAttempts),
    subscription: filledSubscription(settings.subscription, group),
  };
}

/** The language that counts: the Node client says HTTP in its headers. */
export function languageOf(settings: Settings): number {
  return settings.userAgent?.language ?? 0;
}

function filled(publishing: Publishing): Publishing {
  return { ...publishing, maxBodySize: MESSAGE_LIMITS.bodySizeBytesMax, validateMessageType: true };
}

function filledSubscription(subscription: Subscription, group: GroupTraits): Subscription {
  return {
    ...subscription,
    fifo: group.fifo,
    receiveBatchSize: CONSUME_LIMITS.batchSizeMax,
    longPollingTimeout: msToWireTime(LONG_POLL_MS_MAX),
  };
}

function producerBackoff(): BackoffPolicy {
  return {
    maxAttempts: PRODUCER_ATTEMPTS,
    exponentialBackoff: {
      initial: msToWireTime(PRODUCER_BACKOFF.initialMs),
      max: msToWireTime(PRODUCER_BACKOFF.maxMs),
      multiplier: MULTIPLIER,
    },
  };
}

function consumerBackoff(language: number, maxAttempts: number): BackoffPolicy {
  if (language === LANGUAGE.nodeJs) {
    const { initialMs, maxMs } = NODE_CONSUMER_BACKOFF;
    const exponentialBackoff = {
      initial: msAsSeconds(initialMs),
      max: msAsSeconds(maxMs),
      multiplier: MULTIPLIER,
    };
    return { maxAttempts, exponentialBackoff };
  }
  return { maxAttempts, customizedBackoff: { next: CONSUMER_DELAYS_MS.map(msToWireTime) } };
}

/** The Node client reads the seconds of its backoff as milliseconds. */
function msAsSeconds(ms: number): WireTime {
  return { seconds: ms, nanos: 0 };
}
