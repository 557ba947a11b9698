/**
 * The port to the other replicas. Messages may be lost, never altered, never reordered within one
 * direction of one stream; who sent a message was proven by a handshake (H21, H22).
 *
 * Implementations: grpc-peer-transport.ts, and one in memory for tests.
 */
import type { NodeId } from '../base/units.ts';
import type { ReceivedEntry } from '../protocol/peer-codec.ts';
import type { Message } from '../raft/messages.ts';
import type { RefusalCode } from './handshake.ts';
import type { NodeAddresses } from './replica.ts';

export interface PeerTransport {
  /** Opens the streams; called once. Nothing is delivered before. */
  start(receiver: PeerReceiver): void;
  /**
   * Never blocks. Without a welcomed stream the message is dropped; when the queue to the peer is
   * full it is dropped and the receiver is told `onUnreachable`.
   *
   * @param entryBytes the raw entries of an appendRequest, in order; empty for all else
   */
  send(to: NodeId, message: Message, entryBytes: readonly Uint8Array[]): void;
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
  | { readonly kind: 'corruptFrame'; readonly from: string; readonly problem: string };

/** As seen from here: `outbound` carries our messages. */
export type StreamDirection = 'inbound' | 'outbound';

/** Durable memory of which store each peer has; the commit log is one. */
export interface PeerPins {
  readonly peerStores: ReadonlyMap<NodeId, string>;
  /** Durable when it resolves. */
  pinPeerStore(nodeId: NodeId, storeUuid: string): Promise<void>;
}
