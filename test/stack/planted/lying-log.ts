/** Commit logs that promise more than they keep. */
import type { NodeId } from '../../../src/base/units.ts';
import type { LocalRosterOptions } from '../../../src/replica/handshake.ts';
import type { CommitLog } from '../../../src/store/commit-log.ts';
import { NO_PROMISE, type RememberedPeer } from '../../../src/store/remembered-peer.ts';
import { withOverrides } from './with-overrides.ts';

/** Says `durable` as soon as it has been asked (H1). */
export function acknowledgesAtOnce(log: CommitLog): CommitLog {
  return withOverrides(log, {
    persist: (write) => {
      log.persist({ ...write, onDurable: () => {} });
      queueMicrotask(write.onDurable);
    },
  });
}

/** Writes the term and not the vote (H7). */
export function forgetsVotes(log: CommitLog): CommitLog {
  return withOverrides(log, {
    persist: (write) => {
      const { hardState } = write;
      const voteless = hardState === null ? null : { ...hardState, votedFor: null };
      log.persist({ ...write, hardState: voteless });
    },
  });
}

type Pins = LocalRosterOptions['log'];

/** Which store a peer has is forgotten with the process (H21, H22). */
export function forgetsPeers(log: Pins): Pins {
  return remembering(log, new Map());
}

/** How often a peer has booted and what it has promised is forgotten with the process (H23). */
export function forgetsBoots(log: Pins): Pins {
  const peers = new Map<NodeId, RememberedPeer>();
  for (const [nodeId, { storeUuid }] of log.peers) {
    const forgotten = { bootCount: 0, bootId: '', refusedBootId: null, promise: NO_PROMISE };
    peers.set(nodeId, { storeUuid, ...forgotten });
  }
  return remembering(log, peers);
}

/** The log still learns of what is remembered here, but what it tells is not asked for. */
function remembering(log: Pins, peers: Map<NodeId, RememberedPeer>): Pins {
  return withOverrides(log, {
    peers,
    rememberPeer: (nodeId, peer) => {
      peers.set(nodeId, peer);
      return log.rememberPeer(nodeId, peer);
    },
    notePeer: (nodeId, peer) => {
      peers.set(nodeId, peer);
      log.notePeer(nodeId, peer);
    },
    forgetPeer: (nodeId) => {
      peers.delete(nodeId);
      log.forgetPeer(nodeId);
    },
  });
}
