/** Bounds of the snapshots that a replica keeps, each with its reason. */

/** The newest, and the one before it in case the newest turns out to be damaged. */
export const SNAPSHOTS_KEPT = 2;
