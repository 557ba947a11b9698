/** Verifying a replica on demand, beside its work: rot, another state, rows that rotted in the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIB } from '../../src/base/sizes.ts';
import type { NodeId } from '../../src/base/units.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import type { VerifyVerdict } from '../../src/protocol/verify-codec.ts';
import { VerifyStopped, verifyReplica } from '../../src/replica/verify/verify-run.ts';
import { type ApplyRules, standardApplyRules } from '../../src/store/derived/apply-rules.ts';
import { TABLE } from '../../src/store/derived/key-codec.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import type { LogDamage } from '../../src/store/scrub/log-on-disk.ts';
import { messageProposal, ReplicaGroup } from './replica-group.ts';

const SEGMENT = 16 * KIB;
const SNAPSHOT_LIMITS = { entriesMax: 1_000_000, periodMs: 3_600_000, pauseMsMin: 0 };

async function loadedGroup(): Promise<ReplicaGroup> {
  const group = await ReplicaGroup.started();
  await group.pinned();
  await group.createTopic();
  for (let at = 0; at < 40; at += 5) {
    const { replica } = await group.leader();
    await group.outcomeOf(replica.propose(messageProposal(at, { count: 5 })));
  }
  await group.allApplied();
  return group;
}

async function verified(
  group: ReplicaGroup,
  nodeId: NodeId,
  changes: { readonly skipsDerived?: boolean } = {},
  scratch: () => MemoryKvStore = () => new MemoryKvStore(),
): Promise<{ readonly verdict: VerifyVerdict; readonly damages: readonly LogDamage[] }> {
  const { replica } = group.node(nodeId);
  const damages: LogDamage[] = [];
  const parts = {
    ...{ replica, clock: group.clock },
    snapshots: replica.snapshotKeeper?.files ?? null,
    standingAt: () => null,
    withScratch: <T>(work: (store: MemoryKvStore) => Promise<T>) => work(scratch()),
    onDamage: (damage: LogDamage) => void damages.push(damage),
  };
  const run = { bytesPerSecond: 100_000, skipsDerived: false, checkpointIndex: null, ...changes };
  const verifying = verifyReplica(parts, run, () => {}, new AbortController().signal);
  return { verdict: await group.outcomeOf(verifying), damages };
}

test('a sound replica: all entries are good, and its state is what the log says', async () => {
  const group = await loadedGroup();
  const { verdict, damages } = await verified(group, 'n2' as NodeId);
  const { log, state } = verdict;
  assert.equal(log.goodIndex, log.lastIndex);
  assert.deepEqual([log.damageCount, state.outcome, state.differenceCount], [0, 'same', 0]);
  assert.ok(state.rowCount > 40);
  assert.deepEqual(damages, []);
  await group.stopAll();
});

test('rot is told with its place, and where the good log ends', async () => {
  const group = await loadedGroup();
  const entries = group.stores.get('n2' as NodeId)?.entries ?? [];
  const entry = entries[6];
  assert.ok(entry !== undefined);
  const bytes = entry.bytes.slice();
  bytes[70] = (bytes[70] ?? 0) ^ 1;
  entries[6] = { ...entry, bytes };
  const { verdict, damages } = await verified(group, 'n2' as NodeId);
  assert.equal(verdict.log.goodIndex, 6);
  assert.deepEqual(
    damages.map(({ index }) => index),
    [7],
  );
  assert.match(verdict.log.damages[0] ?? '', /^entry 7 in /);
  assert.equal(verdict.state.outcome, 'skipped');
  await group.stopAll();
});

test('a row that is another one than the log says is found by deriving it again', async () => {
  const group = await loadedGroup();
  const kv = group.kvs.get('n3' as NodeId);
  assert.ok(kv !== undefined);
  await group.node('n3' as NodeId).replica.state.flushed();
  const [row] = kv.range(TABLE.topic, `${TABLE.topic}\xff`);
  assert.ok(row !== undefined);
  const value = row.value.slice();
  value[3] = (value[3] ?? 0) ^ 1;
  await kv.commit(new Map([[row.key, value]]));
  const { verdict } = await verified(group, 'n3' as NodeId);
  assert.equal(verdict.state.outcome, 'differs');
  assert.equal(verdict.state.differenceCount, 1);
  assert.match(verdict.state.details[0] ?? '', /^table T, key /);
  const skipped = await verified(group, 'n3' as NodeId, { skipsDerived: true });
  assert.deepEqual(skipped.verdict.state.details, ['as asked']);
  await group.stopAll();
});

test('a replica that applied another value than its log says is found', async () => {
  const oneAttemptMore: ApplyRules = {
    commandOf: (written) =>
      written.kind === 'groupPut' ? { ...written, maxAttempts: written.maxAttempts + 1 } : written,
  };
  const rulesOf = (nodeId: NodeId) => (nodeId === 'n3' ? oneAttemptMore : standardApplyRules);
  const group = await ReplicaGroup.started({ rulesOf });
  await group.pinned();
  const { replica } = await group.leader();
  const command = { kind: 'groupPut', group: 'g', maxAttempts: 3, fifo: false, atMs: 1 } as const;
  const records = encodeCommandRecord(command);
  await group.outcomeOf(replica.propose({ records, messageRecordAt: [] }));
  await group.allApplied();
  assert.equal((await verified(group, 'n1' as NodeId)).verdict.state.outcome, 'same');
  const { state } = (await verified(group, 'n3' as NodeId)).verdict;
  assert.equal(state.outcome, 'differs');
  // The row itself, and the digest of rows in the meta row.
  assert.equal(state.differenceCount, 2);
  await group.stopAll();
});

/** Retention has taken the beginning of every log. */
async function compactedGroup(): Promise<ReplicaGroup> {
  const group = await ReplicaGroup.started({
    ...{ segmentSizeBytes: SEGMENT, snapshotLimits: SNAPSHOT_LIMITS },
  });
  await group.pinned();
  await group.createTopic();
  const { replica } = await group.leader();
  for (let at = 0; at < 60; at += 5) {
    const proposal = messageProposal(at, { count: 5, bodySizeBytes: 1_000 });
    await group.outcomeOf(replica.propose(proposal));
  }
  await group.allApplied();
  const start = replica.logExtent(false).segments.at(-1);
  assert.ok(start !== undefined);
  const { firstIndex, physicalOffset } = start;
  const why = { reason: 'size', storeTimestampMs: 0, atMs: 1 } as const;
  const command = { kind: 'advanceLogStart', firstIndex, physicalOffset, ...why } as const;
  const records = encodeCommandRecord(command);
  await group.outcomeOf(replica.propose({ records, messageRecordAt: [] }));
  await group.until('all logs begin later', () =>
    [...group.running.values()].every((node) => node.log.base.desc !== null),
  );
  await group.allApplied();
  return group;
}

