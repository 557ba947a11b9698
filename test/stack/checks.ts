/** After everything has healed: what must be true of the three logs and of what follows from them. */
import { CorruptionError } from '../../src/base/errors.ts';
import { LogIndex } from '../../src/base/units.ts';
import { recordsOf } from '../../src/protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import { committedEntryOf } from '../../src/replica/committed-entry.ts';
import { type CommitLog, EntriesGone, type StoredEntry } from '../../src/store/commit-log.ts';
import type { DerivedState } from '../../src/store/derived/derived-state.ts';
import { installSnapshot } from '../../src/store/derived/install-snapshot.ts';
import { MemoryKvStore } from '../../src/store/derived/memory-kv-store.ts';
import { openDerivedState } from '../../src/store/derived/open-derived-state.ts';
import { dumpOf, liveDumpOf } from '../../src/store/derived/test-rows.ts';
import type { SnapshotFiles } from '../../src/store/snapshots/snapshot-files.ts';
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
  /** From where all nodes have them. */
  readonly entries: readonly StoredEntry[];
  /** Without those that nobody sees any more: they go at each node's own pace. */
  readonly rows: readonly string[];
  /** The same rows, derived again. */
  readonly rebuiltRows: readonly string[];
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
    const { node, state, entries, rows, rebuiltRows } = holding;
    for (const { bytes } of entries) observer.noteBytes(bytes);
    checkSameBytes(world, node, first.entries, entries);
    checkMessages(world, node, messagesOf(entries), workload, state);
    checkSameRows(world, `${node.nodeId} and ${first.node.nodeId}`, first.rows, rows);
    checkSameRows(world, `${node.nodeId} and its rebuild`, rebuiltRows, rows);
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
    const lasts = holdings.map(({ entries }) => entries.at(-1)?.desc.index);
    const isAtRest = holdings.every(({ state }) => state.appliedIndex === lasts[0]);
    const first = Math.max(...holdings.map(({ entries }) => entries[0]?.desc.index ?? 0));
    if (!isAtRest || lasts.some((last) => last !== lasts[0])) continue;
    return holdings.map((each) => ({
      ...each,
      entries: each.entries.filter(({ desc }) => desc.index >= first),
    }));
  }
  world.observer.violation('L2', 'the nodes do not come to rest');
  return null;
}

async function holdingOf(world: StackWorld, node: StackNode): Promise<Holding | null> {
  const { log, state, files } = node.running ?? {};
  if (log == null || state == null || files == null) {
    world.observer.violation('L2', `${node.nodeId} does not run`);
    return null;
  }
  const entries = await readLog(world, node, { log, last: state.appliedIndex });
  if (entries === null) return null;
  state.flush();
  await world.await(state.flushed(), CHECK_TIMEOUT_MS);
  const rows = node.kv === null ? [] : dumpIn(world)(node.kv);
  // Of the same moment: if entries come meanwhile, all of this is done again.
  const rebuiltRows = await rebuilt(world, { files, entries });
  return { node, state, entries, rows, rebuiltRows };
}

/** @returns null when that has become a violation */
async function readLog(
  world: StackWorld,
  { nodeId }: StackNode,
  { log, last }: { readonly log: CommitLog; readonly last: LogIndex },
): Promise<readonly StoredEntry[] | null> {
  try {
    const entries = await world.await(entriesOf(log, last), CHECK_TIMEOUT_MS);
    if (entries === null) world.observer.violation('L2', `${nodeId} does not read its log`);
    return entries;
  } catch (error) {
    // It has served until now: damage that nobody has found before.
    if (!(error instanceof CorruptionError)) throw error;
    world.observer.violation('I3', `${nodeId} has other bytes: ${error.message}`);
    return null;
  }
}

async function entriesOf(log: CommitLog, last: LogIndex): Promise<readonly StoredEntry[]> {
  let entries: StoredEntry[] = [];
  for (;;) {
    const from = LogIndex((entries.at(-1)?.desc.index ?? log.base.desc?.last.index ?? 0) + 1);
    if (from > last) return entries;
    try {
      entries.push(...(await log.readEntries(from, last, READ_SIZE_BYTES_MAX)));
    } catch (error) {
      // Compacted meanwhile.
      if (!(error instanceof EntriesGone)) throw error;
      entries = [];
    }
  }
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
    const { index } = expected[i]!.desc; // i < both lengths
    world.observer.violation('I3', `entry ${index} of ${node.nodeId} has other bytes`);
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
    const next = nextOffsets.get(queueId) ?? firstOffsetOf(messages, queueId, state);
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
    if (physicalOffset < state.logStart.offset) {
      if (!workload.unconsumed.includes(messageId)) continue;
      observer.violation('A1', `${messageId} was taken by retention before it was consumed`);
    }
    if (physicalOffset < (messages[0]?.physicalOffset ?? 0)) continue;
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
    if (queueOffset < state.queueRange(TOPIC, queueId).min) continue;
    observer.violation('A5', `${messageId} was delivered from ${queueId}/${queueOffset}`);
  }
}

/** A queue whose beginning retention has taken begins where derived state says, or before. */
function firstOffsetOf(
  messages: readonly LoggedMessage[],
  queueId: number,
  { logStart }: DerivedState,
): number {
  if (logStart.offset === 0) return 0;
  return messages.find((message) => message.queueId === queueId)?.queueOffset ?? 0;
}

interface Sources {
  readonly files: SnapshotFiles;
  readonly entries: readonly StoredEntry[];
}

/** From the log alone, or from its newest snapshot where the log has lost its beginning (D2). */
async function rebuilt(world: StackWorld, { files, entries }: Sources): Promise<readonly string[]> {
  const last = LogIndex(entries.at(-1)?.desc.index ?? 0);
  const kv = new MemoryKvStore();
  const firstIndex = entries[0]?.desc.index ?? 1;
  if (firstIndex > 1) {
    const newest = files.all.findLast(({ appliedIndex, logStart }) => {
      return appliedIndex <= last && logStart.index >= firstIndex;
    });
    if (newest === undefined) return ['no snapshot'];
    const source = {
      chunks: () => files.chunks(newest.appliedIndex),
      entries: async function* (from: LogIndex, to: LogIndex) {
        for (const entry of entries) {
          const { index } = entry.desc;
          if (index >= from && index <= to) yield committedEntryOf(entry);
        }
      },
    };
    const release = files.hold(newest.appliedIndex);
    await world.await(installSnapshot(kv, source), CHECK_TIMEOUT_MS);
    release();
  }
  const state = await openDerivedState({ kv, durableIndexMax: last, onEvent: () => {} });
  for (const entry of entries) {
    if (entry.desc.index > state.appliedIndex) state.apply(committedEntryOf(entry));
  }
  state.flush();
  await state.flushed();
  return dumpIn(world)(kv);
}

/** Without retention no row is ever dead. */
function dumpIn({ retentionSizeBytes }: StackWorld): typeof dumpOf {
  return retentionSizeBytes === null ? dumpOf : liveDumpOf;
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
