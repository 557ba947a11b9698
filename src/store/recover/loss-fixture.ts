/** Groups in memory whose members have lost entries, and what one of them would be that has lost nothing. */
import type { Prng } from '../../base/prng.ts';
import { advance, LogIndex, NodeId, PhysicalOffset, QueueOffset, Term } from '../../base/units.ts';
import { ManualClock } from '../../io/memory/manual-clock.ts';
import type { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { type Command, encodeCommandRecord } from '../../protocol/command-record.ts';
import { encodeMembership } from '../../protocol/membership-codec.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../raft/entry.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { CommittedEntry, DerivedState } from '../derived/derived-state.ts';
import { MemoryKvStore } from '../derived/memory-kv-store.ts';
import { openDerivedState } from '../derived/open-derived-state.ts';
import { messageRecord } from '../derived/test-log.ts';
import { appendRecords } from '../inspect/inspect-fixture.ts';
import { EntryChain } from '../log-fixture.ts';
import { segmentFileName } from '../segment.ts';
import { SnapshotFiles } from '../snapshots/snapshot-files.ts';
import { type DirectoryLog, readDirectoryLog } from './directory-log.ts';
import type { EntryRange } from './entry-marks.ts';
import { newestSnapshotFrom } from './found-snapshot.ts';
import { type LossPlan, type LossPlanVerdict, planLoss } from './loss-plan.ts';
import type { RecoveryWorld } from './rebirth.ts';
import { aGroupStore, RECOVERED_GROUP, RECOVERED_IDENTITY } from './recovery-fixture.ts';
import { surveySurvivor } from './survivor.ts';

export const TOPICS = ['a', 'b'] as const;
export const QUEUES = [0, 1] as const;
export const GROUPS = ['g', 'h'] as const;
const START_MS = 1_700_000_000_000;
const TERM = Term(3);

/** A leader's log of messages, deliveries and saved offsets; `log` also knows which entry holds which message. */
export interface BusyLog {
  readonly chain: EntryChain;
  /** By id, the entry. */
  readonly messages: ReadonlyMap<string, { readonly topic: string; readonly index: LogIndex }>;
}

/** @param startAt entries before it are removed by the group, behind so many rounds; null: none are */
export function aBusyLog(random: Prng, roundCount: number, retention: number | null): BusyLog {
  const chain = new EntryChain(RECOVERED_IDENTITY.segmentSizeBytes);
  const messages = new Map<string, { topic: string; index: LogIndex }>();
  const next = new Map<string, number>();
  const state = { atMs: START_MS };
  const command = (...commands: Command[]): void => {
    const records = commands.map((each) => ({
      bytes: encodeCommandRecord(each),
      kind: 'command' as const,
    }));
    appendRecords(chain, records, { term: TERM, leaderCommit: chain.lastIndex });
  };
  chain.append({ payload: new Uint8Array(0), term: TERM, type: 'noop' });
  chain.append({ payload: encodeMembership(RECOVERED_GROUP), term: TERM, type: 'config' });
  for (const topic of TOPICS) {
    const atMs = START_MS;
    command({ kind: 'topicPut', topic, queueCount: 2, permission: 6, messageTypes: [1], atMs });
  }
  for (const group of GROUPS) {
    command({ kind: 'groupPut', group, maxAttempts: 3, fifo: false, atMs: START_MS });
  }
  for (let round = 0; round < roundCount; round++) {
    state.atMs += random.below(2_000);
    const topic = TOPICS[random.below(2)] ?? 'a';
    const queueId = random.below(2);
    const name = `${topic}/${queueId}`;
    const end = next.get(name) ?? 0;
    const count = 1 + random.below(3);
    const records = Array.from({ length: count }, (_, i) => {
      const messageId = `${name}#${end + i}`;
      const body = new Uint8Array(random.below(400));
      const place = { topic, queueId, queueOffset: end + i, messageId };
      const bytes = messageRecord({ ...place, storeTimestampMs: state.atMs, keys: 'k', body });
      return { bytes, kind: 'message' as const, messageId };
    });
    appendRecords(chain, records, { term: TERM, leaderCommit: chain.lastIndex });
    for (const { messageId } of records) messages.set(messageId, { topic, index: chain.lastIndex });
    next.set(name, end + count);
    const group = GROUPS[random.below(2)] ?? 'g';
    if (random.below(3) === 0) {
      command({ kind: 'offsetSave', group, topic, queueId, queueOffset: QueueOffset(end) });
    }
    if (random.below(3) === 0) command(aDelivery(group, topic, queueId, end, end + count));
    if (retention === round) command(aStart(chain));
  }
  return { chain, messages };
}

function aDelivery(
  group: string,
  topic: string,
  queueId: number,
  from: number,
  to: number,
): Command {
  const at = Array.from({ length: to - from }, (_, i) => from + i);
  return {
    ...{ kind: 'deliver', group, topic, clientId: 'c', autoRenew: false, attemptId: '' },
    ...{ atMs: START_MS, invisibleUntilMs: START_MS + 60_000 },
    queues: [
      {
        queueId,
        nextOffset: QueueOffset(to),
        deliveries: at.map((each) => ({
          ...{ queueOffset: QueueOffset(each), attempt: 1, deliveryId: `d${group}${each}` },
        })),
      },
    ],
  };
}

/** As retention: the log begins in the middle of what there is. */
function aStart(chain: EntryChain): Command {
  const { desc } = chain.at(Math.ceil(chain.lastIndex / 2));
  const { index: firstIndex, physicalOffset } = desc;
  const times = { storeTimestampMs: 0, atMs: START_MS };
  return { kind: 'advanceLogStart', firstIndex, physicalOffset, reason: 'age', ...times };
}

export async function stateOf(entries: readonly StoredEntry[]): Promise<DerivedState> {
  const state = await openDerivedState({
    kv: new MemoryKvStore(),
    durableIndexMax: LogIndex(0),
    onEvent: ({ kind }) => {
      throw new Error(kind);
    },
  });
  for (const entry of entries) state.apply(committed(entry));
  return state;
}

export function committed({ desc, bytes }: StoredEntry): CommittedEntry {
  const { index, term, type, physicalOffset, payloadSizeBytes } = desc;
  const payloadOffset = advance(physicalOffset, ENTRY_HEADER_SIZE_BYTES);
  const end = ENTRY_HEADER_SIZE_BYTES + payloadSizeBytes;
  return {
    index,
    term,
    type,
    payloadOffset,
    payload: bytes.subarray(ENTRY_HEADER_SIZE_BYTES, end),
  };
}

export interface LossScene {
  readonly log: BusyLog;
  /** Of each member how many entries it has. */
  readonly lengths: Readonly<Record<string, number>>;
  /** Of the member that took it. */
  readonly snapshot: { readonly node: string; readonly index: number } | null;
  /** What a disk did, by member: entries, whose header or whose body is not what it was. */
  readonly rot: readonly {
    readonly node: string;
    readonly index: number;
    readonly part: 'header' | 'body';
  }[];
}

export async function stage(disk: MemoryDisk, scene: LossScene): Promise<readonly string[]> {
  const { log, lengths, snapshot, rot } = scene;
  for (const [node, length] of Object.entries(lengths)) {
    const chain = new EntryChain(RECOVERED_IDENTITY.segmentSizeBytes);
    chain.entries.push(...log.chain.entries.slice(0, length));
    await aGroupStore(disk, `/${node}`, NodeId(node), chain);
  }
  if (snapshot !== null) await takeSnapshot(disk, scene, snapshot);
  for (const { node, index, part } of rot) {
    const { desc } = log.chain.at(index);
    const start = segmentStart(desc.physicalOffset);
    const path = `/${node}/data/${segmentFileName(start)}`;
    const position = desc.physicalOffset - start + (part === 'header' ? 20 : 66);
    disk.rot(path, position, Uint8Array.of(0xaa, 0x55, 0xa5));
  }
  return Object.keys(lengths).map((node) => `/${node}`);
}

async function takeSnapshot(
  disk: MemoryDisk,
  { log }: LossScene,
  { node, index }: { readonly node: string; readonly index: number },
): Promise<void> {
  const state = await stateOf(log.chain.entries.slice(0, index));
  const onEvent = (): void => {};
  const files = await SnapshotFiles.open({ disk, replicaDirectory: `/${node}`, onEvent });
  const snapshot = await state.takeSnapshot();
  await files.write(snapshot, async () => {});
  snapshot.close();
  await state.close();
}

function segmentStart(offset: PhysicalOffset): PhysicalOffset {
  const { segmentSizeBytes } = RECOVERED_IDENTITY;
  return PhysicalOffset(offset - (offset % segmentSizeBytes));
}

const signal = new AbortController().signal;

export async function verdictOn(
  disk: MemoryDisk,
  directories: readonly string[],
  accepted: EntryRange,
  raftAddress: string | null = '10.0.0.9:1',
): Promise<LossPlanVerdict | 'no snapshot'> {
  const logs: DirectoryLog[] = [];
  for (const directory of directories) {
    const survivor = await surveySurvivor({ disk, directory, signal });
    if (typeof survivor === 'string') throw new Error(survivor);
    logs.push(await readDirectoryLog({ disk, directory, signal }, survivor, accepted.to));
  }
  const snapshot = await newestSnapshotFrom(disk, directories, accepted.to);
  if (snapshot === null) return 'no snapshot';
  const wish = { lostAtMs: START_MS + 60_000, newClusterId: null, raftAddress };
  return planLoss({ logs, snapshot, accepted, declaredLost: [], wish });
}

export function planIn(verdict: LossPlanVerdict | 'no snapshot'): LossPlan {
  if (verdict === 'no snapshot') throw new Error(verdict);
  if (verdict.kind === 'refused') throw new Error(verdict.problems.join('\n'));
  return verdict.plan;
}

export function aWorld(disk: MemoryDisk): RecoveryWorld {
  let starts = 0;
  const mintBootId = () => String(++starts).padStart(16, '0');
  return { disk, clock: new ManualClock(), mintBootId };
}
