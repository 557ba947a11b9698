import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import { foundingMembership } from '../../src/raft/membership.ts';
import { PeerRoster } from '../../src/replica/handshake.ts';
import { entryId, identityOf, MemoryPeerMemory } from '../../src/replica/handshake-fixture.ts';

const n1 = NodeId('n1');
const n2 = NodeId('n2');

const membership = {
  index: LogIndex(0),
  membership: foundingMembership([
    { nodeId: n1, raftAddress: 'a:1' },
    { nodeId: n2, raftAddress: 'b:1' },
  ]),
};

test('a peer is admitted on no stream before its store is pinned on the disk', async () => {
  const memory = new MemoryPeerMemory();
  const durable: (() => void)[] = [];
  memory.writeLater = () => new Promise((resolve) => durable.push(resolve));
  const roster = new PeerRoster({
    self: identityOf(n1, { voters: [n1, n2] }),
    claim: () => ({ term: Term(0), last: entryId(0, 0) }),
    founders: [n1, n2],
    ...{ membership, memory },
    onEvent: () => {},
  });
  const verdicts: unknown[] = [];
  const hello = { from: identityOf(n2, { voters: [n1, n2] }), toNodeId: n1 };
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
