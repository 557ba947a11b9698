import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../base/units.ts';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import type { RepairRead } from '../../protocol/repair-codec.ts';
import type { LogBase, StoredEntry } from '../../store/commit-log.ts';
import { ORIGIN } from '../../store/log-base.ts';
import { baseAt } from '../../store/log-fixture.ts';
import {
  aChain,
  answerOf,
  everything,
  repairerOf,
  SMALL,
  segmentPath,
  storeOf,
} from '../../store/repair/repair-fixture.ts';
import type { RepairAnswer } from '../../store/repair/repair-source.ts';
import type { AskOutcome, RepairClient } from './repair-client.ts';
import { type RepairEvent, type RepairLogOptions, repairLog } from './repair-log.ts';

const chain = aChain();
const members = ['n1', 'n2', 'n3'].map((id) => ({ nodeId: NodeId(id), raftAddress: `${id}:1` }));

async function damaged(...indexes: readonly number[]): Promise<MemoryDisk> {
  const disk = (await storeOf(chain)).powerCutKeeping(everything);
  for (const index of indexes) {
    const { physicalOffset } = chain.entries[index - 1]!.desc;
    const path = segmentPath(Math.floor(physicalOffset / SMALL));
    disk.rot(path, (physicalOffset % SMALL) + 20, new Uint8Array([0xa5]));
  }
  return disk;
}

type Peer = (read: RepairRead) => RepairAnswer | string;

/** Peers by address; what they are asked is written down. */
class MemoryRepairClient implements RepairClient {
  readonly asked: string[] = [];
  readonly #peers: ReadonlyMap<string, Peer>;

  constructor(peers: Readonly<Record<string, Peer>>) {
    this.#peers = new Map(Object.entries(peers));
  }

  async ask(address: string, read: RepairRead): Promise<AskOutcome> {
    this.asked.push(`${address} ${read.firstIndex}-${read.lastIndex}`);
    const answer = this.#peers.get(address)?.(read) ?? 'unreachable';
    if (typeof answer === 'string') return { kind: 'failed', why: answer };
    return { kind: 'answer', answer, from: address };
  }

  close(): void {}
}

function having(entries: readonly StoredEntry[]): Peer {
  return ({ firstIndex, lastIndex, fromEnd, sizeBytesMax }) =>
    answerOf(entries, {
      from: LogIndex(firstIndex),
      to: LogIndex(lastIndex),
      anchor: fromEnd ? 'last' : 'first',
      sizeBytesMax,
    });
}

/** Every peer's log stands on this. */
function beginningAt(base: LogBase): RepairLogOptions['snapshots'] {
  return {
    newest: async ({ nodeId }, { caller }) => {
      assert.equal(caller.toNodeId, nodeId);
      if (base.desc === null) return { kind: 'gone' };
      const logStart = { index: LogIndex(base.desc.last.index + 1), offset: PhysicalOffset(0) };
      const appliedIndex = LogIndex(base.desc.last.index + 2);
      const snapshot = { appliedIndex, appliedTerm: Term(1), logStart, sha256: '', chunkCount: 2 };
      return { kind: 'answer', value: { caller, term: Term(1), snapshot, base } };
    },
  };
}

interface Run {
  readonly events: RepairEvent[];
  readonly clock: ManualClock;
  readonly repairing: ReturnType<typeof repairLog>;
  readonly abort: AbortController;
}

async function start(disk: MemoryDisk, client: RepairClient, base: LogBase = ORIGIN): Promise<Run> {
  const clock = new ManualClock();
  const events: RepairEvent[] = [];
  const abort = new AbortController();
  const repairer = await repairerOf(disk);
  assert.ok(repairer !== null);
  const onEvent = (event: RepairEvent): void => {
    events.push(event);
  };
  const { signal } = abort;
  const snapshots = beginningAt(base);
  const options = {
    repairer,
    members,
    client,
    snapshots,
    clock,
    onEvent,
    onRepairer: () => {},
    signal,
  };
  return { events, clock, abort, repairing: repairLog(options) };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('peers are asked one after the other, whoever helps is asked again', async () => {
  const disk = await damaged(2, 5);
  const client = new MemoryRepairClient({ 'n3:1': having(chain.entries) });
  const { repairing, events } = await start(disk, client);
  const log = await repairing;
  assert.equal(log.recovered.entries.length, chain.entries.length);
  await log.close();
  assert.deepEqual(client.asked, ['n2:1 2-2', 'n3:1 2-2', 'n3:1 5-5']);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['repairStarted', 'repairProgress', 'repairProgress', 'repairDone'],
  );
});

