/**
 * Writes the log of a replica as a leader would have: one topic, entries of one shape,
 * through the commit log itself, so that every byte is what production writes. Only the consensus about
 * it is left out: all of it counts as committed.
 */
import { randomUUID } from 'node:crypto';
import { concatBytes, viewOf } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/crc32.ts';
import {
  advance,
  LogIndex,
  NodeId,
  PhysicalOffset,
  QueueOffset,
  Term,
} from '../../src/base/units.ts';
import { NodeClock } from '../../src/io/node/node-clock.ts';
import { NodeDisk } from '../../src/io/node/node-disk.ts';
import { encodeCommandRecord } from '../../src/protocol/command-record.ts';
import { CHAIN_SEED, encodeEntry, headerCrcOf } from '../../src/protocol/entry-codec.ts';
import { encodeMessageRecord, patchPhysicalOffset } from '../../src/protocol/message-record.ts';
import { recordPlaceAt } from '../../src/protocol/records.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryType,
  placeEntry,
  skipSegmentHeader,
} from '../../src/raft/entry.ts';
import type { CommitLog, StoredEntry } from '../../src/store/commit-log.ts';
import { openCommitLog } from '../../src/store/open-commit-log.ts';
import { BENCH_TOPIC } from '../raw-sender.ts';

export interface EntryShape {
  readonly bodySizeBytes: number;
  readonly messageCount: number;
}

/** What a leader under load packs: 800 messages of 1 KiB, about 1 MiB. */
const LARGE_ENTRIES: EntryShape = { bodySizeBytes: 1024, messageCount: 800 };
const QUEUE_COUNT = 8;
/** Bodies under way to the disk: enough to keep it busy. */
const OPEN_SIZE_BYTES = 6 * 1024 * 1024;
/** And not more entries than that: they share syncs as they are. */
const OPEN_COUNT_MAX = 512;
const TERM = Term(1);

export interface FilledLog {
  readonly lastIndex: number;
  readonly sizeBytes: number;
  readonly messages: number;
}

/** @param atMs of all messages: two replicas with the same one have the same bytes */
export async function fillLog(
  directory: string,
  nodeId: string,
  segmentSizeBytes: number,
  sizeBytes: number,
  atMs = Date.now(),
  shape = LARGE_ENTRIES,
): Promise<FilledLog> {
  const disk = new NodeDisk();
  let failure: Error | null = null;
  const log = await openCommitLog(disk, {
    directory,
    identity: {
      ...{ clusterId: 'test', groupId: 'broker-a', nodeId: NodeId(nodeId) },
      segmentSizeBytes,
    },
    mintUuid: randomUUID,
    mintBootId: () => randomUUID().replaceAll('-', '').slice(0, 16),
    clock: new NodeClock(),
    onFatal: (error) => {
      failure = error;
    },
  });
  const writer = new LogFiller(log, segmentSizeBytes, atMs, shape);
  await writer.append('noop', new Uint8Array(0));
  await writer.append('data', topicPut(atMs));
  while (writer.end < sizeBytes && failure === null)
    await writer.append('data', writer.someMessages());
  if (failure !== null) throw failure;
  await writer.drained();
  await log.close();
  await disk.close();
  return { lastIndex: writer.lastIndex, sizeBytes: writer.end, messages: writer.messageCount };
}

class LogFiller {
  readonly #log: CommitLog;
  readonly #segmentSizeBytes: number;
  readonly #atMs: number;
  readonly #open: Promise<void>[] = [];
  readonly #shape: EntryShape;
  readonly #openMax: number;
  readonly #body: Buffer;
  #prevHeaderCrc = CHAIN_SEED;
  end = PhysicalOffset(0);
  lastIndex = 0;
  messageCount = 0;

