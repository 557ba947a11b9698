/** Bounds and times of the client. */

export const RECONNECT_MS_MIN = 100;
export const RECONNECT_MS_MAX = 1_000;

/** One name server gets this long before the next is asked. */
export const NAME_SERVER_TIMEOUT_MS = 1_000;
/** One node gets this long for an attempt; it waits for a leader itself for 2 s. */
export const ATTEMPT_TIMEOUT_MS = 3_000;
/** One node gets this long for a change of the group, which is several entries, one after the other. */
export const CHANGE_ATTEMPT_TIMEOUT_MS = 10_000;
/** Between rounds over all nodes, doubled each time. */
export const RETRY_DELAY_MS_MIN = 50;
export const RETRY_DELAY_MS_MAX = 500;
/** Routes older than this are asked for again, and at once after a failed attempt. */
export const ROUTES_AGE_MS_MAX = 30_000;
/** A long poll may take its wait time, and this for the way there and back. */
export const LONG_POLL_SLACK_MS = 2_000;

export const STATUS_TIMEOUT_MS = 1_500;

/**
 * A host name is asked for again at each reconnection, but not more often than this: a machine may come
 * back with another address, and 30 s (the default of gRPC) is as long as an outage.
 */
export const RESOLVE_AGAIN_MS_MIN = 250;

/** Nodes of a cluster talk directly; a proxy of the environment is for the world outside. */
export const DIRECT_CHANNEL = {
  'grpc.dns_min_time_between_resolutions_ms': RESOLVE_AGAIN_MS_MIN,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_retries': 0,
} as const;
/** A node that answers no ping for so long does not verify anything any more. */
export const VERIFY_KEEPALIVE_MS = 10_000;

/** A leader confirms that it leads with a round of heartbeats. */
export const BACKUP_MARK_TIMEOUT_MS = 3_000;
/** A young group takes its first snapshot when the first backup is begun. */
export const BACKUP_BEGIN_TIMEOUT_MS = 30_000;
/** At the slowest rate that may be asked for, a chunk comes within this time. */
export const BACKUP_SILENCE_MS_MAX = 30_000;
/** A chunk with the largest entry, and its envelope. */
export const BACKUP_MESSAGE_SIZE_BYTES_MAX = 64 * 1024 * 1024;
