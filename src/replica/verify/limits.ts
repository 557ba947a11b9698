/** Bounds of verifying on demand. */

/** A checkpoint that was asked for just now is applied here within this time, or not waited for. */
export const CHECKPOINT_WAIT_MS_MAX = 10_000;
export const CHECKPOINT_POLL_MS = 50;
/** Damage that is told one by one; all of it is counted. */
export const DAMAGES_TOLD_MAX = 20;
/** One sign of life. */
export const PROGRESS_INTERVAL_MS = 200;
/** Before what was found has consequences: the last frames leave meanwhile. */
export const VERDICT_DELIVERY_MS = 500;
