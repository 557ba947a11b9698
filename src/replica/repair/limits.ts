/** Bounds of giving and fetching lost entries, each with its reason. */
import { KIB, MIB } from '../../base/sizes.ts';
import { REPAIR_BATCH_SIZE_BYTES_MAX } from '../../store/limits.ts';

/** Bytes of entries in one frame: small enough not to hold up what shares the connection. */
export const REPAIR_FRAME_SIZE_BYTES_MAX = MIB - 4 * KIB;
/** The largest entry and its neighbours; an answer that claims more is refused. */
export const REPAIR_ANSWER_SIZE_BYTES_MAX = 32 * MIB;

/** Questions that wait for their turn, all askers together; more are told to come later. */
export const REPAIR_READS_MAX = 16;
/**
 * A log write that waits for so long goes first, but not for ever: the group has a copy less meanwhile.
 * Looked at before each answer.
 */
export const REPAIR_YIELD_PENDING_MS = 20;
export const REPAIR_YIELD_PAUSE_MS = 10;
export const REPAIR_YIELD_PAUSES_MAX = 10;
/** What a replica in service gives away per second, all askers together: repair is no hurry. */
export const REPAIR_BYTES_PER_SECOND_MAX = 64 * MIB;
/** How late an answer may be for the next one to be on time again: timers are not exact. */
export const REPAIR_RATE_SLACK_MS = 20;

/** Questions to one peer at a time: at the rate above they hide 50 ms of round trip. */
export const REPAIR_QUESTIONS_OPEN_MAX = 4;
/** Answers that wait to be written; no more is asked for above it. */
export const REPAIR_AHEAD_SIZE_BYTES_MAX = 8 * MIB;
/** What is handed on as one: as much as is written with one sync. */
export const REPAIR_HANDED_SIZE_BYTES_MAX = REPAIR_BATCH_SIZE_BYTES_MAX;
/** So full an answer is expected to be: entries differ, and one that does not fit costs a question more. */
export const REPAIR_GUESS_SHARE = 0.9;
/** Over this time the rate is told. */
export const REPAIR_RATE_WINDOW_MS = 10_000;

/** One question to one peer, answer included. */
export const REPAIR_ASK_MS_MAX = 15_000;
/** After a round in which nobody helped; it grows, because an operator may have to act. */
export const REPAIR_PAUSE_MS_MIN = 200;
export const REPAIR_PAUSE_MS_MAX = 2_000;
/** How often a wait says that it still waits. */
export const REPAIR_REMINDER_MS = 10_000;
