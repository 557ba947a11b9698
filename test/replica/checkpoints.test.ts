/** Checkpoints: the group compares itself, and a replica that differs says so and stops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogIndex, NodeId } from '../../src/base/units.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import {
  type CheckpointEvent,
  CheckpointJudge,
} from '../../src/replica/checkpoints/checkpoint-judge.ts';
import { CheckpointProposer } from '../../src/replica/checkpoints/checkpoint-proposer.ts';
import type { Divergence, Standing } from '../../src/replica/checkpoints/divergence.ts';
import type { RecordsProposal } from '../../src/replica/replica.ts';
import { type ApplyRules, standardApplyRules } from '../../src/store/derived/apply-rules.ts';
import type { LogDamage } from '../../src/store/scrub/log-on-disk.ts';
import { type GroupOptions, messageProposal, ReplicaGroup } from './replica-group.ts';

interface Watched {
  readonly proposer: CheckpointProposer;
  readonly judge: CheckpointJudge;
  readonly events: CheckpointEvent[];
  readonly wrong: Divergence[];
  readonly damages: LogDamage[];
}

const LIMITS = { records: 20, sizeBytes: 1e9 };

class WatchedGroup {
  readonly watched = new Map<NodeId, Watched>();
  readonly silent = new Set<NodeId>();
  readonly group: ReplicaGroup;

  private constructor(group: ReplicaGroup) {
    this.group = group;
  }

  static async started(options: GroupOptions = {}): Promise<WatchedGroup> {
    const self = new WatchedGroup(await ReplicaGroup.started(options));
    for (const nodeId of self.group.nodeIds) self.watch(nodeId);
    await self.group.pinned();
    return self;
  }

  watch(nodeId: NodeId): Watched {
    const { replica } = this.group.node(nodeId);
    const { clock } = this.group;
    const events: CheckpointEvent[] = [];
    const [wrong, damages]: [Divergence[], LogDamage[]] = [[], []];
    const onFatal = (error: unknown): void => assert.fail(String(error));
    const common = { replica, clock, onFatal, onDamage: (each: LogDamage) => damages.push(each) };
    const judge = new CheckpointJudge({
      ...common,
      witnesses: { standingAt: async (address, index) => this.#standingAt(address, index) },
      onEvent: (event) => events.push(event),
      onWrong: (divergence) => wrong.push(divergence),
    });
    const proposer = new CheckpointProposer({
      ...common,
      limits: LIMITS,
      onClaimed: (index) => judge.onClaimed(index),
    });
    judge.start();
    const watched = { proposer, judge, events, wrong, damages };
    this.watched.set(nodeId, watched);
    return watched;
  }

  of(nodeId: NodeId): Watched {
    const watched = this.watched.get(nodeId);
    assert.ok(watched !== undefined);
    return watched;
  }

  /** Messages in proposals of five. */
  async send(firstOffset: number, count: number): Promise<void> {
    for (let at = firstOffset; at < firstOffset + count; at += 5) {
      const { replica } = await this.group.leader();
      const outcome = await this.group.outcomeOf(
        replica.propose(messageProposal(at, { count: 5 })),
      );
      assert.equal(outcome.kind, 'applied');
    }
    await this.group.allApplied();
  }

  async stopAll(): Promise<void> {
    for (const { proposer, judge } of this.watched.values()) {
      await proposer.stop();
      await judge.stop();
    }
    await this.group.stopAll();
  }

  #standingAt(address: string, index: LogIndex): Standing | null {
    const nodeId = address.split(':')[0] as NodeId;
    if (this.silent.has(nodeId) || !this.group.running.has(nodeId)) return null;
    return this.of(nodeId).judge.standingAt(index);
  }
}

/** The same result, another value in the row. */
const oneAttemptMore: ApplyRules = {
  commandOf: (written) =>
    written.kind === 'groupPut' ? { ...written, maxAttempts: written.maxAttempts + 1 } : written,
};

function groupPut(): RecordsProposal {
  const command = { kind: 'groupPut', group: 'g', maxAttempts: 3, fifo: false, atMs: 1 } as const;
  return { records: encodeCommandRecord(command), messageRecordAt: [] };
}

