/**
 * What a broker can be asked, independent of protocol: every endpoint translates to these and back,
 * and a node that does not lead forwards them (proto/mqraft/broker.proto is their wire form,
 * verb-codec.ts the way there).
 *
 * Names of topics and groups are storage names: namespace already folded in (`ns%name`).
 */
import type { LogIndex, NodeId, PhysicalOffset, QueueOffset, Term } from '../base/units.ts';
import type { Role } from '../raft/effects.ts';

export type BrokerRequest =
  | SendRequest
  | ReceiveRequest
  | AckRequest
  | ChangeInvisibleRequest
  | DeadLetterRequest
  | { readonly kind: 'topicPut'; readonly topic: string; readonly queueCount: number }
  | { readonly kind: 'topicDelete'; readonly topic: string }
  | { readonly kind: 'topicDescribe'; readonly topic: string }
  | { readonly kind: 'topicList' }
  | { readonly kind: 'groupPut'; readonly group: string; readonly maxAttempts: number }
  | { readonly kind: 'groupDescribe'; readonly group: string }
  /** The client is alive at some node (heartbeat or open telemetry stream). */
  | { readonly kind: 'clientSeen'; readonly clientId: string }
  /** The client is gone: what it holds under auto-renew becomes visible soon. */
  | { readonly kind: 'clientGone'; readonly clientId: string }
  /** How the asked node sees itself and its group; answered without a leader, never forwarded. */
  | { readonly kind: 'status' };

/** What producer and consumer see alike. */
export interface MessageContents {
  readonly topic: string;
  /** Unique id of the client, also the de-duplication key. */
  readonly messageId: string;
  readonly body: Uint8Array;
  readonly bodyEncoding: 'identity' | 'gzip';
  readonly tag: string | null;
  readonly keys: readonly string[];
  readonly userProperties: Readonly<Record<string, string>>;
  readonly bornTimestampMs: number;
  /** `ip:port`; an IPv4 or IPv6 literal. */
  readonly bornHost: string;
  readonly traceContext: string | null;
}

/** A message as a producer gives it. */
export type OutgoingMessage = MessageContents;

/** All messages have the same topic; they are stored together or not at all. */
export interface SendRequest {
  readonly kind: 'send';
  readonly messages: readonly OutgoingMessage[];
}

export interface TagFilter {
  /** Empty: every message. */
  readonly tags: readonly string[];
}

export interface ReceiveRequest {
  readonly kind: 'receive';
  readonly group: string;
  readonly topic: string;
  readonly filter: TagFilter;
  readonly batchSize: number;
  readonly invisibleMs: number;
  /** Hold 60 s and renew while the client lives; `invisibleMs` is ignored. */
  readonly autoRenew: boolean;
  /** Long poll: how long to wait for the first message. */
  readonly waitMs: number;
  readonly clientId: string;
  readonly attemptId: string;
}

export interface AckRequest {
  readonly kind: 'ack';
  readonly group: string;
  readonly topic: string;
  readonly handles: readonly string[];
}

export interface ChangeInvisibleRequest {
  readonly kind: 'changeInvisible';
  readonly group: string;
  readonly topic: string;
  readonly handle: string;
  readonly invisibleMs: number;
}

export interface DeadLetterRequest {
  readonly kind: 'deadLetter';
  readonly group: string;
  readonly topic: string;
  readonly handle: string;
  readonly messageId: string;
}

export type BrokerResponse =
  | { readonly kind: 'sent'; readonly receipts: readonly SendReceipt[] }
  | { readonly kind: 'received'; readonly messages: readonly DeliveredMessage[] }
  | { readonly kind: 'acked'; readonly outcomes: readonly AckOutcome[] }
  | { readonly kind: 'invisibleChanged'; readonly handle: string }
  | { readonly kind: 'deadLettered' }
  | { readonly kind: 'topicPut'; readonly created: boolean }
  | { readonly kind: 'topicDeleted'; readonly existed: boolean }
  | { readonly kind: 'topic'; readonly topic: TopicDescription }
  | { readonly kind: 'topicList'; readonly topics: readonly TopicDescription[] }
  | { readonly kind: 'groupPut'; readonly created: boolean }
  | { readonly kind: 'group'; readonly group: GroupDescription }
  | { readonly kind: 'noted' }
  | { readonly kind: 'status'; readonly status: NodeReport };

export interface SendReceipt {
  readonly messageId: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly physicalOffset: PhysicalOffset;
  /** The message was here before: this is the outcome of the first send. */
  readonly duplicate: boolean;
}

/** `staleHandle`: the delivery was replaced; the caller no longer holds the message. */
export type AckOutcome = 'ok' | 'staleHandle' | 'invalidHandle';

export interface DeliveredMessage extends MessageContents {
  readonly storeTimestampMs: number;
  readonly storeHost: string;
  readonly queueId: number;
  readonly queueOffset: QueueOffset;
  readonly attempt: number;
  readonly handle: string;
  readonly invisibleMs: number;
  /** Of a message in a dead-letter topic: where it came from. */
  readonly deadLetterOf: { readonly topic: string; readonly messageId: string } | null;
}

export interface TopicDescription {
  readonly topic: string;
  readonly queueCount: number;
  readonly permission: number;
  readonly messageTypes: readonly number[];
  readonly createdAtMs: number;
  readonly queues: readonly {
    readonly queueId: number;
    readonly minOffset: QueueOffset;
    readonly nextOffset: QueueOffset;
  }[];
}

