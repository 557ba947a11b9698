/** Directories of a group of three in memory, as its end left them. */
import { LogIndex, NodeId, Term } from '../../base/units.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { encodeMembership } from '../../protocol/membership-codec.ts';
import { foundingMembership } from '../../raft/membership.ts';
import { appendRecords, messageRecord, TOPIC_PUT } from '../inspect/inspect-fixture.ts';
import { baseAt, EntryChain, openTestLog, persisted, TEST_IDENTITY } from '../log-fixture.ts';

export const RECOVERED_GROUP = foundingMembership(
  ['n1', 'n2', 'n3'].map((id, i) => ({
    nodeId: NodeId(id),
    raftAddress: `10.0.0.${i + 1}:10912`,
  })),
);
export const RECOVERED_IDENTITY = { ...TEST_IDENTITY, segmentSizeBytes: 8192 };

/** A log with so many messages behind its membership. */
export function aGroupLog(messageCount: number, term = Term(1)): EntryChain {
  const chain = new EntryChain(RECOVERED_IDENTITY.segmentSizeBytes);
  chain.append({ payload: new Uint8Array(0), term: Term(1), type: 'noop' });
  chain.append({ payload: encodeMembership(RECOVERED_GROUP), term: Term(1), type: 'config' });
  appendRecords(chain, [{ bytes: TOPIC_PUT, kind: 'command' }], { term: Term(1) });
  for (let i = 0; i < messageCount; i++) {
    const plan = { topic: 'orders', queueId: 0, queueOffset: i, body: `message ${i}` };
    const leaderCommit = LogIndex(Math.max(0, chain.entries.length - 1));
    appendRecords(chain, [{ bytes: messageRecord(plan), kind: 'message' }], { term, leaderCommit });
  }
  return chain;
}

export async function aGroupStore(
  disk: MemoryDisk,
  directory: string,
  nodeId: NodeId,
  chain: EntryChain,
  form: 'whole' | 'compacted' = 'whole',
): Promise<void> {
  const log = await openTestLog(disk, { directory, identity: { ...RECOVERED_IDENTITY, nodeId } });
  const term = chain.entries.at(-1)?.desc.term ?? Term(1);
  await persisted(log, { hardState: { term, votedFor: null }, entries: chain.entries });
  if (form === 'compacted') {
    // The entry that brought the membership goes with the first segment: the base is all that knows it.
    const { desc } = baseAt(chain, RECOVERED_IDENTITY.segmentSizeBytes);
    if (desc === null) throw new Error('a base has a description');
    log.noteCommitIndex(chain.lastIndex);
    const membership = { index: LogIndex(2), membership: RECOVERED_GROUP };
    await log.compact({ ...desc, membership });
  }
  await log.close();
}