async function divergedGroup(isWrong: (nodeId: NodeId) => boolean): Promise<WatchedGroup> {
  const rulesOf = (nodeId: NodeId): ApplyRules =>
    isWrong(nodeId) ? oneAttemptMore : standardApplyRules;
  const watched = await WatchedGroup.started({ rulesOf });
  const { group } = watched;
  await group.createTopic();
  const { replica } = await group.leader();
  await group.outcomeOf(replica.propose(groupPut()));
  await group.allApplied();
  return watched;
}

async function leadBy(watched: WatchedGroup, nodeId: NodeId): Promise<void> {
  const { group } = watched;
  await group.until(`${nodeId} leads`, () => {
    const { serving } = group;
    if (serving !== null && serving.nodeId !== nodeId) {
      void serving.replica.transferLeadership(nodeId);
    }
    return serving?.nodeId === nodeId;
  });
}

test('every so many records the group compares itself, and agrees', async () => {
  const watched = await WatchedGroup.started();
  const { group } = watched;
  await group.createTopic();
  await watched.send(0, 60);
  await group.until('two checkpoints are agreed on everywhere', () =>
    [...watched.watched.values()].every(({ events }) => events.length >= 2),
  );
  for (const { events, wrong, damages } of watched.watched.values()) {
    assert.ok(events.length >= 2);
    assert.ok(events.every(({ kind }) => kind === 'checkpointAgreed'));
    assert.deepEqual([wrong, damages], [[], []]);
  }
  const all = [...group.running.values()].map(({ replica }) => replica.state.checkpoints());
  assert.deepEqual(all[1], all[0]);
  assert.deepEqual(all[2], all[0]);
  const [first, second] = all[0] ?? [];
  assert.ok(first?.claim !== null && second?.claim !== null);
  assert.equal(second?.claim.firstIndex, (first?.index ?? 0) + 1, 'ranges follow each other');
  await watched.stopAll();
});

test('a follower that applied another value is found at the next checkpoint, and stops', async () => {
  const watched = await divergedGroup((nodeId) => nodeId === 'n3');
  const { group } = watched;
  await leadBy(watched, 'n1' as NodeId);
  await watched.send(0, 25);
  const n3 = watched.of('n3' as NodeId);
  await group.until('n3 stops', () => n3.wrong.length === 1);
  assert.equal(n3.wrong[0]?.kind, 'state');
  assert.match(
    n3.judge.divergence ?? '',
    /^Derived state after entry \d+ is not that of the group: digest/,
  );
  assert.equal(n3.events.at(-1)?.kind, 'stateDiverged');
  await group.pass(6_000);
  for (const nodeId of ['n1', 'n2'] as NodeId[]) {
    assert.deepEqual(watched.of(nodeId).wrong, [], nodeId);
  }
  const told = watched.of('n1' as NodeId).events.filter(({ kind }) => kind === 'othersDiffer');
  assert.deepEqual(
    told.flatMap((event) => (event.kind === 'othersDiffer' ? event.nodeIds : [])),
    ['n3'],
  );
  await watched.stopAll();
});

test('a leader that applied another value stops; those who are right stay', async () => {
  const watched = await divergedGroup((nodeId) => nodeId === 'n2');
  const { group } = watched;
  await leadBy(watched, 'n2' as NodeId);
  await watched.send(0, 25);
  const n2 = watched.of('n2' as NodeId);
  await group.until('n2 stops', () => n2.wrong.length === 1);
  await group.pass(6_000);
  for (const nodeId of ['n1', 'n3'] as NodeId[]) {
    const { wrong, events } = watched.of(nodeId);
    assert.deepEqual(wrong, [], nodeId);
    const heard = events.filter(({ kind }) => kind === 'stateDiverged');
    assert.deepEqual(
      heard.map((event) => (event.kind === 'stateDiverged' ? event.verdict : '')),
      ['stays'],
    );
  }
  await watched.stopAll();
});

