/** Virtual time of the simulator: the production defaults, in milliseconds and ticks. */
import {
  EXTENT_POLL_TICKS as CORE_EXTENT_POLL_TICKS,
  HEARTBEAT_TICKS as CORE_HEARTBEAT_TICKS,
  PROGRESS_TIMEOUT_TICKS as CORE_PROGRESS_TIMEOUT_TICKS,
  ELECTION_TIMEOUT_TICKS_MAX,
  ELECTION_TIMEOUT_TICKS_MIN,
} from '../../src/raft/limits.ts';

export const TICK_MS = 50;
export const HEARTBEAT_TICKS = CORE_HEARTBEAT_TICKS;
export const ELECTION_TICKS_MIN = ELECTION_TIMEOUT_TICKS_MIN;
export const ELECTION_TICKS_MAX = ELECTION_TIMEOUT_TICKS_MAX;
export const ELECTION_TIMEOUT_MS_MAX = ELECTION_TICKS_MAX * TICK_MS;
/** A process that did not run for longer starts its election timer again (hazard H26). */
export const PAUSE_NOTICED_MS = (ELECTION_TICKS_MIN * TICK_MS) / 2;
/** A write that takes longer is a stalled disk (hazard H11). */
export const DISK_STALLED_MS = 60 * TICK_MS;
export const PROGRESS_TIMEOUT_TICKS = CORE_PROGRESS_TIMEOUT_TICKS;
export const EXTENT_POLL_TICKS = CORE_EXTENT_POLL_TICKS;
/** Production waits longer; a run is a minute or two. */
export const PREFERENCE_TICKS = 100;
