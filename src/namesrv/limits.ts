/** Bounds and times of the name server. */

/** RocketMQ's broker channel expiry: four missed registrations. */
export const SILENCE_MS_MAX = 120_000;
export const SCAN_INTERVAL_MS = 5_000;

/** Registrations kept; a fleet is tens of groups of three. More is a client gone wild. */
export const NODE_COUNT_MAX = 10_000;
/** Topics of one registration or question, about 1 MB of names: below gRPC's 4 MB message limit. */
export const TOPIC_COUNT_MAX = 30_000;
/** Pings to whoever is connected: a connection that says nothing is cut after the sum. */
export const KEEPALIVE_TIME_MS = 5_000;
export const KEEPALIVE_TIMEOUT_MS = 3_000;
/** How long a stop waits for calls in progress. */
export const CLOSE_GRACE_MS = 1_000;
