/** Defaults of the consensus core, each with its reason, and the relations that make them work. */
import { assert } from '../base/assert.ts';
import { MIB } from '../base/sizes.ts';

/** 150 ms at 50 ms a tick: three losses in a row fit into the shortest election timeout. */
export const HEARTBEAT_TICKS = 3;
/** 1 s: far above a disk flush, a round trip and a garbage collection together. */
export const ELECTION_TIMEOUT_TICKS_MIN = 20;
/** 2 s: the spread keeps split votes rare (Raft 5.2, 9.3) and the write gap under 3 s. */
export const ELECTION_TIMEOUT_TICKS_MAX = 40;
/** The first election timeout after a start is so many times shorter: 250 to 500 ms. */
export const FIRST_TIMEOUT_DIVISOR = 4;
/** One append message. Larger ones delay the heartbeats behind them on the same stream. */
export const APPEND_SIZE_BYTES_MAX = 1 * MIB;
/** Per peer: bandwidth times delay of a fast link, and the most that a lost stream sends again. */
export const INFLIGHT_SIZE_BYTES_MAX = 16 * MIB;
/** Per peer: bounds the bookkeeping when messages are small. */
export const INFLIGHT_COUNT_MAX = 256;
/** Memory for entries without an outcome. Above, proposals are refused before they are appended. */
export const UNCOMMITTED_SIZE_BYTES_MAX = 64 * MIB;
/** Leader with open entries and no commit for 3 s: its disk or its quorum's is stuck (L8, H11). */
export const PROGRESS_TIMEOUT_TICKS = 60;
/** 3 s after a start: time for the members of a group that lost power together to come back. */
export const EXTENT_POLL_TICKS = 60;
/** A node that lags less catches up in some milliseconds, during which nobody can write. */
export const HANDOVER_LAG_BYTES_MAX = 1 * MIB;
/** 30 s of calm before leadership moves to a preferred node: a move costs a gap in the writes. */
export const PREFERENCE_TICKS = 600;
/** A snapshot that was handed over is given 10 s to be installed before the peer is probed again. */
export const SNAPSHOT_PATIENCE_TICKS = 200;
/** Reads without an answer yet; more are refused. One round confirms all of them. */
export const READS_WAITING_MAX = 4096;
/** Strangers are remembered to raise one alarm each; beyond this many they are dropped in silence. */
export const STRANGERS_REMEMBERED_MAX = 64;

assert(ELECTION_TIMEOUT_TICKS_MIN > 3 * HEARTBEAT_TICKS, 'a leader survives three lost heartbeats');
assert(ELECTION_TIMEOUT_TICKS_MAX > ELECTION_TIMEOUT_TICKS_MIN, 'election timeouts differ');
assert(APPEND_SIZE_BYTES_MAX <= INFLIGHT_SIZE_BYTES_MAX, 'a full message fits in the window');
assert(APPEND_SIZE_BYTES_MAX <= UNCOMMITTED_SIZE_BYTES_MAX, 'a full entry can be proposed');
assert(PROGRESS_TIMEOUT_TICKS > ELECTION_TIMEOUT_TICKS_MIN, 'a leader is given time to commit');
