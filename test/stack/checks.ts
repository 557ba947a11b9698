/** After everything has healed: what must be true of the three logs and of what follows from them. */
import { LogIndex } from '../../src/base/units.ts';
import { recordsOf } from '../../src/protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import type { CommitLog, StoredEntry } from '../../src/store/commit-log.ts';
import type { DerivedState } from '../../src/store/derived/derived-state.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';
import { dumpOf } from './crash-kv-store.ts';
import type { StackNode } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';
import { TOPIC, type Workload } from './workload.ts';

const READ_SIZE_BYTES_MAX = 64 * 1024;
const CHECK_TIMEOUT_MS = 30_000;
const HOLDING_TRIES_MAX = 20;

/** A message as it lies in a log. */
interface LoggedMessage {
  readonly messageId: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: number;
  readonly body: Uint8Array;
}

/** What a node holds at one moment. */
interface Holding {
  readonly node: StackNode;
  readonly state: DerivedState;
  readonly entries: readonly StoredEntry[];
  readonly rows: readonly string[];
}

/** @returns the log that all agree on; null when something is wrong */
export async function checkWorld(
  world: StackWorld,
  workload: Workload,
): Promise<readonly StoredEntry[] | null> {
  const { observer } = world;
  const holdings = await holdingsOf(world);
  if (holdings === null) return null;
  const [first] = holdings;
  if (first === undefined) return null;
  for (const holding of holdings) {
    const { node, state, entries, rows } = holding;
    for (const { bytes } of entries) observer.noteBytes(bytes);
    checkSameBytes(world, node, first.entries, entries);
    checkMessages(world, node, messagesOf(entries), workload, state);
    checkSameRows(world, `${node.nodeId} and ${first.node.nodeId}`, first.rows, rows);
    checkSameRows(world, `${node.nodeId} and its rebuild`, await rebuilt(entries), rows);
  }
  return observer.isBroken ? null : first.entries;
}

/** Of all sound nodes, with nothing applied meanwhile: an election in between is no difference. */
async function holdingsOf(world: StackWorld): Promise<readonly Holding[] | null> {
  for (let tries = 0; tries < HOLDING_TRIES_MAX; tries++) {
    const holdings: Holding[] = [];
    for (const node of world.soundNodes) {
      const holding = await holdingOf(world, node);
      if (holding === null) return null;
      holdings.push(holding);
    }
    const count = holdings[0]?.entries.length;
    if (
      holdings.every(({ entries, state }) => {
        return entries.length === count && state.appliedIndex === count;
      })
    ) {
      return holdings;
    }
  }
  world.observer.violation('L2', 'the nodes do not come to rest');
  return null;
}

async function holdingOf(world: StackWorld, node: StackNode): Promise<Holding | null> {
  const { log, state } = node.running ?? {};
  if (log == null || state == null) {
    world.observer.violation('L2', `${node.nodeId} does not run`);
    return null;
  }
  const entries = await world.await(entriesOf(log, state.appliedIndex), CHECK_TIMEOUT_MS);
  if (entries === null) {
    world.observer.violation('L2', `${node.nodeId} does not read its log`);
    return null;
  }
  state.flush();
  await world.await(state.flushed(), CHECK_TIMEOUT_MS);
  return { node, state, entries, rows: node.kv === null ? [] : dumpOf(node.kv) };
}

async function entriesOf(log: CommitLog, last: LogIndex): Promise<readonly StoredEntry[]> {
  const entries: StoredEntry[] = [];
  while (entries.length < last) {
    const from = LogIndex(entries.length + 1);
    entries.push(...(await log.readEntries(from, last, READ_SIZE_BYTES_MAX)));
  }
  return entries;
}

function checkSameBytes(
  world: StackWorld,
  node: StackNode,
  expected: readonly StoredEntry[],
  found: readonly StoredEntry[],
): void {
  const count = Math.min(expected.length, found.length);
  for (let i = 0; i < count; i++) {
    if (Buffer.compare(expected[i]!.bytes, found[i]!.bytes) === 0) continue; // i < both lengths
    world.observer.violation('I3', `entry ${i + 1} of ${node.nodeId} has other bytes`);
    return;
  }
  if (expected.length !== found.length) {
    world.observer.violation(
      'L2',
      `${node.nodeId} has ${found.length} of ${expected.length} entries`,
    );
  }
}

