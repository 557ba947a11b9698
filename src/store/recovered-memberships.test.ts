import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../base/errors.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { MemoryDisk } from '../io/memory/memory-disk.ts';
import { encodeMembership } from '../protocol/membership-codec.ts';
import { foundingMembership, type Membership } from '../raft/membership.ts';
import {
  EntryChain,
  openTestLog,
  payloadOf,
  peerOf,
  persisted,
  TEST_IDENTITY,
  term,
} from './log-fixture.ts';

const SMALL = 8 * 1024;
const identity = { ...TEST_IDENTITY, segmentSizeBytes: SMALL };

const first = foundingMembership([
  { nodeId: NodeId('n1'), raftAddress: 'a:1' },
  { nodeId: NodeId('n2'), raftAddress: 'b:1' },
]);
const second: Membership = { ...first, removed: [NodeId('n3')] };

/** Config entries among others, the second one in another segment. */
function chainWith(...last: readonly Uint8Array[]): EntryChain {
  const chain = new EntryChain(SMALL);
  const data = { payload: payloadOf(3000, 1), term: Term(1) };
  const config = { term: Term(1), type: 'config' } as const;
  chain.append({ ...config, payload: encodeMembership(first) });
  chain.append(data);
  chain.append(data);
  for (const payload of last) chain.append({ ...config, payload });
  return chain;
}

async function written(chain: EntryChain): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk, { identity });
  await persisted(log, { hardState: term(1), entries: chain.entries });
  await log.close();
  return disk;
}

test('a start finds what the config entries say', async () => {
  const chain = chainWith(encodeMembership(second));
  const last = chain.entries.at(-1)!.desc.index;
  const log = await openTestLog(await written(chain), { identity });
  assert.deepEqual(log.recovered.memberships, [
    { index: 1, membership: first },
    { index: last, membership: second },
  ]);
  await persisted(log, { truncateFrom: last });
  await log.close();
});

test('a config entry that was cut says nothing any more', async () => {
  const chain = chainWith(encodeMembership(second));
  const disk = await written(chain);
  const log = await openTestLog(disk, { identity });
  await persisted(log, { truncateFrom: LogIndex(chain.entries.length) });
  await log.close();
  const again = await openTestLog(disk, { identity });
  assert.deepEqual(again.recovered.memberships, [{ index: 1, membership: first }]);
  await again.close();
});

for (const [name, payload] of [
  ['no membership', payloadOf(30, 7)],
  ['nothing', new Uint8Array(0)],
] as const) {
  test(`a config entry with good checksums that holds ${name} is damage, not a torn end`, async () => {
    const disk = await written(chainWith(payload));
    await assert.rejects(openTestLog(disk, { identity }), (error) => {
      assert.ok(error instanceof FatalError);
      assert.equal(error.reason, 'logDamaged');
      assert.match(error.message, /seg at byte \d+: the membership of entry \d+ is bad: /);
      return true;
    });
    const quarantined = disk.paths.filter((path) => path.includes('/quarantine/'));
    assert.deepEqual(quarantined, []);
  });
}

test('the memory of a removed node goes with the next one that is written', async () => {
  const disk = new MemoryDisk();
  const log = await openTestLog(disk, { identity });
  await log.rememberPeer(NodeId('n2'), peerOf('s2'));
  log.forgetPeer(NodeId('n2'));
  await log.rememberPeer(NodeId('n3'), peerOf('s3'));
  await log.close();
  const again = await openTestLog(disk, { identity });
  assert.deepEqual([...again.peers], [['n3', peerOf('s3')]]);
  await again.close();
});