  constructor(log: CommitLog, segmentSizeBytes: number, atMs: number, shape: EntryShape) {
    const { bodySizeBytes, messageCount } = shape;
    this.#shape = shape;
    this.#openMax = Math.min(
      OPEN_COUNT_MAX,
      Math.ceil(OPEN_SIZE_BYTES / (bodySizeBytes * messageCount)),
    );
    this.#body = Buffer.alloc(bodySizeBytes, 'm');
    this.#log = log;
    this.#atMs = atMs;
    this.#segmentSizeBytes = segmentSizeBytes;
  }

  /** Waits when the disk has enough to do. */
  async append(type: EntryType, payload: Uint8Array): Promise<void> {
    const placement = placeEntry(this.end, payload.length, this.#segmentSizeBytes);
    const entries: StoredEntry[] = [];
    if (placement.fillerSizeBytes > 0) {
      const physicalOffset = skipSegmentHeader(this.end, this.#segmentSizeBytes);
      const place = { physicalOffset, sizeBytes: placement.fillerSizeBytes };
      entries.push(this.#entry('filler', place, new Uint8Array(0)));
    }
    tellPlaces(payload, advance(placement.physicalOffset, ENTRY_HEADER_SIZE_BYTES));
    entries.push(this.#entry(type, placement, payload));
    const isFirst = this.lastIndex === entries.length;
    const hardState = isFirst ? { term: TERM, votedFor: null } : null;
    const write = { hardState, base: null, truncateFrom: null, entries };
    this.#open.push(new Promise((onDurable) => this.#log.persist({ ...write, onDurable })));
    if (this.#open.length >= this.#openMax) await this.#open.shift();
  }

  async drained(): Promise<void> {
    await Promise.all(this.#open.splice(0));
  }

  someMessages(): Uint8Array {
    const records = Array.from({ length: this.#shape.messageCount }, () =>
      this.#message(this.messageCount++),
    );
    return concatBytes(records);
  }

  #message(number: number): Uint8Array {
    return encodeMessageRecord({
      topic: BENCH_TOPIC,
      queueId: number % QUEUE_COUNT,
      queueOffset: QueueOffset(Math.floor(number / QUEUE_COUNT)),
      physicalOffset: PhysicalOffset(0),
      flag: 0,
      sysFlag: 0,
      bornTimestampMs: this.#atMs,
      bornHost: '127.0.0.1:1234',
      storeTimestampMs: this.#atMs,
      storeHost: '127.0.0.1:10911',
      reconsumeTimes: 0,
      body: this.#body,
      properties: new Map([['UNIQ_KEY', `fill-${String(number).padStart(12, '0')}`]]),
    });
  }

  #entry(
    type: EntryType,
    { physicalOffset, sizeBytes }: Pick<StoredEntry['desc'], 'physicalOffset' | 'sizeBytes'>,
    payload: Uint8Array,
  ): StoredEntry {
    const index = LogIndex(++this.lastIndex);
    const desc = {
      ...{ index, term: TERM, type, physicalOffset, sizeBytes },
      payloadSizeBytes: payload.length,
      payloadCrc: crc32(payload),
    };
    const leaderCommit = LogIndex(index - 1);
    const bytes = encodeEntry(
      { ...desc, leaderCommit, prevHeaderCrc: this.#prevHeaderCrc },
      payload,
    );
    this.#prevHeaderCrc = headerCrcOf(bytes);
    this.end = advance(physicalOffset, sizeBytes);
    return { desc, bytes };
  }
}

/** Each message says where it lies. */
function tellPlaces(payload: Uint8Array, place: PhysicalOffset): void {
  const view = viewOf(payload);
  for (let at = 0; at < payload.length; ) {
    const { kind, sizeBytes } = recordPlaceAt(view, at);
    if (kind === 'message') patchPhysicalOffset(payload, at, advance(place, at));
    at += sizeBytes;
  }
}

function topicPut(atMs: number): Uint8Array {
  return encodeCommandRecord({
    ...{ kind: 'topicPut', topic: BENCH_TOPIC, queueCount: QUEUE_COUNT },
    ...{ permission: 6, messageTypes: [1], atMs },
  });
}
