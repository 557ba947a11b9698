/** When the group compares itself, and how much of everything that may cost. */
import { GIB, MIB } from '../../base/sizes.ts';

/** Records, or bytes of log, whichever comes first, from one checkpoint to the next. */
export const CHECKPOINT_RECORDS = 64 * 1024;
export const CHECKPOINT_SIZE_BYTES = GIB;
/**
 * Of the entries that a claim covers. A checkpoint that comes later than usual, because leaders changed or did
 * not know of the last one, does not cover all: the chain does.
 */
export const CLAIM_RANGE_SIZE_BYTES_MAX = 2 * GIB;
/** Reading that range from disk again, on every replica: as fast as a scrubber may. */
export const CLAIM_BYTES_PER_SECOND_MAX = 20 * MIB;
/** Claims whose bytes wait to be compared; the oldest give way, since the next range is as good. */
export const CLAIMS_WAITING_MAX = 4;

/** How long a replica that differs waits for the others to say who is right. */
export const WITNESS_ASK_MS_MAX = 2_000;
/** A leader asks after a claim so often, because followers apply it a little later. */
export const WITNESS_ROUNDS_MAX = 5;
export const WITNESS_ROUND_PAUSE_MS = 1_000;
