/**
 * What the group knows when it goes on: the state of a snapshot, of everything behind it that counts, and of the
 * entries with which the new log goes on. Made in a database that is thrown away; of it a snapshot is taken, or
 * only what it says of the loss.
 *
 * The new log goes on with the membership, and with the command that removes its beginning for everybody, as
 * retention does: queues begin at their first message that is kept, deliveries of what is gone end, and who sends
 * again what is in the window of duplicates gets its first outcome.
 */
import { assert } from '../../base/assert.ts';
import { viewOf } from '../../base/bytes.ts';
import { FatalError } from '../../base/errors.ts';
import { advance, type LogIndex, type PhysicalOffset } from '../../base/units.ts';
import { encodeCommandRecord } from '../../protocol/command-record.ts';
import { encodeMembership } from '../../protocol/membership-codec.ts';
import { messageIndexFieldsAt } from '../../protocol/message-index-fields.ts';
import { recordPlaceAt } from '../../protocol/records.ts';
import { ENTRY_HEADER_SIZE_BYTES, skipSegmentHeader } from '../../raft/entry.ts';
import type { StoredEntry } from '../commit-log.ts';
import type { CommittedEntry, DerivedState } from '../derived/derived-state.ts';
import { SnapshotInstaller } from '../derived/install-snapshot.ts';
import { prefixEnd, TABLE } from '../derived/key-codec.ts';
import type { KvStore } from '../derived/kv-store.ts';
import type { LostMessages, LostOffsets } from '../derived/message-indexer.ts';
import { decodeJournalMeta } from '../derived/message-journal.ts';
import { openDerivedState } from '../derived/open-derived-state.ts';
import { readSnapshot } from '../derived/read-snapshot.ts';
import { decodeTopic } from '../derived/topic-table.ts';
import type { ReadDisk } from '../inspect/read-disk.ts';
import type { WalkedEntry } from '../inspect/walk-options.ts';
import { chunksOf } from './found-snapshot.ts';
import { accountOf, type LossAccount, type LostOffsetsOfTopic } from './loss-account.ts';
import type { LossPlan } from './loss-plan.ts';
import { type AppendedPayload, entriesBehind } from './membership-entries.ts';

export interface DerivationOptions {
  readonly plan: LossPlan;
  readonly disk: ReadDisk;
  /** Empty; the caller closes and removes it. */
  readonly store: KvStore;
  /** Of the decision: it stands in the log. */
  readonly atMs: number;
  readonly signal: AbortSignal;
  readonly onEntry: (index: LogIndex) => void;
}

export interface DerivedLoss {
  /** After the last of the entries appended. The caller closes it, before the store. */
  readonly state: DerivedState;
  readonly account: LossAccount;
  readonly appended: readonly AppendedPayload[];
}

/** Entries between two looks at whether the database keeps up: what it has not taken is in memory. */
const ENTRIES_PER_TURN = 1_024;

/**
 * @throws CorruptionError when snapshot and entries are not of one history; FatalError, DiskError when the database
 * cannot be written
 */
export async function deriveAcceptedLoss(options: DerivationOptions): Promise<DerivedLoss> {
  const { plan, disk, store, signal, onEntry } = options;
  const { snapshot, union, lastIndex } = plan;
  const { appliedIndex, logStart } = snapshot.info;
  const lost = await lostMessagesOf(options);
  const installer = await SnapshotInstaller.begin(store, chunksOf(disk, snapshot), lost);
  const made: { behind: BehindSnapshot | null } = { behind: null };
  let count = 0;
  const behindSnapshot = async (nextPayload: PhysicalOffset): Promise<BehindSnapshot> => {
    const offsets = await installer.finish(nextPayload);
    return { lostOffsets: named(offsets, store), state: await openedOn(store, appliedIndex) };
  };
  try {
    await union.read(
      { disk, signal },
      { from: logStart.index, to: lastIndex },
      {
        onEntry: async (walked) => {
          const entry = committedEntryOf(walked);
          onEntry(entry.index);
          if (entry.index <= appliedIndex) {
            installer.add(entry);
            if (installer.isFull) await installer.commit();
            return;
          }
          made.behind ??= await behindSnapshot(entry.payloadOffset);
          made.behind.state.apply(entry);
          if (++count % ENTRIES_PER_TURN === 0) await made.behind.state.flushed();
        },
        onLost: async ({ to }) => {
          assert(to <= appliedIndex, 'what is lost is covered by the snapshot');
          installer.lose(to);
        },
      },
    );
    made.behind ??= await behindSnapshot(endOf(plan));
    return goOn(options, made.behind);
  } catch (error) {
    // The database is thrown away: that it cannot be closed in order says less than what came first.
    await made.behind?.state.close().catch((later: unknown) => {
      if (!(later instanceof FatalError)) throw later;
    });
    throw error;
  }
}

/** The state at the index of the snapshot, with whatever is applied to it from then on. */
interface BehindSnapshot {
  readonly state: DerivedState;
  readonly lostOffsets: readonly LostOffsetsOfTopic[];
}

function openedOn(store: KvStore, appliedIndex: LogIndex): Promise<DerivedState> {
  return openDerivedState({
    kv: store,
    durableIndexMax: appliedIndex,
    // What fails to be committed is thrown by the next flush.
    onEvent: ({ kind }) => assert(kind === 'commitFailed', 'a database just made is usable'),
  });
}

function named(offsets: readonly LostOffsets[], store: KvStore): readonly LostOffsetsOfTopic[] {
  const topics = topicsIn(store);
  return offsets.flatMap((each) => {
    const topic = topics.get(each.topicNumber);
    return topic === undefined ? [] : [{ ...each, ...topic }];
  });
}

