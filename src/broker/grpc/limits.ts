/** Bounds and times of the RocketMQ 5 endpoint; docs/protocol/grpc-v2.md says how clients feel them. */
import { MIB } from '../../base/sizes.ts';

/**
 * grpc-js answers RESOURCE_EXHAUSTED above this. It is more than a send may hold, so that
 * a batch that is too large is refused in words.
 */
export const REQUEST_SIZE_BYTES_MAX = 16 * MIB;
export const MESSAGE_GROUP_SIZE_BYTES_MAX = 63;

export const LONG_POLL_MS_MAX = 20_000;
/** A poll is answered this long before the client gives up on it. */
export const POLL_ANSWER_MARGIN_MS = 300;
/** What the way to the leader may take on top of the wait for a message. */
export const POLL_SLACK_MS = 2_000;
/** What clients assume where their settings name no request timeout. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 3_000;

/** A unary call is answered this long before its deadline, with a status instead of a broken call. */
export const ANSWER_MARGIN_MS = 400;
/** Budget of calls that name no deadline. */
export const WORK_MS_DEFAULT = 2_000;
/** Longest a call may wait for a leader, whatever its deadline. */
export const WORK_MS_MAX = 30_000;

export const PRODUCER_ATTEMPTS = 3;
/** Settings are answered without the group's configuration when it cannot be had in this time. */
export const GROUP_LOOKUP_MS = 1_000;
/** The Node client may miss the first settings when it starts with several topics: say them twice. */
export const SETTINGS_REPEAT_MS = 1_000;

/** Clients re-create streams quickly, and one id has several: judge only after this. */
export const CLIENT_GONE_GRACE_MS = 2_500;
/** RocketMQ's expiry of silent clients. */
export const CLIENT_SILENCE_MS_MAX = 120_000;
export const CLIENT_SWEEP_MS = 10_000;
/** Clients remembered by one node; above, those without a stream make room. */
export const CLIENT_COUNT_MAX = 50_000;
/** The group hears about one client at most this often, and at least so often while it has a stream. */
export const CLIENT_REPORT_INTERVAL_MS_MIN = 1_000;
export const CLIENT_REPORT_INTERVAL_MS_MAX = 10_000;

/** Notices to the group that nobody waits for: in flight at once, waiting, and the time for each. */
export const BACKGROUND_CALLS_MAX = 16;
export const BACKGROUND_QUEUE_MAX = 4_096;
export const BACKGROUND_CALL_MS = 5_000;

export const LEAVE_LIMITS = {
  /** Clients renew their routes every 30 s; a little for the way. */
  routesMs: 35_000,
  /** A client that polls or sends without a pause is heard of sooner. */
  quietMs: 3_000,
  /** A message that is worked on for longer comes again, from another node. */
  heldMs: 30_000,
  /** Polls that begin at a node which is leaving are short: who is not told to come again does not. */
  pollMs: 2_000,
  /** Longer waits nobody for clients: those that are left then are counted, and the operator decides. */
  leaveMsMax: 60_000,
  /** Guests remembered; above, the first one makes room. */
  guestCountMax: CLIENT_COUNT_MAX,
} as const;

/** HTTP/2 window per connection and stream: requests under way while the event loop is busy. */
export const FLOW_WINDOW_SIZE_BYTES = MIB;

/** Server pings: a dead client is noticed after the sum. Every client answers pings. */
export const KEEPALIVE_TIME_MS = 30_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;
/** How long a stop waits for calls in progress before it cuts them. */
export const CLOSE_GRACE_MS = 3_000;
