/** Bounds of derived state. Those marked LOG decide what apply does: changing one changes the format. */
import { KIB } from '../../base/sizes.ts';

/** Version of all keys and values; another one in the database means rebuild. */
export const DERIVED_FORMAT_VERSION = 1;

/** LOG. Messages whose ids are remembered: at 100 k/s the last ten seconds, which covers any retry. */
export const DEDUP_WINDOW_COUNT_MAX = 1_000_000;
/**
 * LOG. Messages whose ids are remembered however old: when a leader with a fast clock takes over, the
 * retries of the last leader's producers must still be recognised.
 */
export const DEDUP_WINDOW_COUNT_MIN = 65_536;
/** LOG. Store time over which ids are remembered: producers give up long before. */
export const DEDUP_WINDOW_MS = 10 * 60 * 1000;
/** LOG. Rows of deleted topics removed with each applied entry: bounds the work of one apply. */
export const PURGE_ROWS_PER_ENTRY = 256;
/** LOG. Longer keys and message ids are indexed by their SHA-256, within LMDB's bound of 1978 bytes. */
export const INDEX_KEY_SIZE_BYTES_MAX = 255;

/** Queues whose last chunk stays in memory after a flush: 1.8 KB each. */
export const HOT_TAILS_MAX = 4096;
/** Full consume queue chunks kept after reading: consumers walk through them unit by unit. */
export const CHUNK_CACHE_MAX = 1024;
/** Progress of (group, topic, queue) kept in memory: every poll reads it. */
export const PROGRESS_CACHE_MAX = 16_384;
/** Pending changes that start a commit by themselves: handing them over takes some milliseconds. */
export const AUTO_FLUSH_CHANGES = 4096;
/** Values share blocks of this size until they are committed. */
export const ROW_BLOCK_SIZE_BYTES = 64 * KIB;
