/** Bounds of giving and fetching lost entries, each with its reason. */
import { KIB, MIB } from '../../base/sizes.ts';

/** Bytes of entries in one frame: small enough not to hold up what shares the connection. */
export const REPAIR_FRAME_SIZE_BYTES_MAX = MIB - 4 * KIB;
/** The largest entry and its neighbours; an answer that claims more is refused. */
export const REPAIR_ANSWER_SIZE_BYTES_MAX = 32 * MIB;

/** Questions answered at a time; more are told to come later. */
export const REPAIR_READS_MAX = 2;
/** What a replica in service gives away per second, all askers together: repair is no hurry. */
export const REPAIR_BYTES_PER_SECOND_MAX = 64 * MIB;

/** One question to one peer, answer included. */
export const REPAIR_ASK_MS_MAX = 15_000;
/** After a round in which nobody helped; it grows, because an operator may have to act. */
export const REPAIR_PAUSE_MS_MIN = 200;
export const REPAIR_PAUSE_MS_MAX = 2_000;
/** How often a wait says that it still waits. */
export const REPAIR_REMINDER_MS = 10_000;
