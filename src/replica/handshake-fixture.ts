/** For tests of handshakes: identities, memories of peers, and starts whose ids are easy to read. */
import { LogIndex, type NodeId, Term } from '../base/units.ts';
import { PEER_PROTOCOL_VERSION, type PeerIdentity } from '../protocol/peer-codec.ts';
import { BOOT_IDS_KEPT_MAX } from '../store/limits.ts';
import { NO_PROMISE, type RememberedPeer } from '../store/remembered-peer.ts';
import type { PeerMemory } from './peer-transport.ts';

/** Known at once, durable in the next microtask, as long as the test does not decide otherwise. */
export class MemoryPeerMemory implements PeerMemory {
  readonly peers = new Map<NodeId, RememberedPeer>();
  /** In the order in which they became durable. */
  readonly written: string[] = [];
  writeLater: () => Promise<void> = () => Promise.resolve();

  async rememberPeer(nodeId: NodeId, peer: RememberedPeer): Promise<void> {
    this.peers.set(nodeId, peer);
    await this.writeLater();
    this.written.push(`${nodeId}=${peer.storeUuid}/${peer.bootCount}`);
  }

  notePeer(nodeId: NodeId, peer: RememberedPeer): void {
    this.peers.set(nodeId, peer);
  }

  forgetPeer(nodeId: NodeId): void {
    this.peers.delete(nodeId);
  }
}

/** The id of start `count` in line `line`: an image that is started on its own begins another line. */
export function bootIdOf(count: number, line = 0): string {
  return `${line.toString(16).padStart(8, '0')}${count.toString(16).padStart(8, '0')}`;
}

/**
 * The ids of starts 1 to `count`, newest first, as many as are kept.
 *
 * @param forkedAt the first start that is of line 1
 */
export function bootIdsTo(count: number, forkedAt = Number.POSITIVE_INFINITY): readonly string[] {
  return Array.from({ length: Math.min(count, BOOT_IDS_KEPT_MAX) }, (_, i) =>
    bootIdOf(count - i, count - i >= forkedAt ? 1 : 0),
  );
}

export function entryId(term: number, index: number): RememberedPeer['promise']['last'] {
  return { term: Term(term), index: LogIndex(index) };
}

export function remembered(more: Partial<RememberedPeer> = {}): RememberedPeer {
  const bootCount = more.bootCount ?? 1;
  return {
    ...{ storeUuid: 'store-n2', bootCount, bootId: bootIdOf(bootCount), refusedBootId: null },
    promise: NO_PROMISE,
    ...more,
  };
}

/** Of a founder of a group of three, on its first start. */
export function identityOf(nodeId: string, more: Partial<PeerIdentity> = {}): PeerIdentity {
  return {
    ...{ protocolVersion: PEER_PROTOCOL_VERSION, clusterId: 'c', groupId: 'g', nodeId },
    ...{ storeUuid: `store-${nodeId}`, bootCount: 1, bootIds: bootIdsTo(more.bootCount ?? 1) },
    ...{ term: Term(0), last: entryId(0, 0), segmentSizeBytes: 65_536 },
    ...{ membershipIndex: 0, voters: ['n1', 'n2', 'n3'] },
    addresses: { raft: `${nodeId}:1`, grpc: `${nodeId}:2`, http: '' },
    ...more,
  };
}
