/** Virtual time of the simulator: the production defaults, in milliseconds. */
import {
  HEARTBEAT_TICKS as CORE_HEARTBEAT_TICKS,
  ELECTION_TIMEOUT_TICKS_MAX,
  ELECTION_TIMEOUT_TICKS_MIN,
} from '../../src/raft/limits.ts';

export const TICK_MS = 50;
export const HEARTBEAT_TICKS = CORE_HEARTBEAT_TICKS;
export const ELECTION_TICKS_MIN = ELECTION_TIMEOUT_TICKS_MIN;
export const ELECTION_TICKS_MAX = ELECTION_TIMEOUT_TICKS_MAX;
export const ELECTION_TIMEOUT_MS_MAX = ELECTION_TICKS_MAX * TICK_MS;
