/** Bounds of reading the log in the background, each with its reason. */
import { KIB, MIB } from '../../base/sizes.ts';

/** Never slower, however small the log: what a pass remembers is lost when the process ends. */
export const SCRUB_BYTES_PER_SECOND_MIN = MIB;
/**
 * A pass begins so often within the period and is paced to end before the next one, so the time between two
 * looks at one byte is within the period, also when newer segments have come to the front meanwhile.
 */
export const SCRUB_PASSES_PER_PERIOD = 2;

/** One read, unless an entry is larger: little enough to be no burden to what waits behind it. */
export const SCRUB_READ_SIZE_BYTES = 512 * KIB;
/** Entries of one read: bounds the work of one turn of the event loop. */
export const SCRUB_READ_ENTRIES_MAX = 4096;

/** A log write that has been waiting for so long says that the disk has no time for us. */
export const SCRUB_YIELD_PENDING_MS = 20;
/** Before looking again whether it has. */
export const SCRUB_YIELD_PAUSE_MS = 100;
/** After so many pauses in a row one read is done all the same: a disk that is always slow rots as well. */
export const SCRUB_YIELD_PAUSES_MAX = 100;
