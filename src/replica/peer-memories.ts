/**
 * Memory of peers: durable for members, because others count on what they promised; in passing for
 * strangers, and for a member that comes with the store that the membership names while we remember
 * another one (that change may still be rolled back).
 */
import type { NodeId } from '../base/units.ts';
import type { RememberedPeer } from '../store/remembered-peer.ts';
import type { PeerMemory } from './peer-transport.ts';

export class PeerMemories {
  readonly #port: PeerMemory;
  readonly #inPassing = new Map<NodeId, RememberedPeer>();
  readonly #writing = new Map<NodeId, Promise<void>>();

  constructor(port: PeerMemory) {
    this.#port = port;
  }

  /** Known here, durable when nothing is being written. */
  durable(peer: NodeId): RememberedPeer | null {
    return this.#port.peers.get(peer) ?? null;
  }

  of(peer: NodeId, storeUuid: string): RememberedPeer | null {
    for (const known of [this.durable(peer), this.#inPassing.get(peer) ?? null]) {
      if (known?.storeUuid === storeUuid) return known;
    }
    return null;
  }

  isWriting(peer: NodeId): boolean {
    return this.#writing.has(peer);
  }

  /**
   * One write per peer at a time: whoever comes second waits for the first one instead, and must look
   * again at what is remembered then.
   */
  write(peer: NodeId, memory: RememberedPeer): Promise<void> {
    const running = this.#writing.get(peer);
    if (running !== undefined) return running;
    const writing = this.#port.rememberPeer(peer, memory).finally(() => this.#writing.delete(peer));
    this.#writing.set(peer, writing);
    return writing;
  }

  /** Durable some time. */
  note(peer: NodeId, memory: RememberedPeer): void {
    this.#port.notePeer(peer, memory);
  }

  keepInPassing(peer: NodeId, memory: RememberedPeer): void {
    this.#inPassing.set(peer, memory);
  }

  forgetInPassing(peer: NodeId): void {
    this.#inPassing.delete(peer);
  }
}
