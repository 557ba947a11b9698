/** A handshake that does not know who was there before. */
import { createGrpcPeerTransport as create } from '../../../src/replica/grpc-peer-transport.ts';
import { withOverrides } from '../../stack/planted/with-overrides.ts';

export * from '../../../src/replica/grpc-peer-transport.ts';

export const createGrpcPeerTransport: typeof create = (options) => {
  if (process.env['MQ_RAFT_CANARY'] !== 'store-not-compared') return create(options);
  const { log } = options;
  return create({
    ...options,
    log: withOverrides(log, {
      peers: new Map(),
      rememberPeer: () => Promise.resolve(),
      notePeer: () => {},
    }),
  });
};
