/** Bounds and times of the client. */

export const RECONNECT_MS_MIN = 100;
export const RECONNECT_MS_MAX = 1_000;

/** One name server gets this long before the next is asked. */
export const NAME_SERVER_TIMEOUT_MS = 1_000;
/** One node gets this long for an attempt; it waits for a leader itself for 2 s. */
export const ATTEMPT_TIMEOUT_MS = 3_000;
/** Between rounds over all nodes, doubled each time. */
export const RETRY_DELAY_MS_MIN = 50;
export const RETRY_DELAY_MS_MAX = 500;
/** Routes older than this are asked for again, and at once after a failed attempt. */
export const ROUTES_AGE_MS_MAX = 30_000;
/** A long poll may take its wait time, and this for the way there and back. */
export const LONG_POLL_SLACK_MS = 2_000;

export const STATUS_TIMEOUT_MS = 1_500;
