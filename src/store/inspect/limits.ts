/** Bounds of inspection, each with its reason. An inspection's memory depends on none of the log's. */
import { KIB } from '../../base/sizes.ts';

/** Where a read of a window fails, this much is read at a time: what a disk loses at once. */
export const PAGE_SIZE_BYTES = 4 * KIB;
/** Config entries are rare; of a log with more, the newest are shown. */
export const MEMBERSHIPS_KEPT_MAX = 64;
/** A tree of LMDB is never deeper: that would be 2^32 pages. */
export const DATABASE_DEPTH_MAX = 32;
