/** A handshake that does not know who was there before. */
import type { NodeId } from '../../../src/base/units.ts';
import { createGrpcPeerTransport as create } from '../../../src/replica/grpc-peer-transport.ts';
import { NO_PROMISE, type RememberedPeer } from '../../../src/store/remembered-peer.ts';
import { withOverrides } from '../../stack/planted/with-overrides.ts';

export * from '../../../src/replica/grpc-peer-transport.ts';

export const createGrpcPeerTransport: typeof create = (options) => {
  if (process.env['MQ_RAFT_CANARY'] !== 'wiped-voter-votes') return create(options);
  const { log } = options;
  const peers = new Map<NodeId, RememberedPeer>();
  return create({
    ...options,
    log: withOverrides(log, {
      peers,
      rememberPeer: (nodeId, peer) => {
        peers.set(nodeId, withoutPast(peer));
        return Promise.resolve();
      },
      notePeer: (nodeId, peer) => {
        peers.set(nodeId, withoutPast(peer));
      },
      forgetPeer: (nodeId) => {
        peers.delete(nodeId);
      },
    }),
  });
};

/** Its name is known, and nothing that it has ever done. */
function withoutPast({ storeUuid }: RememberedPeer): RememberedPeer {
  return { storeUuid, bootCount: 0, bootId: '', refusedBootId: null, promise: NO_PROMISE };
}
