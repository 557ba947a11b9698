/** Stores in memory for tests of inspection: a log with every kind of entry, and the bytes to plant damage in. */

import { concatBytes } from '../../base/bytes.ts';
import { LogIndex, NodeId, PhysicalOffset, QueueOffset, Term } from '../../base/units.ts';
import { DiskError } from '../../io/disk.ts';
import { MemoryDisk } from '../../io/memory/memory-disk.ts';
import { encodeCommandRecord } from '../../protocol/command-record.ts';
import { encodeMembership } from '../../protocol/membership-codec.ts';
import { encodeMessageRecord, patchPhysicalOffset } from '../../protocol/message-record.ts';
import { ENTRY_HEADER_SIZE_BYTES, placeEntry } from '../../raft/entry.ts';
import { foundingMembership } from '../../raft/membership.ts';
import type { CommitLog } from '../commit-log.ts';
import {
  baseAt,
  EntryChain,
  type NewEntry,
  openTestLog,
  persisted,
  TEST_DIRECTORY,
  TEST_IDENTITY,
  term,
} from '../log-fixture.ts';
import type { Damage } from './damage.ts';
import { type Inspection, type InspectOptions, inspectStore } from './inspect-store.ts';
import type { ReadDisk } from './read-disk.ts';

/** Small, so that a log has several and every byte of it can be damaged. */
export const SMALL_IDENTITY = { ...TEST_IDENTITY, segmentSizeBytes: 8192 };

export const FILES = {
  superblock: `${TEST_DIRECTORY}/superblock`,
  base: `${TEST_DIRECTORY}/base`,
  ring: `${TEST_DIRECTORY}/durable.ring`,
  first: `${TEST_DIRECTORY}/data/00000000000000000000.seg`,
  second: `${TEST_DIRECTORY}/data/00000000000000008192.seg`,
  /** Prepared, not used. */
  third: `${TEST_DIRECTORY}/data/00000000000000016384.seg`,
} as const;

export interface MessagePlan {
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly body: string;
}

export const TOPIC_PUT = encodeCommandRecord({
  kind: 'topicPut',
  topic: 'orders',
  queueCount: 2,
  permission: 6,
  messageTypes: [1],
  atMs: 1_700_000_000_000,
});

export function messageRecord({ topic, queueId, queueOffset, body }: MessagePlan): Uint8Array {
  return encodeMessageRecord({
    topic,
    queueId,
    queueOffset: QueueOffset(queueOffset),
    physicalOffset: PhysicalOffset(0),
    flag: 0,
    sysFlag: 0,
    bornTimestampMs: 1_700_000_000_100,
    bornHost: '127.0.0.1:1234',
    storeTimestampMs: 1_700_000_000_200,
    storeHost: '127.0.0.1:10911',
    reconsumeTimes: 0,
    body: Buffer.from(body),
    properties: new Map([
      ['UNIQ_KEY', `ID-${queueId}-${queueOffset}`],
      ['TAGS', 'paid'],
      ['KEYS', 'A-1'],
    ]),
  });
}

/** Messages are told where they will lie, as a leader does. */
export function appendRecords(
  chain: EntryChain,
  records: readonly { readonly bytes: Uint8Array; readonly kind: 'message' | 'command' }[],
  entry: Pick<NewEntry, 'term' | 'leaderCommit'> = { term: Term(1) },
): void {
  const payload = concatBytes(records.map(({ bytes }) => bytes));
  const { segmentSizeBytes } = SMALL_IDENTITY;
  const place = placeEntry(chain.end, payload.length, segmentSizeBytes).physicalOffset;
  let at = 0;
  for (const { bytes, kind } of records) {
    const offset = PhysicalOffset(place + ENTRY_HEADER_SIZE_BYTES + at);
    if (kind === 'message') patchPhysicalOffset(payload, at, offset);
    at += bytes.length;
  }
  chain.append({ payload, ...entry });
}

export const MEMBERSHIP = foundingMembership(
  ['n1', 'n2', 'n3'].map((id, i) => ({ nodeId: NodeId(id), raftAddress: `127.0.0.1:${i + 1}` })),
);

/** No-op, membership, topic, messages, a filler, and entries in a second segment. */
export function everyKindOfEntry(): EntryChain {
  const chain = new EntryChain(SMALL_IDENTITY.segmentSizeBytes);
  chain.append({ payload: new Uint8Array(0), term: Term(1), type: 'noop' });
  chain.append({ payload: encodeMembership(MEMBERSHIP), term: Term(1), type: 'config' });
  appendRecords(chain, [{ kind: 'command', bytes: TOPIC_PUT }]);
  const body = 'x'.repeat(900);
  for (let i = 0; i < 5; i++) {
    const plan = { topic: 'orders', queueId: i % 2, queueOffset: Math.floor(i / 2) };
    const leaderCommit = LogIndex(2);
    const bytes = messageRecord({ ...plan, body: body.slice(0, 500 + 53 * i) });
    appendRecords(chain, [{ kind: 'message', bytes }], { term: Term(1), leaderCommit });
  }
  const bytes = messageRecord({ topic: 'orders', queueId: 1, queueOffset: 2, body });
  appendRecords(chain, [{ kind: 'message', bytes }], { term: Term(1), leaderCommit: LogIndex(7) });
  return chain;
}

