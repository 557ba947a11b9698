/**
 * Raft messages as the bodies of peer frames: schema in proto/mqraft/peer.proto. The schema's names
 * are the kinds of the messages. Descriptors of entries and what config entries say are not in the
 * schema: both are read from the bytes of the entries themselves (peer-codec.ts).
 */
import { LogIndex, PhysicalOffset, Term } from '../base/units.ts';
import type { EntryId, SnapshotDesc } from '../raft/entry.ts';
import type { Message } from '../raft/messages.ts';
import { decodeMembership, encodeMembership } from './membership-codec.ts';

interface WireEntryId {
  readonly term: number;
  readonly index: number;
}

export interface WireSnapshotDesc {
  readonly last: WireEntryId | null;
  readonly endOffset: number;
  readonly membershipIndex: number;
  readonly membership: Uint8Array;
}

/** One member at most is present. */
export interface WireMessage {
  readonly preVoteRequest?: { readonly term: number; readonly last: WireEntryId | null };
  readonly preVoteReply?: {
    readonly term: number;
    readonly granted: boolean;
    readonly last: WireEntryId | null;
    readonly hasTornTail: boolean;
  };
  readonly voteRequest?: {
    readonly term: number;
    readonly last: WireEntryId | null;
    readonly isTransfer: boolean;
  };
  readonly voteReply?: { readonly term: number; readonly granted: boolean };
  readonly campaignNow?: { readonly term: number };
  readonly appendRequest?: {
    readonly term: number;
    readonly prev: WireEntryId | null;
    readonly commitIndex: number;
  };
  readonly appendAccepted?: { readonly term: number; readonly matchIndex: number };
  readonly appendRejected?: {
    readonly term: number;
    readonly rejected: WireEntryId | null;
    readonly hint: WireEntryId | null;
  };
  readonly installSnapshot?: { readonly term: number; readonly snapshot: WireSnapshotDesc | null };
  readonly heartbeat?: {
    readonly term: number;
    readonly commitIndex: number;
    readonly round: number;
  };
  readonly heartbeatReply?: {
    readonly term: number;
    readonly lastIndex: number;
    readonly durableIndex: number;
    readonly round: number;
    readonly isDiskStalled: boolean;
  };
}

export function wireMessage(message: Message): WireMessage {
  if (message.kind !== 'installSnapshot') return { [message.kind]: message };
  const { term, snapshot } = message;
  return { installSnapshot: { term, snapshot: wireSnapshotDesc(snapshot) } };
}

export function wireSnapshotDesc({ last, endOffset, membership }: SnapshotDesc): WireSnapshotDesc {
  return {
    last,
    endOffset,
    membershipIndex: membership.index,
    membership: encodeMembership(membership.membership),
  };
}

/** @returns null when no message is there, or one that does not hold together */
export function readMessage(wire: WireMessage): Message | null {
  return readElection(wire) ?? readAppending(wire) ?? readInstallation(wire) ?? readHealth(wire);
}

/** Beyond 2^53 a number has lost digits: such a frame is refused. */
export function areCounts(...values: readonly number[]): boolean {
  return values.every((value) => Number.isSafeInteger(value) && value >= 0);
}

function readElection(wire: WireMessage): Message | null {
  const { preVoteRequest, preVoteReply, voteRequest, voteReply, campaignNow } = wire;
  if (preVoteRequest) {
    const last = readEntryId(preVoteRequest.last);
    if (last === null || !areCounts(preVoteRequest.term)) return null;
    return { kind: 'preVoteRequest', term: Term(preVoteRequest.term), last };
  }
  if (preVoteReply) {
    const { term, granted, hasTornTail } = preVoteReply;
    const last = readEntryId(preVoteReply.last);
    if (last === null || !areCounts(term)) return null;
    return { kind: 'preVoteReply', term: Term(term), granted, last, hasTornTail };
  }
  if (voteRequest) {
    const { term, isTransfer } = voteRequest;
    const last = readEntryId(voteRequest.last);
    if (last === null || !areCounts(term)) return null;
    return { kind: 'voteRequest', term: Term(term), last, isTransfer };
  }
  if (voteReply) {
    const { term, granted } = voteReply;
    return areCounts(term) ? { kind: 'voteReply', term: Term(term), granted } : null;
  }
  if (!campaignNow || !areCounts(campaignNow.term)) return null;
  return { kind: 'campaignNow', term: Term(campaignNow.term) };
}

function readAppending({
  appendRequest,
  appendAccepted,
  appendRejected,
}: WireMessage): Message | null {
  if (appendRequest) {
    const { term, commitIndex } = appendRequest;
    const prev = readEntryId(appendRequest.prev);
    if (prev === null || !areCounts(term, commitIndex)) return null;
    const commit = LogIndex(commitIndex);
    const nothing = { entries: [], memberships: [] };
    return { kind: 'appendRequest', term: Term(term), prev, ...nothing, commitIndex: commit };
  }
  if (appendAccepted) {
    const { term, matchIndex } = appendAccepted;
    if (!areCounts(term, matchIndex)) return null;
    return { kind: 'appendAccepted', term: Term(term), matchIndex: LogIndex(matchIndex) };
  }
  if (!appendRejected) return null;
  const rejected = readEntryId(appendRejected.rejected);
  const hint = readEntryId(appendRejected.hint);
  if (rejected === null || hint === null || !areCounts(appendRejected.term)) return null;
  return { kind: 'appendRejected', term: Term(appendRejected.term), rejected, hint };
}

function readInstallation({ installSnapshot }: WireMessage): Message | null {
  if (!installSnapshot || !areCounts(installSnapshot.term)) return null;
  const snapshot = readSnapshotDesc(installSnapshot.snapshot);
  if (snapshot === null) return null;
  return { kind: 'installSnapshot', term: Term(installSnapshot.term), snapshot };
}

/** @returns null for what does not hold together */
export function readSnapshotDesc(wire: WireSnapshotDesc | null): SnapshotDesc | null {
  const last = wire && readEntryId(wire.last);
  if (!wire || last === null || !areCounts(wire.endOffset, wire.membershipIndex)) return null;
  // The schema's default for absent bytes is an empty array, not empty bytes.
  if (!Object.hasOwn(wire, 'membership') || wire.membershipIndex > last.index) return null;
  const decoded = decodeMembership(wire.membership);
  if (decoded.kind === 'problem') return null;
  const index = LogIndex(wire.membershipIndex);
  return {
    last,
    endOffset: PhysicalOffset(wire.endOffset),
    membership: { index, membership: decoded.membership },
  };
}

function readHealth({ heartbeat, heartbeatReply }: WireMessage): Message | null {
  if (heartbeat) {
    const { term, round, commitIndex } = heartbeat;
    if (!areCounts(term, round, commitIndex)) return null;
    return { kind: 'heartbeat', term: Term(term), round, commitIndex: LogIndex(commitIndex) };
  }
  if (!heartbeatReply) return null;
  const { term, round, lastIndex, durableIndex, isDiskStalled } = heartbeatReply;
  if (!areCounts(term, round, lastIndex, durableIndex)) return null;
  return {
    kind: 'heartbeatReply',
    term: Term(term),
    round,
    lastIndex: LogIndex(lastIndex),
    durableIndex: LogIndex(durableIndex),
    isDiskStalled,
  };
}

export function readEntryId(wire: WireEntryId | null): EntryId | null {
  if (!wire || !areCounts(wire.term, wire.index)) return null;
  return { term: Term(wire.term), index: LogIndex(wire.index) };
}
