import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeId } from '../../src/base/units.ts';
import { PEER_PROTOCOL_VERSION, type PeerIdentity } from '../../src/protocol/peer-codec.ts';
import { PeerRoster } from '../../src/replica/handshake.ts';

const n1 = NodeId('n1');
const n2 = NodeId('n2');

const identityOf = (nodeId: NodeId): PeerIdentity => ({
  protocolVersion: PEER_PROTOCOL_VERSION,
  clusterId: 'c',
  groupId: 'g',
  nodeId,
  storeUuid: `store-${nodeId}`,
  bootCount: 1,
  segmentSizeBytes: 65_536,
  voters: [n1, n2],
  addresses: { raft: '', grpc: '', http: '' },
});

test('a peer is admitted on no stream before its store is pinned on the disk', async () => {
  const peerStores = new Map<NodeId, string>();
  const durable: (() => void)[] = [];
  const roster = new PeerRoster({
    self: identityOf(n1),
    members: [n1, n2],
    pins: {
      peerStores,
      // As the commit log does: known at once, durable later.
      pinPeerStore: (nodeId, storeUuid) => {
        peerStores.set(nodeId, storeUuid);
        return new Promise((resolve) => durable.push(resolve));
      },
    },
  });
  const verdicts: unknown[] = [];
  const hello = { from: identityOf(n2), toNodeId: n1 };
  for (let stream = 0; stream < 2; stream++) {
    void roster.admit(hello).then((verdict) => verdicts.push(verdict)); // Awaited by its effect.
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(verdicts, []);
  assert.equal(durable.length, 1);
  durable[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(verdicts, [n2, n2]);
});
