/**
 * What is remembered of the peers, on its way into the superblock: some of it is durable before anybody is
 * told, the rest rides on the next update (H21 to H23).
 */
import type { FatalError } from '../base/errors.ts';
import type { LogIndex, NodeId } from '../base/units.ts';
import type { RememberedPeer } from './remembered-peer.ts';
import type { SuperblockChange, SuperblockWriter } from './superblock-writer.ts';

export class PeerLedger {
  readonly #superblocks: SuperblockWriter;
  readonly #commitHint: () => LogIndex;
  readonly #peers: Map<NodeId, RememberedPeer>;
  /** Rejects the memories that will never be durable. */
  readonly #open = new Set<(error: FatalError) => void>();

  /** @param commitHint what an update may say of the log now */
  constructor(superblocks: SuperblockWriter, commitHint: () => LogIndex) {
    this.#superblocks = superblocks;
    this.#commitHint = commitHint;
    this.#peers = new Map(superblocks.current.peers);
  }

  get peers(): ReadonlyMap<NodeId, RememberedPeer> {
    return this.#peers;
  }

  remember(nodeId: NodeId, peer: RememberedPeer): Promise<void> {
    this.#peers.set(nodeId, peer);
    return new Promise((resolve, reject) => {
      this.#open.add(reject);
      this.updateSuperblock({}, () => {
        this.#open.delete(reject);
        resolve();
      });
    });
  }

  note(nodeId: NodeId, peer: RememberedPeer): void {
    this.#peers.set(nodeId, peer);
  }

  forget(nodeId: NodeId): void {
    this.#peers.delete(nodeId);
  }

  /** What is only noted rides along. */
  updateSuperblock(change: SuperblockChange, onDurable: () => void = () => {}): void {
    const peers = new Map(this.#peers);
    const commitHint = this.#commitHint();
    this.#superblocks.update({ ...change, peers, commitHint }, onDurable);
  }

  fail(error: FatalError): void {
    for (const reject of this.#open) reject(error);
    this.#open.clear();
  }
}
