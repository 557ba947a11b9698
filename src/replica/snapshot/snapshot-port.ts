/**
 * The port for snapshots between replicas: questions to one node, each with one answer or the reason for
 * none, in bounded time. Implementations: snapshot-client.ts with snapshot-service.ts over gRPC, and one
 * in memory for tests.
 */
import type { NodeId } from '../../base/units.ts';
import type { SnapshotAsk, SnapshotOffer, SnapshotRead } from '../../protocol/snapshot-codec.ts';

/** `gone`: there is no such snapshot there. */
export type Answer<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly why: string };

export interface PeerAddress {
  readonly nodeId: NodeId;
  /** `host:port` of its peer service. */
  readonly raftAddress: string;
}

/** How others are asked. */
export interface SnapshotPort {
  /** Answered when the peer has all of it, durable. */
  offer(to: PeerAddress, offer: SnapshotOffer, timeoutMs: number): Promise<Answer<null>>;
  read(from: PeerAddress, read: SnapshotRead): Promise<Answer<Uint8Array>>;
  newest(of: PeerAddress, ask: SnapshotAsk): Promise<Answer<SnapshotOffer>>;
  /** Ends what is open. Idempotent. */
  close(): void;
}

/** How others are answered. Never rejects for a reason that lies with the asker. */
export interface SnapshotAnswers {
  offer(offer: SnapshotOffer): Promise<Answer<null>>;
  read(read: SnapshotRead): Promise<Answer<Uint8Array>>;
  newest(ask: SnapshotAsk): Promise<Answer<SnapshotOffer>>;
}