/** Written through the real log and, unless it is to look like a crash, closed. */
export async function storeWith(
  chain: EntryChain,
  end: 'closed' | 'killed' = 'closed',
): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const log = await openSmallLog(disk);
  await persisted(log, { hardState: term(3) });
  await persisted(log, { entries: chain.entries.slice() });
  await disk.writeFile(FILES.third, new Uint8Array(SMALL_IDENTITY.segmentSizeBytes));
  if (end === 'killed') return disk.killed();
  await log.close();
  return disk;
}

/** The same over three segments. */
export function threeSegments(): EntryChain {
  const chain = everyKindOfEntry();
  const body = 'y'.repeat(800);
  for (let i = 0; i < 4; i++) {
    const plan = { topic: 'orders', queueId: i % 2, queueOffset: 3 + Math.floor(i / 2), body };
    const leaderCommit = LogIndex(9);
    const entry = { term: Term(2), leaderCommit };
    appendRecords(chain, [{ kind: 'message', bytes: messageRecord(plan) }], entry);
  }
  return chain;
}

export type StoreForm = 'whole' | 'compacted' | 'installed';

/** Segments of a form, the one that is prepared and not used as the last. */
export function segmentsOf(form: StoreForm): readonly string[] {
  if (form === 'whole') return [FILES.first, FILES.second, FILES.third];
  const directory = form === 'installed' ? 'data-1' : 'data';
  return [FILES.second, FILES.third, FILES.third.replace('16384', '24576')].map((path) =>
    path.replace('/data/', `/${directory}/`),
  );
}

/** A log that begins with its second segment, because it was compacted, or installed so. */
export async function storeBehindBase(form: 'compacted' | 'installed'): Promise<MemoryDisk> {
  const chain = threeSegments();
  const base = baseAt(chain, SMALL_IDENTITY.segmentSizeBytes);
  const disk = new MemoryDisk();
  const log = await openSmallLog(disk);
  await persisted(log, { hardState: term(3) });
  if (form === 'installed') {
    await persisted(log, { entries: chain.entries.slice(0, 3) });
    await persisted(log, { base, entries: chain.entries.slice(base.desc?.last.index) });
  } else {
    await persisted(log, { entries: chain.entries.slice() });
    log.noteCommitIndex(LogIndex(chain.entries.length));
    if (base.desc !== null) await log.compact(base.desc);
  }
  await disk.writeFile(segmentsOf(form)[2]!, new Uint8Array(SMALL_IDENTITY.segmentSizeBytes)); // three
  await log.close();
  return disk;
}

export function openSmallLog(disk: MemoryDisk): Promise<CommitLog> {
  return openTestLog(disk, { identity: SMALL_IDENTITY });
}

/** The bytes of a disk at one moment, to be changed in place; parts of files may be unreadable. */
export class DiskImage implements ReadDisk {
  readonly files: Map<string, Uint8Array>;
  unreadable: { readonly path: string; readonly from: number; readonly to: number } | null = null;

  constructor(disk: MemoryDisk) {
    this.files = new Map(disk.paths.map((path) => [path, disk.contentOf(path)]));
  }

  bytesOf(path: string): Uint8Array {
    const bytes = this.files.get(path);
    if (bytes === undefined) throw new DiskError('open', path, 'ENOENT');
    return bytes;
  }

  async list(directory: string): Promise<readonly string[]> {
    const below = [...this.files.keys()].filter((path) => path.startsWith(`${directory}/`));
    return [
      ...new Set(below.map((path) => path.slice(directory.length + 1).split('/')[0] ?? '')),
    ].sort();
  }

  async sizeOf(path: string): Promise<number | null> {
    return this.files.get(path)?.length ?? null;
  }

  async read(path: string, position: number, sizeBytes: number): Promise<Uint8Array> {
    const bad = this.unreadable;
    if (bad !== null && bad.path === path && position < bad.to && position + sizeBytes > bad.from) {
      throw new DiskError('read', path, 'EIO');
    }
    return this.bytesOf(path).subarray(position, position + sizeBytes);
  }

  /** A disk that a log can be opened on. */
  async asDisk(): Promise<MemoryDisk> {
    const disk = new MemoryDisk();
    for (const [path, bytes] of this.files) await disk.writeFile(path, bytes.slice());
    return disk;
  }
}

export interface Inspected extends Inspection {
  readonly damage: readonly Damage[];
}

export async function inspected(
  disk: ReadDisk,
  options: Partial<Pick<InspectOptions, 'depth' | 'isLive'>> = {},
): Promise<Inspected> {
  const damage: Damage[] = [];
  const inspection = await inspectStore({
    disk,
    directory: TEST_DIRECTORY,
    depth: 'records',
    isLive: false,
    onDamage: (each) => void damage.push(each),
    onProgress: () => {},
    signal: new AbortController().signal,
    ...options,
  });
  return { ...inspection, damage };
}
