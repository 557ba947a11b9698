import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogIndex, NodeId, Term } from '../../base/units.ts';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import type { RepairRead } from '../../protocol/repair-codec.ts';
import type { StoredEntry } from '../../store/commit-log.ts';
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
import { type RepairEvent, repairLog } from './repair-log.ts';

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

interface Run {
  readonly events: RepairEvent[];
  readonly clock: ManualClock;
  readonly repairing: ReturnType<typeof repairLog>;
  readonly abort: AbortController;
}

async function start(disk: MemoryDisk, client: RepairClient): Promise<Run> {
  const clock = new ManualClock();
  const events: RepairEvent[] = [];
  const abort = new AbortController();
  const repairer = await repairerOf(disk);
  assert.ok(repairer !== null);
  const onEvent = (event: RepairEvent): void => {
    events.push(event);
  };
  const { signal } = abort;
  const options = { repairer, members, client, clock, onEvent, onRepairer: () => {}, signal };
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
    why: ['n2 has removed what is before entry 7', 'n3 does not have it'],
  });
  abort.abort();
  await assert.rejects(repairing, { name: 'AbortError' });
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