test('of a log that has lost its beginning the state is derived from a snapshot on', async () => {
  const group = await compactedGroup();
  const { state } = (await verified(group, 'n2' as NodeId)).verdict;
  assert.deepEqual([state.outcome, state.details], ['same', []]);
  assert.ok(state.rowCount > 10);
  await group.stopAll();
});

test('a row that rotted is found there too', async () => {
  const group = await compactedGroup();
  const kv = group.kvs.get('n3' as NodeId);
  assert.ok(kv !== undefined);
  await group.node('n3' as NodeId).replica.state.flushed();
  const [row] = kv.range(TABLE.topic, `${TABLE.topic}\xff`);
  assert.ok(row !== undefined);
  const value = row.value.slice();
  value[value.length - 1] = (value.at(-1) ?? 0) ^ 1;
  await kv.commit(new Map([[row.key, value]]));
  const { state } = (await verified(group, 'n3' as NodeId)).verdict;
  assert.equal(state.outcome, 'differs');
  assert.match(state.details[0] ?? '', /^table T, key /);
  await group.stopAll();
});

test('a database that is replaced while it is compared is not judged', async () => {
  const group = await compactedGroup();
  const { replica } = group.node('n2' as NodeId);
  const kv = group.kvs.get('n2' as NodeId);
  /** Looked at when the view of the other one is open, and nothing is compared yet. */
  class Scratch extends MemoryKvStore {
    override view() {
      void kv?.close(); // in memory it is done at once
      return super.view();
    }
  }
  const { state } = (await verified(group, 'n2' as NodeId, {}, () => new Scratch())).verdict;
  assert.equal(state.outcome, 'skipped');
  assert.match(state.details[0] ?? '', /taken the place/);
  assert.ok(replica.state.appliedIndex > 0, 'it goes on');
  await group.stopAll();
});

test('a run ends when whoever asked goes away', async () => {
  const group = await loadedGroup();
  const { replica } = group.node('n2' as NodeId);
  const gone = new AbortController();
  const parts = {
    ...{ replica, clock: group.clock },
    snapshots: replica.snapshotKeeper?.files ?? null,
    standingAt: () => null,
    withScratch: async () => 'not wanted',
    onDamage: () => {},
  };
  const run = { bytesPerSecond: 1, skipsDerived: false, checkpointIndex: null };
  const verifying = verifyReplica(parts, run, () => {}, gone.signal);
  await group.settle();
  gone.abort();
  await assert.rejects(verifying, VerifyStopped);
  await group.stopAll();
});
