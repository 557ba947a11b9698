/** Every queue, batch and timeout of the replica, with its reason. */
import { assert } from '../base/assert.ts';
import { GIB, KIB, MIB } from '../base/sizes.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../raft/entry.ts';
import { MEMBER_COUNT_MAX } from '../raft/membership.ts';

/** Proposals that wait for a place in the log; above it the caller hears `busy`. */
export const QUEUED_SIZE_BYTES_MAX = 64 * MIB;
export const QUEUED_COUNT_MAX = 65_536;
/** One entry: large enough that headers and syncs vanish, small enough to read and apply in a turn. */
export const PACKED_SIZE_BYTES_MAX = MIB;
/** RocketMQ's default for one message is 4 MiB; a batch or a message with properties is larger. */
export const PROPOSAL_SIZE_BYTES_MAX = 8 * MIB;
/**
 * Log writes in progress while which the leader packs nothing: 1 means that proposals gather into
 * the next entry exactly as long as the disk needs for the previous one.
 */
export const LOG_WRITES_PENDING_MAX = 1;
/** After leadership is lost: how long an appended proposal may wait for its outcome. */
export const OUTCOME_WAIT_MS = 10_000;

/** Callers that wait for a read barrier; all of one turn share one question to the peers. */
export const READ_BARRIERS_MAX = 65_536;

/** Applying yields to the event loop after this much, whichever comes first. */
export const APPLY_TURN_SIZE_BYTES_MAX = 8 * MIB;
export const APPLY_TURN_MS_MAX = 10;
export const APPLY_READ_SIZE_BYTES_MAX = 4 * MIB;
/**
 * Derived state is committed to its database after so many entries, so much log, or so long. Two
 * such batches at most are in memory: one that the database is taking, one that grows.
 */
export const UNFLUSHED_ENTRIES_MAX = 4096;
export const UNFLUSHED_SIZE_BYTES_MAX = 32 * MIB;
export const UNFLUSHED_MS_MAX = 100;

/**
 * Entries read from disk for followers that are behind, all together: so much that a follower catches up
 * with any load this process can take, and not so much that it holds up live sends.
 */
export const CATCH_UP_BYTES_PER_SECOND_MAX = 96 * MIB;
/** Messages to one peer that wait for entries to be read from disk; the core's window is smaller. */
export const READING_COUNT_MAX = 512;

/** Oldest unfinished log write: from here on a leader steps down, so that others elect (H11). */
export const DISK_STALLED_MS = 3_000;
/** And from here on the process gives up. */
export const DISK_FAILED_MS = 20_000;

/** Frames to one peer that the socket has not taken yet: twice the core's window per peer. */
export const OUTBOUND_SIZE_BYTES_MAX = 32 * MIB;
/** The largest frame: one entry of the largest proposal, with room for everything around it. */
export const FRAME_SIZE_BYTES_MAX = 16 * MIB;
export const FRAME_OVERHEAD_SIZE_BYTES_MAX = 64 * KIB;
export const HANDSHAKE_MS_MAX = 2_000;
/** The first retry comes at once, the others after a growing pause with jitter. */
export const RECONNECT_MS_MIN = 100;
export const RECONNECT_MS_MAX = 1_000;
/** After a refusal: only an operator can change the answer. */
export const REFUSED_PAUSE_MS = 5_000;
/** A stream that lived this long was healthy: its loss starts the pauses from the beginning. */
export const STREAM_HEALTHY_MS = 1_000;
/**
 * Streams to and from a node that is a member no more live on for so long: it must still hear, and
 * acknowledge, the entry that says so.
 */
export const FAREWELL_MS = 10_000;
/** But when the membership without it is committed, there is nothing left to hear: it shall find out. */
export const DISMISSAL_MS = 500;
/**
 * So long a majority of the members refuses this node, then it ends: a peer asks again every 5 s, so
 * all have been asked several times, and an operator has seen it in the log and in the status.
 */
export const REFUSED_BY_GROUP_MS = 30_000;
/** A node that has read of its removal goes on so long: who should lead now is told to the others. */
export const REMOVED_BY_LOG_MS = 1_000;
/** And one that is told by the others, who say the same for ever: its clients shall go elsewhere soon. */
export const REMOVED_BY_PEERS_MS = 1_000;
/** Before stores are proposed for the membership again, after something else was in the way. */
export const PIN_RETRY_TICKS = 20;
/** Nodes outside the membership that may talk to us at a time: a newer membership has no more. */
export const STRANGERS_MAX = MEMBER_COUNT_MAX;
export const KEEPALIVE_INTERVAL_MS = 1_000;
export const KEEPALIVE_TIMEOUT_MS = 2_000;
/** HTTP/2 window per stream: bytes under way on links with some latency. */
export const FLOW_WINDOW_SIZE_BYTES = 4 * MIB;

/** A replica that found rot and is needed looks so often whether it still is. */
export const DAMAGE_LOOK_MS = 5_000;
/** So long it tries to hand over before it ends; a hand-over takes some milliseconds. */
export const HANDOVER_BEFORE_END_MS = 5_000;

export const TICK_MS = 50;
assert(
  PROPOSAL_SIZE_BYTES_MAX + ENTRY_HEADER_SIZE_BYTES + FRAME_OVERHEAD_SIZE_BYTES_MAX <=
    FRAME_SIZE_BYTES_MAX,
  'the largest entry fits in a frame',
);
assert(FRAME_SIZE_BYTES_MAX < 2 * GIB, 'a frame size fits in a 32-bit length');
assert(DISK_STALLED_MS < DISK_FAILED_MS, 'a stalled disk is noticed before it counts as failed');
