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

/** A message as it lies in a log. */
interface LoggedMessage {
  readonly messageId: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly physicalOffset: number;
  readonly body: Uint8Array;
}

export async function checkWorld(world: StackWorld, workload: Workload): Promise<void> {
  let first: readonly StoredEntry[] | null = null;
  let firstDump: readonly string[] | null = null;
  for (const node of world.nodes) {
    const { log, state } = node.running ?? {};
    if (log == null || state == null) {
      world.observer.violation(`${node.nodeId} does not run`);
      return;
    }
    const entries = await world.await(entriesOf(log, state.appliedIndex), CHECK_TIMEOUT_MS);
    if (entries === null) {
      world.observer.violation(`${node.nodeId} does not read its log`);
      return;
    }
    first ??= entries;
    checkSameBytes(world, node, first, entries);
    checkMessages(world, node, messagesOf(entries), workload, state);

    state.flush();
    await world.await(state.flushed(), CHECK_TIMEOUT_MS);
    const dump = node.kv === null ? [] : dumpOf(node.kv);
    firstDump ??= dump;
    checkSameRows(world, `${node.nodeId} and n1`, firstDump, dump);
    checkSameRows(world, `${node.nodeId} and its rebuild`, await rebuilt(entries), dump);
  }
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
    world.observer.violation(`entry ${i + 1} of ${node.nodeId} has other bytes (I3)`);
    return;
  }
  if (expected.length !== found.length) {
    world.observer.violation(`${node.nodeId} has ${found.length} of ${expected.length} entries`);
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
    if (byId.has(messageId)) observer.violation(`${messageId} is in the log twice`);
    byId.set(messageId, message);
    const next = nextOffsets.get(queueId) ?? 0;
    if (queueOffset !== next) observer.violation(`queue ${queueId}: ${queueOffset} after ${next}`);
    nextOffsets.set(queueId, queueOffset + 1);
    const sent = workload.bodies.get(messageId);
    if (sent === undefined || Buffer.compare(sent, body) !== 0) {
      observer.violation(`${messageId} is in the log of ${node.nodeId} with another body`);
    }
  }
  for (const [messageId, receipt] of workload.receipts) {
    const { queueId, queueOffset, physicalOffset } = receipt;
    const logged = byId.get(messageId);
    const isThere =
      logged !== undefined &&
      logged.queueId === queueId &&
      logged.queueOffset === queueOffset &&
      logged.physicalOffset === physicalOffset;
    if (!isThere) {
      observer.violation(`${messageId} was acknowledged and is not in the log of ${node.nodeId}`);
    }
    const unit = state.queueUnit(TOPIC, queueId, queueOffset);
    if (unit?.physicalOffset !== physicalOffset) {
      observer.violation(`${messageId} is not in its queue at ${node.nodeId}`);
    }
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
    `${whose} differ in derived state: ${expected.length} and ${found.length} rows, first at ${at}: ${rows} (D2)`,
  );
}
