/** Snapshots over real sockets: what is asked, what is answered, and how long anybody waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { MIB } from '../../src/base/sizes.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import type { SnapshotOffer } from '../../src/protocol/snapshot-codec.ts';
import { foundingMembership } from '../../src/raft/membership.ts';
import { PEER_SERVER_OPTIONS } from '../../src/replica/grpc-peer-transport.ts';
import { createSnapshotClient } from '../../src/replica/snapshot/snapshot-client.ts';
import type { SnapshotAnswers } from '../../src/replica/snapshot/snapshot-port.ts';
import { snapshotService } from '../../src/replica/snapshot/snapshot-service.ts';

const caller = {
  ...{ clusterId: 'c', groupId: 'g', nodeId: 'n1', storeUuid: 'u', bootId: 'b' },
  ...{ segmentSizeBytes: MIB, toNodeId: 'n2' },
};
const offer: SnapshotOffer = {
  ...{ caller, term: Term(3) },
  snapshot: {
    ...{ appliedIndex: LogIndex(90), appliedTerm: Term(3), chunkCount: 3, sha256: 'ab'.repeat(32) },
    logStart: { index: LogIndex(60), offset: PhysicalOffset(MIB + 4096) },
  },
  base: {
    desc: {
      last: { index: LogIndex(59), term: Term(2) },
      endOffset: PhysicalOffset(MIB),
      membership: {
        index: LogIndex(0),
        membership: foundingMembership([{ nodeId: NodeId('n1'), raftAddress: 'a:1' }]),
      },
    },
    headerCrc: 77,
  },
};

async function serving(answers: SnapshotAnswers) {
  const server = new Server(PEER_SERVER_OPTIONS);
  const { definition, implementation } = snapshotService(answers, (error) =>
    assert.fail(String(error)),
  );
  server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { server, address: { nodeId: NodeId('n2'), raftAddress: `127.0.0.1:${port}` } };
}

test('offers, chunks and questions arrive as they were, and refusals with their words', async () => {
  const chunk = new Uint8Array(MIB).fill(7);
  const { server, address } = await serving({
    offer: async (got) => {
      assert.equal(got.base.headerCrc, 77);
      assert.deepEqual(got.base.desc?.last, offer.base.desc?.last);
      return got.term === 3 ? { kind: 'answer', value: null } : { kind: 'failed', why: 'no room' };
    },
    read: async ({ number }) =>
      number === 0 ? { kind: 'answer', value: chunk } : { kind: 'gone' },
    newest: async ({ caller: { toNodeId } }) => {
      assert.equal(toNodeId, 'n2');
      return { kind: 'answer', value: offer };
    },
  });
  const client = createSnapshotClient();
  const { snapshot } = offer;
  assert.deepEqual(await client.offer(address, offer, 5_000), { kind: 'answer', value: null });
  const refused = await client.offer(address, { ...offer, term: Term(4) }, 5_000);
  assert.ok(refused.kind === 'failed' && refused.why.endsWith('no room'));
  const read = await client.read(address, { caller, snapshot, number: 0 });
  assert.ok(read.kind === 'answer' && Buffer.compare(read.value, chunk) === 0);
  assert.deepEqual(await client.read(address, { caller, snapshot, number: 1 }), { kind: 'gone' });
  const newest = await client.newest(address, { caller });
  assert.ok(newest.kind === 'answer');
  assert.deepEqual(newest.value.snapshot, snapshot);
  client.close();
  server.forceShutdown();
});

test('who does not answer, is not there, or whose asker closes: an end in bounded time', async () => {
  const { server, address } = await serving({
    offer: () => new Promise(() => {}),
    read: () => new Promise(() => {}),
    newest: () => new Promise(() => {}),
  });
  const client = createSnapshotClient();
  assert.equal((await client.offer(address, offer, 200)).kind, 'failed');
  const gone = { ...address, raftAddress: '127.0.0.1:1' };
  assert.equal((await client.newest(gone, { caller })).kind, 'failed');
  const waiting = client.read(address, { caller, snapshot: offer.snapshot, number: 0 });
  client.close();
  assert.equal((await waiting).kind, 'failed');
  assert.equal((await client.newest(address, { caller })).kind, 'failed');
  server.forceShutdown();
});
