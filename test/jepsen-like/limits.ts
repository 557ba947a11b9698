/** Times and sizes of the fault suite, each with its reason. */

const MIB = 1024 * 1024;

/** Of one run, unless told otherwise. */
export const RUN_SECONDS_DEFAULT = 60;
/** A period has its own random subset of fault rows (reference: rows of 30 s; shorter finds more per hour). */
export const PERIOD_MS = 15_000;
/** No fault begins in the last part of a period, so that each ends in quiet. */
export const QUIET_TAIL_MS = 4_000;
/** One period in so many has no faults at all: liveness can be seen, and a healthy system measured. */
export const QUIET_PERIOD_IN = 4;
/** Rows at work together in one period. */
export const ROWS_PER_PERIOD_MAX = 3;

/** Small, so that segments roll within a run. */
export const SEGMENT_SIZE_BYTES = 4 * MIB;
/** For runs in which the log loses its beginning: it goes by whole segments. */
export const SEGMENT_SIZE_BYTES_SMALL = MIB / 4;
export const RETENTION_BYTES = MIB;
/** The largest messages need large segments. */
export const RETENTION_BYTES_OF_LARGE = 4 * SEGMENT_SIZE_BYTES;
/** After so long nobody waits for a member that is away. */
export const MEMBER_GRACE_SECONDS = 2;
export const MEMBER_GRACE_SECONDS_NONE = 3_600;
/** A follower is away until the log has gone on without it: retention looks every ten seconds. */
export const AWAY_MS_MAX = 40_000;
/** Sparse: takes what is written. Large enough for minutes of the largest workload. */
export const VOLUME_SIZE_BYTES = 640 * MIB;
export const DISK_RESERVE_BYTES = 24 * MIB;

/** Members of one run that may die for ever, each with a place for its successor. */
export const SPARES_MAX = 3;

export const READY_TIMEOUT_MS = 30_000;
export const EXIT_TIMEOUT_MS = 20_000;
/** From healing to a leader, and all nodes at the same place: repairs and catching up included. */
export const HEAL_TIMEOUT_MS = 90_000;
/** The whole of the final reading. */
export const DRAIN_TIMEOUT_MS = 90_000;
/** With a planted bug a group need not come back at all, and waiting longer tells nothing more. */
export const PLANTED_TIMEOUT_MS = 25_000;
export const POLL_INTERVAL_MS = 50;
/** How often each node is asked what it believes. */
export const STATUS_PERIOD_MS = 300;
export const STATUS_TIMEOUT_MS = 1_000;
/** A process that ends unasked is started again after this, as a supervisor would. */
export const RESTART_DELAY_MS = 500;
/** A process that ends at once again and again is left down. */
export const UNASKED_RESTARTS_MAX = 20;
export const COMMAND_TIMEOUT_MS = 20_000;
export const UNMOUNT_ATTEMPTS_MAX = 50;

/** One operation of a client, all attempts together. */
export const OPERATION_TIMEOUT_MS = 5_000;
/** After healing, the first acknowledged send must come within this (reference 4.5). */
export const RECOVERY_MS_MAX = 10_000;

export const INVISIBLE_MS = 3_000;
export const RECEIVE_WAIT_MS = 500;
export const RECEIVE_BATCH = 32;

/** Candidates that the linearizability search may visit for one key before it says `unknown`. */
export const SEARCH_STATES_MAX = 400_000;
/** Of one kind, told in full; the rest is counted. */
export const ANOMALIES_TOLD_MAX = 20;
