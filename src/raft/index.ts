/** The public face of the consensus core. */
export type {
  CoreConfig,
  CoreStart,
  CoreStatus,
  PeerProgress,
  ProgressState,
  ProposalPlacement,
  TermLookup,
} from './core-types.ts';
export type {
  AlarmId,
  Effect,
  HardState,
  Input,
  PersistEffect,
  Proposal,
  ProposeResult,
  Role,
} from './effects.ts';
export {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryDesc,
  type EntryId,
  type EntryType,
  entrySizeBytes,
  type Placement,
  payloadSizeBytesMax,
  placeEntry,
  SEGMENT_HEADER_SIZE_BYTES,
  skipSegmentHeader,
} from './entry.ts';
export {
  APPEND_SIZE_BYTES_MAX,
  ELECTION_TIMEOUT_TICKS_MAX,
  ELECTION_TIMEOUT_TICKS_MIN,
  HEARTBEAT_TICKS,
  INFLIGHT_COUNT_MAX,
  INFLIGHT_SIZE_BYTES_MAX,
  UNCOMMITTED_SIZE_BYTES_MAX,
} from './limits.ts';
export type {
  AppendAccepted,
  AppendRejected,
  AppendRequest,
  Envelope,
  Heartbeat,
  HeartbeatReply,
  Message,
  PreVoteReply,
  PreVoteRequest,
  VoteReply,
  VoteRequest,
} from './messages.ts';
export { RaftCore } from './raft-core.ts';
export { type LogTerms, type SafetyRules, standardRules } from './rules.ts';