test('it waits as long as it takes, and says why with the word of each peer', async () => {
  const disk = await damaged(4);
  let isBack = false;
  const client = new MemoryRepairClient({
    'n2:1': having(chain.entries.slice(0, 2)),
    'n3:1': (read) => (isBack ? having(chain.entries)(read) : 'connection refused'),
  });
  const { repairing, events, clock } = await start(disk, client);
  for (let i = 0; i < 20; i++) {
    await settled();
    clock.advance(1000);
  }
  const waits = events.filter((event) => event.kind === 'repairWaits');
  assert.ok(waits.length >= 2 && waits.length <= 4, `${waits.length} reminders in 20 s`);
  assert.deepEqual(waits[0], {
    kind: 'repairWaits',
    missing: 'entry 4',
    needsSnapshot: false,
    why: ['n2 does not have it', 'n3: connection refused'],
  });
  isBack = true;
  await settled();
  clock.advance(5000);
  await (await repairing).close();
});

test('what the group has removed from its log is waited for in words of its own', async () => {
  const disk = await damaged(4);
  const client = new MemoryRepairClient({
    'n2:1': having(chain.entries.slice(6)),
    'n3:1': having(chain.entries.slice(0, 2)),
  });
  const { repairing, events, abort } = await start(disk, client);
  await settled();
  const waits = events.find((event) => event.kind === 'repairWaits');
  assert.deepEqual(waits, {
    kind: 'repairWaits',
    missing: 'entry 4',
    needsSnapshot: true,
    why: [
      'n2 has removed what is before entry 7',
      'n3 does not have it',
      'n2 does not say where its log begins: it has no snapshot',
    ],
  });
  abort.abort();
  await assert.rejects(repairing, { name: 'AbortError' });
});

/** Those of the second segment, and the third. */
const secondBase = baseAt(chain, SMALL);
const thirdBase = baseAt(chain, 2 * SMALL);
const from = (base: LogBase) =>
  chain.entries.filter(({ desc }) => desc.index > (base.desc?.last.index ?? 0));

test('a log that lacks what the group has removed begins later, and keeps what is good behind that', async () => {
  for (const alsoDamaged of [[], [chain.entries.length]]) {
    const disk = await damaged(2, ...alsoDamaged);
    const kept = from(secondBase);
    const peers = { 'n2:1': having(kept), 'n3:1': having(kept) };
    const { repairing, events } = await start(disk, new MemoryRepairClient(peers), secondBase);
    const log = await repairing;
    assert.deepEqual(log.base, secondBase);
    assert.deepEqual(
      log.recovered.entries.map(({ index }) => index),
      kept.map(({ desc }) => desc.index),
    );
    assert.ok(events.some(({ kind }) => kind === 'repairCutInFront'));
    assert.ok(!disk.paths.includes(segmentPath(0)), 'what was before is gone');
    await log.close();
  }
});

test('a log that ends before that of the group begins is empty where that one begins', async () => {
  const few = { entries: chain.entries.slice(0, 3) };
  const disk = (await storeOf(few)).powerCutKeeping(everything);
  const { physicalOffset } = few.entries[1]!.desc;
  disk.rot(segmentPath(0), physicalOffset + 20, new Uint8Array([0xa5]));
  const kept = from(thirdBase);
  const peers = { 'n2:1': having(kept), 'n3:1': having(kept) };
  const { repairing } = await start(disk, new MemoryRepairClient(peers), thirdBase);
  const log = await repairing;
  assert.deepEqual(log.base, thirdBase);
  assert.deepEqual(log.recovered.entries, []);
  assert.equal(log.recovered.provenCommitIndex, thirdBase.desc?.last.index);
  await log.close();
});

test('one that is told to stop leaves the log as it is, for the next start', async () => {
  const disk = await damaged(4);
  const { repairing, abort } = await start(disk, new MemoryRepairClient({}));
  await settled();
  abort.abort();
  await assert.rejects(repairing, { name: 'AbortError' });
  const again = await repairerOf(disk);
  assert.equal(again?.missing, 'entry 4');
  await again.close();
});

test('a failing disk ends it with the reason of disks', async () => {
  const disk = await damaged(4);
  disk.failNext({ operation: 'sync', code: 'EIO', after: 0, pathPart: '.seg' });
  const client = new MemoryRepairClient({ 'n2:1': having(chain.entries) });
  const { repairing } = await start(disk, client);
  await assert.rejects(repairing, { reason: 'diskFailed' });
});

test('an answer of another log is passed over', async () => {
  const disk = await damaged(4);
  const strange: Peer = (read) => ({
    ...(having(chain.entries)(read) as RepairAnswer),
    entries: [chain.entries[4]!],
    committed: { index: LogIndex(3), term: Term(1) },
  });
  const client = new MemoryRepairClient({ 'n2:1': strange, 'n3:1': having(chain.entries) });
  const { repairing } = await start(disk, client);
  await (await repairing).close();
  assert.deepEqual(client.asked, ['n2:1 4-4', 'n3:1 4-4']);
});
