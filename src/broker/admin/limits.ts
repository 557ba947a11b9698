/** Bounds of administration, each with its reason. */
import { GIB, MIB } from '../../base/sizes.ts';

/** A member that lacks more than the leader keeps under way to it is not counted on. */
export const WELL_LAG_SIZE_BYTES_MAX = 16 * MIB;
/** What a member needs free, as a multiple of the leader's log: for the log that comes while it copies. */
export const DISK_ROOM_FACTOR = 1.2;
/** A slower disk slows down every write of which it is part of the majority (raft.md 7.3). */
export const SYNC_MS_P99_MAX = 50;
/** Half of the shortest election timeout: beyond it a busy process looks like a dead one. */
export const LOOP_DELAY_MS_P99_MAX = 500;
/** Clocks appear in store times, retention and deadlines of deliveries, never in consensus. */
export const CLOCK_SKEW_MS_MAX = 500;
/** A pass takes seven days at most; one day of grace. */
export const SCRUB_AGE_MS_MAX = 8 * 24 * 60 * 60 * 1_000;
/** A process that is swapped out misses heartbeats. */
export const SWAP_SIZE_BYTES_MAX = 64 * MIB;
/** Of the disk, when it is smaller than that: less is a matter of hours. */
export const DISK_FREE_SIZE_BYTES_MIN = 1 * GIB;
export const DISK_FREE_SHARE_MIN = 0.1;

/** For one member to say how it is; who needs longer is reported as silent. */
export const HEALTH_ASK_MS_MAX = 1_000;
/** One step of a change, from its entry to the end of the joint phase, with an election in between. */
export const STEP_MS_MAX = 10_000;
/** How often a step looks whether it is done: a tick of the replica. */
export const STEP_POLL_MS = 50;
/** A change that meets another one under way (stores being pinned) looks again so often. */
export const UNDER_WAY_MS_MAX = 2_000;
/** Time to walk to the other machine and start it. */
export const TOKEN_LIFETIME_MS = 24 * 60 * 60 * 1_000;
export const TOKEN_SIZE_BYTES = 24;
export const EVENTS_PER_ANSWER_MAX = 1_000;
/** Texts of an operator that go into the log. */
export const ACTOR_LENGTH_MAX = 128;
export const ADDRESS_LENGTH_MAX = 256;
export const STORE_UUID_LENGTH_MAX = 64;
/** A call in all; longer things are asked for again. */
export const ADMIN_CALL_MS_MAX = 30_000;
/** After an answer that says somebody else leads. */
export const ADMIN_RETRY_MS = 100;
/** Calls that are being answered: operators and joining processes are few. */
export const ADMIN_CALLS_MAX = 64;
/** Between two looks at whether a drained node leads. */
export const DRAIN_PERIOD_MS = 500;
/** For a node to apply that it is drained. */
export const DRAIN_HEARD_MS_MAX = 2_000;
/** Rates of catching up are taken over so long, at least between two samples. */
export const CATCHUP_WINDOW_MS = 10_000;
export const CATCHUP_SAMPLE_MS_MIN = 200;
export const CATCHUP_SAMPLES_MAX = 64;
/** What this program supports. Level 1: administration in the log. */
export const FEATURE_LEVEL_MAX = 1;