/** Applies what the new log goes on with. */
function goOn(
  { plan, atMs }: DerivationOptions,
  { state, lostOffsets }: BehindSnapshot,
): DerivedLoss {
  const first = firstKept(plan);
  const appended: AppendedPayload[] = [
    { type: 'config', payload: encodeMembership(plan.membership) },
  ];
  if (first.index > state.logStart.index) {
    const storeTimestampMs = state.storeTimeFrom(first.physicalOffset) ?? 0;
    const { index: firstIndex, physicalOffset } = first;
    const start = { firstIndex, physicalOffset, storeTimestampMs, atMs };
    const command = { kind: 'advanceLogStart', reason: 'loss', ...start } as const;
    appended.push({ type: 'data', payload: encodeCommandRecord(command) });
  }
  const account = accountOf(state, lostOffsets, () => {
    for (const entry of appendedEntries(plan, appended)) state.apply(committed(entry));
  });
  return { state, account, appended };
}

/** Where the payload of the first entry lies that is appended. */
function endOf({ tip, winner }: LossPlan): PhysicalOffset {
  const { names } = winner.view;
  assert(names !== null, 'a directory with a log has a name');
  return advance(skipSegmentHeader(tip.end, names.segmentSizeBytes), ENTRY_HEADER_SIZE_BYTES);
}

/** The first entry of the new log: of the old one, or the first of those that are appended. */
function firstKept({ keptFrom, base, tip, winner }: LossPlan): {
  readonly index: LogIndex;
  readonly physicalOffset: PhysicalOffset;
} {
  const { names } = winner.view;
  assert(names !== null, 'a directory with a log has a name');
  const index = keptFrom ?? advance(tip.index, 1);
  const start = base.desc.endOffset;
  return { index, physicalOffset: skipSegmentHeader(start, names.segmentSizeBytes) };
}

/** @returns the same entries for the same plan and payloads, whoever asks */
export function appendedEntries(
  { tip, newTerm: term, winner }: Pick<LossPlan, 'tip' | 'newTerm' | 'winner'>,
  payloads: readonly AppendedPayload[],
): readonly StoredEntry[] {
  const { names } = winner.view;
  assert(names !== null, 'a directory with a log has a name');
  return entriesBehind({ tip, term, segmentSizeBytes: names.segmentSizeBytes }, payloads);
}

/** How many there were beside those that can be read, as the snapshot counts. */
async function lostMessagesOf({
  plan,
  disk,
  signal,
}: DerivationOptions): Promise<LostMessages | null> {
  const { snapshot, union, lost } = plan;
  if (lost.length === 0) return null;
  const { appliedIndex, logStart } = snapshot.info;
  const counted = await journalIn(disk, plan);
  let readCount = 0;
  let newestMs = counted.floorStoreTimestampMs;
  await union.read(
    { disk, signal },
    { from: logStart.index, to: appliedIndex },
    {
      onEntry: async (entry) => {
        for (const storeTimestampMs of storeTimesIn(entry)) {
          readCount += 1;
          newestMs = Math.max(newestMs, storeTimestampMs);
        }
      },
      onLost: async () => {},
    },
  );
  const isNewestLost = newestMs < counted.newestStoreTimestampMs;
  return {
    messageCount: Math.max(0, counted.next - counted.first - readCount),
    newestStoreTimestampMs: isNewestLost ? counted.newestStoreTimestampMs : 0,
  };
}

async function journalIn(
  disk: ReadDisk,
  { snapshot }: LossPlan,
): Promise<ReturnType<typeof decodeJournalMeta>> {
  for await (const part of readSnapshot(chunksOf(disk, snapshot))) {
    const row =
      part.kind === 'rows' ? part.rows.find(({ key }) => key === TABLE.journalMeta) : null;
    if (row !== null && row !== undefined) return decodeJournalMeta(row.value);
  }
  return { next: 0, newestStoreTimestampMs: 0, first: 0, floorStoreTimestampMs: 0 };
}

function* storeTimesIn({ header, body }: WalkedEntry): Generator<number> {
  if (header.desc.type !== 'data' || body.kind === 'bad') return;
  const { payload } = body;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const view = viewOf(payload);
  for (let at = 0; at < payload.length; ) {
    const place = recordPlaceAt(view, at);
    if (place.kind === 'message') yield messageIndexFieldsAt(bytes, view, at).storeTimestampMs;
    at += place.sizeBytes;
  }
}

function topicsIn(
  store: KvStore,
): ReadonlyMap<number, { readonly topic: string; readonly createdAtMs: number }> {
  const topics = new Map<number, { topic: string; createdAtMs: number }>();
  for (const { value } of store.range(TABLE.topic, prefixEnd(TABLE.topic))) {
    const { number, config } = decodeTopic(value);
    topics.set(number, { topic: config.topic, createdAtMs: config.createdAtMs });
  }
  return topics;
}

/** A copy of the payload: what was walked is valid for a moment, and state keeps slices. */
function committedEntryOf({ header: { desc }, body }: WalkedEntry): CommittedEntry {
  assert(body.kind === 'good', 'only entries that can be read are told');
  return committedFrom(desc, body.payload.slice());
}

function committed({ desc, bytes }: StoredEntry): CommittedEntry {
  const end = ENTRY_HEADER_SIZE_BYTES + desc.payloadSizeBytes;
  return committedFrom(desc, bytes.subarray(ENTRY_HEADER_SIZE_BYTES, end));
}

function committedFrom(desc: StoredEntry['desc'], payload: Uint8Array): CommittedEntry {
  const { index, term, type, physicalOffset } = desc;
  const payloadOffset = advance(physicalOffset, ENTRY_HEADER_SIZE_BYTES);
  return { index, term, type, payloadOffset, payload };
}
