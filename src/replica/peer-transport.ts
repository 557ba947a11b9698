/**
 * The port to the other replicas. Messages may be lost, never altered, never reordered within one
 * direction of one stream; who sent a message was proven by a handshake (H21, H22).
 *
 * Implementations: grpc-peer-transport.ts, and one in memory for tests.
 */
import type { NodeId } from '../base/units.ts';
import type { ReceivedEntry } from '../protocol/peer-codec.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import type { Message } from '../raft/messages.ts';
import type { RememberedPeer } from '../store/remembered-peer.ts';
import type { RefusalCode } from './handshake.ts';
import type { NodeAddresses } from './replica.ts';

export interface PeerTransport {
  /** Opens the streams; called once. Nothing is delivered before. */
  start(receiver: PeerReceiver): void;
  /**
   * Never blocks. Without a welcomed stream to the node the message is dropped; when the queue to the peer is
   * full it is dropped and the receiver is told `onUnreachable`.
   *
   * @param entryBytes the raw entries of an appendRequest, in order; empty for all else
   */
  send(to: NodeId, message: Message, entryBytes: readonly Uint8Array[]): void;
  /**
   * Who belongs to the group from now on; before, it is the membership that the log was opened with.
   * New members are called, those who left are heard for some time still.
   */
  setMembership(current: LoggedMembership): void;
  /** These have left for good: that is committed, and their streams may end. */
  dismiss(removed: readonly NodeId[]): void;
  linkOf(peer: NodeId): PeerLink;
  readonly counters: PeerCounters;
  /** Idempotent; nothing is delivered after the call. */
  close(): Promise<void>;
}

export interface PeerReceiver {
  /** `entries` are verified: header CRC, payload CRC, contiguity and the chain between them. */
  onMessage(from: NodeId, message: Message, entries: readonly ReceivedEntry[]): void;
  onUnreachable(peer: NodeId): void;
}

export interface PeerLink {
  readonly connected: boolean;
  readonly addresses: NodeAddresses | null;
  /** The store it was trusted with last; null: never met. */
  readonly storeUuid: string | null;
  /** Its last word when it refused us, until it welcomes us. */
  readonly refusal: PeerRefusal | null;
}

/** What a peer answers instead of a welcome. */
export interface PeerRefusal {
  /** A `RefusalCode` of its version. */
  readonly code: string;
  readonly sentence: string;
}

/** Cumulative, for metrics. */
export interface PeerCounters {
  readonly framesSent: number;
  readonly framesReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Frames whose CRC, sequence or content was wrong; each cost its stream (H28). */
  readonly framesCorrupt: number;
  readonly messagesDropped: number;
  readonly streamsOpened: number;
  readonly handshakesRefused: number;
}

/** What an operator should read in the log. */
export type PeerEvent =
  | { readonly kind: 'peerUp'; readonly peer: NodeId; readonly direction: StreamDirection }
  | {
      readonly kind: 'peerDown';
      readonly peer: NodeId;
      readonly direction: StreamDirection;
      readonly why: string;
    }
  /** We refused someone. */
  | { readonly kind: 'refusedPeer'; readonly code: RefusalCode; readonly sentence: string }
  /** Someone refused us. */
  | {
      readonly kind: 'refusedByPeer';
      readonly peer: NodeId;
      readonly code: string;
      readonly sentence: string;
    }
  /** A node outside our membership talks to us: it may belong to one that we do not know yet. */
  | { readonly kind: 'strangerAdmitted'; readonly peer: NodeId; readonly raftAddress: string }
  /**
   * The store of a peer was started more often since we saw it than starts are remembered: that it is
   * no older image of itself cannot be told. It is trusted.
   */
  | {
      readonly kind: 'unprovenStart';
      readonly peer: NodeId;
      readonly storeUuid: string;
      readonly bootCount: number;
      readonly bootCountSeen: number;
    }
  /** No node can be called at the address that the membership, or the node itself, names. */
  | { readonly kind: 'unusableAddress'; readonly peer: NodeId; readonly address: string }
  | { readonly kind: 'corruptFrame'; readonly from: string; readonly problem: string };

/** As seen from here: `outbound` carries our messages. */
export type StreamDirection = 'inbound' | 'outbound';

/** Durable memory of peers; the commit log is one. */
export interface PeerMemory {
  readonly peers: ReadonlyMap<NodeId, RememberedPeer>;
  /** Durable when it resolves. */
  rememberPeer(nodeId: NodeId, peer: RememberedPeer): Promise<void>;
  /** Durable some time. */
  notePeer(nodeId: NodeId, peer: RememberedPeer): void;
}
