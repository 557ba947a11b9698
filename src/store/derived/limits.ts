/** Bounds of derived state. Those marked LOG decide what apply does: changing one changes the format. */
import { KIB, MIB } from '../../base/sizes.ts';

/** Version of all keys and values; another one in the database means rebuild. */
export const DERIVED_FORMAT_VERSION = 3;

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
/**
 * LOG. Dead messages whose rows go with each applied entry: some, and twice as many as it brings new
 * ones, so that what is dead never grows faster than it goes.
 */
export const TRIMMED_MESSAGES_PER_ENTRY = 64;
export const TRIMMED_MESSAGES_PER_MESSAGE = 2;
/** LOG. Longer keys and message ids are indexed by their SHA-256, within LMDB's bound of 1978 bytes. */
export const INDEX_KEY_SIZE_BYTES_MAX = 255;

/** LOG. Lines of the audit trail that are kept: years of an operator's work, read into memory at start. */
export const AUDIT_LINES_MAX = 1_000;
/** LOG. Tokens, used and unused: as many as a group may have members. */
export const JOIN_TOKENS_MAX = 32;
/** LOG. Nodes that have left: as many as a membership can name. */
export const RETIRED_NODES_MAX = 256;
/** LOG. Checkpoints whose notes stay: enough for a replica that was away for a while to compare. */
export const CHECKPOINTS_KEPT_MAX = 16;

/** Queues whose last chunk stays in memory after a flush: 1.8 KB each. */
export const HOT_TAILS_MAX = 4096;
/** Full consume queue chunks kept after reading: consumers walk through them unit by unit. */
export const CHUNK_CACHE_MAX = 1024;
/** Journal chunks in memory, beside the last: for its readers, each of which walks upwards. */
export const JOURNAL_CACHE_MAX = 16;
/** Progress of (group, topic, queue) kept in memory: every poll reads it. */
export const PROGRESS_CACHE_MAX = 16_384;
/** Pending changes that start a commit by themselves: handing them over takes some milliseconds. */
export const AUTO_FLUSH_CHANGES = 4096;
/** A commit that found no room on the disk is tried again after this time. */
export const NO_ROOM_RETRY_MS = 1_000;
/** Values share blocks of this size until they are committed. */
export const ROW_BLOCK_SIZE_BYTES = 64 * KIB;

/** All chunks of a snapshot but the last are this large, header included. Part of its format. */
export const SNAPSHOT_CHUNK_SIZE_BYTES = MIB;
/** Rows of a snapshot that are read in one turn of the event loop: about a millisecond. */
export const SNAPSHOT_ROWS_PER_TURN = 512;
/** A row of a snapshot that claims more is no row: journal chunks are the largest, about 1.6 MiB. */
export const SNAPSHOT_ROW_SIZE_BYTES_MAX = 16 * MIB;
/** What the log side may add to a snapshot: a membership is below 128 KiB. */
export const SNAPSHOT_ATTACHMENT_SIZE_BYTES_MAX = 256 * KIB;
/** Rows that an installation commits at once. */
export const INSTALL_COMMIT_ROWS = 4096;
/** Rows of two databases that are compared in one turn of the event loop. */
export const COMPARED_ROWS_PER_TURN = 256;
/** Differences that are told one by one: more is a database to make anew, not to look at. */
export const DIFFERENCES_TOLD_MAX = 10;
/** Of the log, applied in one turn of the event loop when state is derived again: some milliseconds. */
export const REDERIVE_READ_SIZE_BYTES = 256 * KIB;