test('a follower that differs while nobody answers stops, after it has asked for a while', async () => {
  const watched = await divergedGroup((nodeId) => nodeId === 'n3');
  const { group } = watched;
  await leadBy(watched, 'n1' as NodeId);
  for (const nodeId of group.nodeIds) watched.silent.add(nodeId);
  await watched.send(0, 25);
  const n3 = watched.of('n3' as NodeId);
  assert.deepEqual(n3.wrong, []);
  await group.until('n3 stops', () => n3.wrong.length === 1);
  await watched.stopAll();
});

test('what was claimed while a node was down is compared when it starts', async () => {
  const watched = await divergedGroup((nodeId) => nodeId === 'n3');
  const { group } = watched;
  await leadBy(watched, 'n1' as NodeId);
  const n3 = 'n3' as NodeId;
  await watched.of(n3).proposer.stop();
  await watched.of(n3).judge.stop();
  await group.stop(n3);
  for (let at = 0; at < 25; at += 5) {
    const { replica } = await group.leader();
    await group.outcomeOf(replica.propose(messageProposal(at, { count: 5 })));
  }
  await group.until('it is claimed', () => {
    const { replica } = group.node('n1' as NodeId);
    return replica.state.checkpoints().at(-1)?.claim != null;
  });
  await group.start(n3);
  const { wrong } = watched.watch(n3);
  await group.until('n3 stops', () => wrong.length === 1);
  await watched.stopAll();
});

test('a new leader claims the checkpoint that the last one left without', async () => {
  const watched = await WatchedGroup.started();
  const { group } = watched;
  await group.createTopic();
  const leader = await group.leader();
  await watched.of(leader.nodeId).proposer.stop();
  const command = encodeCommandRecord({ kind: 'checkpoint', atMs: 1 });
  await group.outcomeOf(leader.replica.propose({ records: command, messageRecordAt: [] }));
  await group.allApplied();
  assert.equal(leader.replica.state.checkpoints().at(-1)?.claim, null);
  const other = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId);
  await leadBy(watched, other as NodeId);
  await group.until('it is agreed on', () =>
    [...watched.watched.values()].every(({ judge }) => judge.agreedIndex !== null),
  );
  await watched.stopAll();
});

test('rot in the range of a claim is reported by the replica that has it', async () => {
  const watched = await WatchedGroup.started();
  const { group } = watched;
  await group.createTopic();
  const leader = await group.leader();
  const victim = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId) as NodeId;
  const entries = group.stores.get(victim)?.entries ?? [];
  const entry = entries[1];
  assert.ok(entry !== undefined);
  const bytes = entry.bytes.slice();
  bytes[70] = (bytes[70] ?? 0) ^ 1;
  entries[1] = { ...entry, bytes };
  await watched.send(0, 25);
  await group.until('it is found', () => watched.of(victim).damages.length > 0);
  assert.equal(watched.of(victim).damages[0]?.index, 2);
  assert.deepEqual(watched.of(leader.nodeId).damages, []);
  await watched.stopAll();
});

test('entries that are other bytes with the same checksums are found by the digest of the range', async () => {
  const watched = await WatchedGroup.started();
  const { group } = watched;
  await group.createTopic();
  const leader = await group.leader();
  const victim = group.nodeIds.find((nodeId) => nodeId !== leader.nodeId) as NodeId;
  const { onDisk } = group.node(victim).log;
  const check = onDisk.check.bind(onDisk);
  // As if two entries had the same CRCs: nothing but the digest can tell.
  Object.assign(onDisk, {
    check: async (from: LogIndex, to: LogIndex, sizeBytesMax: number) => {
      const outcome = await check(from, to, sizeBytesMax);
      if (outcome.kind !== 'good') return outcome;
      const [first, ...others] = outcome.entries;
      return { ...outcome, entries: [Uint8Array.of(...(first ?? []), 0), ...others] };
    },
  });
  await watched.send(0, 25);
  await group.until('it stops', () => watched.of(victim).wrong.length === 1);
  assert.equal(watched.of(victim).wrong[0]?.kind, 'bytes');
  await watched.stopAll();
});
