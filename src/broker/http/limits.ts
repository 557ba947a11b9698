/** Bounds and times of the HTTP endpoint: it serves probes and scrapers, a handful of small requests. */
import { KIB } from '../../base/sizes.ts';

export const HEADER_SIZE_BYTES_MAX = 8 * KIB;
export const REQUEST_MS_MAX = 5_000;
/** How often connections are looked at; Node's own default is as long as six slow requests. */
export const CONNECTION_CHECK_MS = 1_000;
export const IDLE_CONNECTION_MS_MAX = 30_000;
export const CONNECTION_COUNT_MAX = 256;
export const REQUESTS_PER_CONNECTION_MAX = 1_000;

/** A write older than this: the disk does not answer, and restarting the process may help. */
export const LIVE_DISK_STALL_MS_MAX = 30_000;
/** A write older than this: send clients to another node. */
export const READY_DISK_STALL_MS_MAX = 5_000;
/** Committed entries not applied yet; a healthy node is a few entries behind at any moment. */
export const READY_APPLY_LAG_MAX = 1_024;

/** Step at which the event loop's delay is sampled. */
export const EVENT_LOOP_RESOLUTION_MS = 10;