function messagesOf(entries: readonly StoredEntry[]): readonly LoggedMessage[] {
  const messages: LoggedMessage[] = [];
  for (const { desc, bytes } of entries) {
    if (desc.type !== 'data') continue;
    const from = ENTRY_HEADER_SIZE_BYTES;
    const payload = bytes.subarray(from, from + desc.payloadSizeBytes);
    for (const record of recordsOf(payload)) {
      if (record.kind !== 'message' || record.message.topic !== TOPIC) continue;
      const { queueId, queueOffset, physicalOffset, body, properties } = record.message;
      const messageId = properties.get('UNIQ_KEY') ?? '';
      messages.push({ messageId, queueId, queueOffset, physicalOffset, body });
    }
  }
  return messages;
}

function checkMessages(
  world: StackWorld,
  node: StackNode,
  messages: readonly LoggedMessage[],
  workload: Workload,
  state: DerivedState,
): void {
  const { observer } = world;
  const byId = new Map<string, LoggedMessage>();
  const nextOffsets = new Map<number, number>();
  for (const message of messages) {
    const { messageId, queueId, queueOffset, body } = message;
    if (byId.has(messageId)) observer.violation('A2', `${messageId} is in the log twice`);
    byId.set(messageId, message);
    const next = nextOffsets.get(queueId) ?? 0;
    if (queueOffset !== next) {
      observer.violation('A2', `queue ${queueId}: ${queueOffset} instead of ${next}`);
    }
    nextOffsets.set(queueId, queueOffset + 1);
    const sent = workload.bodies.get(messageId);
    if (sent === undefined || Buffer.compare(sent, body) !== 0) {
      observer.violation('A3', `${messageId} is in the log of ${node.nodeId} with another body`);
    }
  }
  for (const [messageId, receipt] of workload.receipts) {
    const { queueId, queueOffset, physicalOffset } = receipt;
    observer.checkCount += 2;
    const logged = byId.get(messageId);
    const isThere =
      logged !== undefined &&
      logged.queueId === queueId &&
      logged.queueOffset === queueOffset &&
      logged.physicalOffset === physicalOffset;
    if (!isThere) {
      observer.violation(
        'A1',
        `${messageId} was acknowledged and is not in the log of ${node.nodeId}`,
      );
    }
    const unit = state.queueUnit(TOPIC, queueId, queueOffset);
    if (unit?.physicalOffset !== physicalOffset) {
      observer.violation('D2', `${messageId} is not in its queue at ${node.nodeId}`);
    }
  }
  for (const messageId of workload.surelyFailed) {
    observer.checkCount++;
    if (!byId.has(messageId)) continue;
    observer.violation('A4', `${messageId} was refused for sure and is in the log`);
  }
  for (const [messageId, { queueId, queueOffset }] of workload.delivered) {
    observer.checkCount++;
    const logged = byId.get(messageId);
    if (logged?.queueId === queueId && logged.queueOffset === queueOffset) continue;
    observer.violation('A5', `${messageId} was delivered from ${queueId}/${queueOffset}`);
  }
}

async function rebuilt(entries: readonly StoredEntry[]): Promise<readonly string[]> {
  const kv = new MemoryKvStore();
  const durableIndexMax = LogIndex(entries.length);
  const state = await openDerivedState({ kv, durableIndexMax, onEvent: () => {} });
  for (const { desc, bytes } of entries) {
    const { index, term, type, physicalOffset, payloadSizeBytes } = desc;
    const from = ENTRY_HEADER_SIZE_BYTES;
    const payload = bytes.subarray(from, from + payloadSizeBytes);
    const payloadOffset = (physicalOffset + from) as typeof physicalOffset;
    state.apply({ index, term, type, payloadOffset, payload });
  }
  state.flush();
  await state.flushed();
  return dumpOf(kv);
}

function checkSameRows(
  world: StackWorld,
  whose: string,
  expected: readonly string[],
  found: readonly string[],
): void {
  const at = expected.findIndex((row, i) => row !== found[i]);
  if (at === -1 && expected.length === found.length) return;
  const rows = JSON.stringify([expected[at]?.slice(0, 80), found[at]?.slice(0, 80)]);
  world.observer.violation(
    'D2',
    `${whose} differ: ${expected.length} and ${found.length} rows, first at ${at}: ${rows}`,
  );
}