export interface GroupDescription {
  readonly group: string;
  readonly maxAttempts: number;
  readonly fifo: boolean;
  readonly createdAtMs: number;
  readonly queues: readonly {
    readonly topic: string;
    readonly queueId: number;
    readonly consumerOffset: QueueOffset;
    readonly nextOffset: QueueOffset;
    readonly inFlightCount: number;
    readonly lag: number;
  }[];
}

/** One replica in its own words. */
export interface NodeReport {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly groupId: string;
  readonly storeUuid: string;
  readonly role: Role;
  readonly term: Term;
  readonly leader: NodeId | null;
  /** It leads and has applied everything before its term: it may answer. */
  readonly serving: boolean;
  readonly lastIndex: LogIndex;
  readonly durableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly peers: readonly PeerReport[];
  readonly disk: DiskReport;
  /** null: an older program, which says nothing of it. */
  readonly log: LogReport | null;
  /** null: scrubbing is switched off. */
  readonly scrub: ScrubReport | null;
  readonly checkpoints: CheckpointReport;
}

/**
 * `receiving`: a snapshot is on its way. `waiting`: it is here, and the entries that belong to it have
 * to be committed here. `building`: derived state is being made. `missing`: nobody has given one yet.
 */
export const INSTALL_PHASES = ['receiving', 'waiting', 'building', 'missing'] as const;
export type InstallPhase = (typeof INSTALL_PHASES)[number];

/** A snapshot on its way into a replica, which is not of use until it is done. */
export interface InstallReport {
  readonly phase: InstallPhase;
  /** Of the snapshot; null while there is none. */
  readonly index: LogIndex | null;
  /** Of its chunks that are here. */
  readonly percent: number;
}

/** What of the log is on this node's disk. */
export interface LogReport {
  readonly firstIndex: LogIndex;
  readonly keptBytes: number;
  readonly install: InstallReport | null;
}

/** How far the node is in reading its whole log again. */
export interface ScrubReport {
  /** Since the start of the process, as are the next two. */
  readonly passCount: number;
  readonly findingCount: number;
  readonly readBytes: number;
  /** Of the pass under way, or of the last one. */
  readonly passDoneBytes: number;
  readonly passTotalBytes: number;
  readonly bytesPerSecond: number;
  /** Wall clock of the node; null: no pass is finished. */
  readonly lastFinishedAtMs: number | null;
  /** The rate is too low for this log and the period that was asked for. */
  readonly isLate: boolean;
  /** Damage that is not repaired yet, in words. */
  readonly damage: string | null;
}

/** Whether this replica is what the group says that it should be. */
export interface CheckpointReport {
  /** The last one of the group; null: there was none yet. */
  readonly lastIndex: LogIndex | null;
  /** The last one that this replica found to be true of itself. */
  readonly agreedIndex: LogIndex | null;
  /** What is not, in words. */
  readonly divergence: string | null;
}

export interface PeerReport {
  readonly nodeId: NodeId;
  readonly connected: boolean;
  /** Address for peers and administration; null before the first handshake. */
  readonly raftAddress: string | null;
  readonly grpcAddress: string | null;
  readonly httpAddress: string | null;
  /** Leader only. */
  readonly matchIndex: LogIndex | null;
  readonly lagBytes: number | null;
}

export interface DiskReport {
  readonly syncCount: number;
  readonly writtenBytes: number;
  readonly oldestPendingMs: number;
  /** null before the first sync. */
  readonly syncMsP50: number | null;
  readonly syncMsP99: number | null;
  /** null when the node does not know. */
  readonly room: RoomReport | null;
}

/** `low`: an operator should look. `full`: as a leader it refuses what makes the log grow. */
export const ROOM_LEVELS = ['ok', 'low', 'full'] as const;
export type RoomLevel = (typeof ROOM_LEVELS)[number];

/** The file system that holds the log, as it was a moment ago. */
export interface RoomReport {
  readonly level: RoomLevel;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** With less than this free the level is `full`. */
  readonly reserveBytes: number;
}

/** Every way a request can fail, by class; each endpoint maps them to its codes in one switch. */
export const BROKER_ERROR_CODES = [
  'illegalTopic',
  'illegalGroup',
  'illegalTag',
  'illegalKey',
  'illegalMessageId',
  'illegalPropertyKey',
  'illegalFilter',
  'illegalInvisibleTime',
  'invalidHandle',
  'propertiesTooLarge',
  'bodyTooLarge',
  'bodyEmpty',
  'messageCorrupted',
  'typeNotAccepted',
  'badRequest',
  'topicNotFound',
  'groupNotFound',
  'forbidden',
  /** Refused before anything was appended; try later. */
  'busy',
  /** Refused before anything was appended; an operator must make room. */
  'diskFull',
  /** No leader, or no commit, until the deadline. The outcome of a write is unknown. */
  'timeout',
  'unsupported',
  'internal',
] as const;
export type BrokerErrorCode = (typeof BROKER_ERROR_CODES)[number];

export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: BrokerErrorCode;
  /** `message` names the value, the limit and the way out. */
  constructor(code: BrokerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What a node answers to a verb that another node, or the command line, sent it. */
export type BrokerReply =
  | { readonly kind: 'answer'; readonly response: BrokerResponse }
  | { readonly kind: 'failure'; readonly code: BrokerErrorCode; readonly message: string }
  /** The asked node does not lead; who does in its eyes, and in which term. */
  | { readonly kind: 'notLeader'; readonly term: Term; readonly leader: NodeId | null };
