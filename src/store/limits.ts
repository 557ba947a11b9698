/** Bounds and defaults of the commit log, each with its reason. */
import { GIB, KIB, MIB } from '../base/sizes.ts';
import { BATCH_SIZE_BYTES_MAX } from '../io/disk.ts';

/** RocketMQ's mappedFileSizeCommitLog: a file system copes with thousands of such files. */
export const SEGMENT_SIZE_BYTES_DEFAULT = GIB;
/** Smallest that still holds a header and an entry of some size; for tests. */
export const SEGMENT_SIZE_BYTES_MIN = 8 * KIB;
/** An entry states its size in 32 bits. */
export const SEGMENT_SIZE_BYTES_MAX = 2 * GIB;

/** About a minute of a busy log, so that live followers and consumers cause no reads. */
export const TAIL_CACHE_SIZE_BYTES_DEFAULT = 64 * MIB;

/** One read of the recovery scan: large enough for the throughput of the disk. */
export const SCAN_WINDOW_SIZE_BYTES = 4 * MIB;

/**
 * How far apart the first and the last byte of writes that shared a sync can lie: what a log writer
 * leaves unsynced at most (8 MiB), plus the fillers among it, each smaller than one entry. Generous,
 * because a wider span only makes recovery more careful.
 */
export const UNSYNCED_SPAN_SIZE_BYTES_MAX = 64 * MIB;

/** Of a torn tail more than this is not evidence worth keeping. */
export const QUARANTINE_SIZE_BYTES_MAX = 64 * MIB;

/** A segment that could not be prepared for lack of space is tried again after this time. */
export const PREPARE_RETRY_MS = 1000;

/** Segments kept open for writing: the current one, its neighbours, and one spare. */
export const OPEN_WRITER_SEGMENTS_MAX = 4;

/** Starts whose ids are kept: a peer that was away for more of them cannot tell whose they are. */
export const BOOT_IDS_KEPT_MAX = 16;

/** Runs of good entries behind damage that are told apart: more is a disk to replace, not to repair. */
export const REGION_COUNT_MAX = 1024;

/** In such a run every so many bytes a place is remembered from which an entry is looked for. */
export const MARK_STEP_SIZE_BYTES = 4 * MIB;

/** Places that the disk cannot read (EIO): so few are rot, more are a broken disk. */
export const UNREADABLE_PLACES_MAX = 2;
/** What a disk gives back or does not, as one. */
export const UNREADABLE_STEP_SIZE_BYTES = 4 * KIB;

/** One answer to a replica that repairs itself; a larger entry is sent all the same, alone. */
export const REPAIR_READ_SIZE_BYTES_MAX = MIB;
/** Entries looked at for one such answer. */
export const REPAIR_READ_ENTRIES_MAX = 4096;
/** Entries put back with one sync: so large that its cost vanishes, and one batch of the log writer. */
export const REPAIR_BATCH_SIZE_BYTES_MAX = BATCH_SIZE_BYTES_MAX;
/** And not more than these: a cut may leave every other one, and each is a run of its own then. */
export const REPAIR_BATCH_ENTRIES_MAX = 8192;

/** A name further away than this from the others is no segment of this log. */
export const MISSING_SEGMENTS_MAX = 65_536;
