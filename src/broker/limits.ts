/** Named bounds of the broker, each with its reason. What clients may send is RocketMQ's, section by section. */
import { KIB, MIB } from '../base/sizes.ts';

/** What a client may say. The numbers without a reason are RocketMQ's. */
export const MESSAGE_LIMITS = {
  /** With its envelope a delivery stays below 4 MiB, the most that several official clients read. */
  bodySizeBytesMax: 4 * MIB - 64 * KIB,
  messagesPerSendMax: 1024,
  /** One proposal, with room for the records' headers. */
  sendSizeBytesMax: 6 * MIB,
  messageIdLengthMax: 128,
  propertyCountMax: 128,
  /** Keys, values, tag and message keys together, in UTF-8. */
  propertiesSizeBytesMax: 16 * KIB,
  traceContextSizeBytesMax: 4 * KIB,
} as const;

export const NAME_LIMITS = {
  topicLengthMax: 127,
  /** Leaves room for `%DLQ%` within the length of a topic. */
  groupLengthMax: 120,
  clientIdLengthMax: 256,
} as const;

export const METADATA_LIMITS = {
  queueCountMax: 1024,
  maxAttemptsMax: 1000,
  /** Auto-creation by mistyped names must not fill the tables of every replica. */
  topicCountMax: 10_000,
  groupCountMax: 10_000,
} as const;

export const DEFAULT_QUEUE_COUNT = 4;
/** 16 retries. */
export const DEFAULT_MAX_ATTEMPTS = 17;

export const CONSUME_LIMITS = {
  batchSizeMax: 32,
  /** One answer, unless its first message alone is larger. */
  batchSizeBytesMax: 3.5 * MIB,
  invisibleMsMin: 1_000,
  invisibleMsMax: 12 * 60 * 60 * 1_000,
  waitMsMax: 60_000,
  handlesPerAckMax: 1024,
  tagsPerFilterMax: 128,
  /** Units that one poll looks at before it notes its progress in the log. */
  scannedUnitsMax: 4_096,
  /** Long polls at the leader; each holds little more than its request. */
  pollsMax: 10_000,
  /** An answer that finds nothing leaves this much before the caller's deadline. */
  answerMarginMs: 200,
} as const;

export const AUTO_RENEW = {
  invisibleMs: 60_000,
  scanPeriodMs: 5_000,
  /** Renewed when less is left: three scans may fail. */
  renewBelowMs: 20_000,
  /** A client that has not been heard of for this long is taken for dead. */
  clientSilenceMsMax: 30_000,
  /** A consumer that has held a message for this long is stuck. */
  totalMsMax: 3 * 60 * 60 * 1_000,
  /** After a client said goodbye: its answers that are still on their way may land. */
  releaseDelayMs: 1_000,
  /** Renewals of one proposal. */
  renewalsPerProposalMax: 512,
} as const;

export const RETENTION = {
  /** How long messages are kept, unless the operator says otherwise: RocketMQ's three days. */
  ageMsDefault: 72 * 60 * 60 * 1_000,
  /** A segment goes at most this much later than it might. */
  checkPeriodMs: 10_000,
} as const;

/** Dead letters that one sweep moves; the next one takes the rest. */
export const DEAD_LETTERS_PER_SWEEP_MAX = 256;
export const CLIENTS_MAX = 100_000;

/** Proposals of one lane: what fits in one entry of usual size. */
export const LANE_BATCH_BYTES_MAX = MIB;
/** Proposals of one queue on their way at once: the next is made while the last is being replicated. */
export const LANE_OPEN_MAX = 8;
/** Waiting in one lane while its proposal is on the way. */
export const LANE_WAITING_BYTES_MAX = 32 * MIB;

export const GATEWAY_LIMITS = {
  /** Calls that wait for a leader. */
  waitingCallsMax: 4_096,
  /** Bodies of all calls in progress on this node. */
  heldBytesMax: 256 * MIB,
  /** Of a call that another process sends, whatever it asks for: the longest poll, with ample slack. */
  callMsMax: 120_000,
  /** After an answer that contradicts what we believe, before we ask again. */
  retryPauseMs: 50,
} as const;
