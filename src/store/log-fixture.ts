/** Builders for tests of the store: a chain of entries as a leader places them, and an opened log. */
import { crc32 } from '../base/crc32.ts';
import type { FatalError } from '../base/errors.ts';
import { advance, LogIndex, NodeId, PhysicalOffset, Term } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import type { Disk } from '../io/disk.ts';
import { ManualClock } from '../io/memory/manual-clock.ts';
import { encodeEntry, headerCrcOf } from '../protocol/entry-codec.ts';
import { type EntryDesc, type EntryType, placeEntry, skipSegmentHeader } from '../raft/entry.ts';
import { foundingMembership, type LoggedMembership } from '../raft/membership.ts';
import type { CommitLog, LogBase, LogWrite, StoredEntry } from './commit-log.ts';
import { ORIGIN, tipOfBase } from './log-base.ts';
import { openCommitLog } from './open-commit-log.ts';
import { NO_PROMISE, type RememberedPeer } from './remembered-peer.ts';
import { segmentFileName } from './segment.ts';
import type { StoreRules } from './store-rules.ts';

export const TEST_DIRECTORY = '/store';
export const TEST_IDENTITY = {
  clusterId: 'test-cluster',
  groupId: 'g1',
  nodeId: NodeId('n1'),
  segmentSizeBytes: 64 * 1024,
};

export interface NewEntry {
  readonly payload: Uint8Array;
  readonly term: Term;
  readonly type?: EntryType;
  readonly leaderCommit?: LogIndex;
}

/** The log of a leader, in memory, behind a base. */
export class EntryChain {
  readonly entries: StoredEntry[] = [];
  readonly base: LogBase;
  readonly #segmentSizeBytes: number;

  constructor(segmentSizeBytes: number, base: LogBase = ORIGIN) {
    this.#segmentSizeBytes = segmentSizeBytes;
    this.base = base;
  }

  get end(): PhysicalOffset {
    const last = this.entries.at(-1)?.desc;
    return last === undefined
      ? tipOfBase(this.base).end
      : advance(last.physicalOffset, last.sizeBytes);
  }

  get lastIndex(): LogIndex {
    return advance(tipOfBase(this.base).index, this.entries.length);
  }

  /** Of an entry that is there. */
  at(index: number): StoredEntry {
    const entry = this.entries[index - 1 - tipOfBase(this.base).index];
    if (entry === undefined) throw new Error(`No entry ${index}`);
    return entry;
  }

  /** @returns the entry, after a filler when it starts a new segment. */
  append(entry: NewEntry): readonly StoredEntry[] {
    const { payload, term, type = 'data' } = entry;
    const from = this.entries.length;
    const placement = placeEntry(this.end, payload.length, this.#segmentSizeBytes);
    if (placement.fillerSizeBytes > 0) {
      const physicalOffset = skipSegmentHeader(this.end, this.#segmentSizeBytes);
      const sizeBytes = placement.fillerSizeBytes;
      this.#push({ type: 'filler', term, physicalOffset, sizeBytes }, new Uint8Array(0), entry);
    }
    const { physicalOffset, sizeBytes } = placement;
    this.#push({ type, term, physicalOffset, sizeBytes }, payload, entry);
    return this.entries.slice(from);
  }

  truncateFrom(index: LogIndex): void {
    this.entries.length = index - 1 - tipOfBase(this.base).index;
  }

  #push(
    place: Pick<EntryDesc, 'type' | 'term' | 'physicalOffset' | 'sizeBytes'>,
    payload: Uint8Array,
    entry: NewEntry,
  ): void {
    const previous = this.entries.at(-1);
    const desc: EntryDesc = {
      ...place,
      index: advance(this.lastIndex, 1),
      payloadSizeBytes: payload.length,
      payloadCrc: crc32(payload),
    };
    const prevHeaderCrc =
      previous === undefined ? this.base.headerCrc : headerCrcOf(previous.bytes);
    const leaderCommit = entry.leaderCommit ?? LogIndex(0);
    const bytes = encodeEntry({ ...desc, leaderCommit, prevHeaderCrc }, payload);
    this.entries.push({ desc, bytes });
  }
}

let bootIdCount = 0;

export interface OpenTestLogOptions {
  readonly directory?: string;
  readonly identity?: typeof TEST_IDENTITY;
  readonly clock?: Clock;
  readonly tailCacheSizeBytes?: number;
  readonly mayAskPeers?: boolean;
  readonly rules?: StoreRules;
  readonly onFatal?: (error: FatalError) => void;
}

export function openTestLog(disk: Disk, options: OpenTestLogOptions = {}): Promise<CommitLog> {
  let uuidCount = 0;
  return openCommitLog(disk, {
    directory: TEST_DIRECTORY,
    identity: TEST_IDENTITY,
    clock: new ManualClock(),
    mintUuid: () => `uuid-${++uuidCount}`,
    mintBootId: () => (++bootIdCount).toString(16).padStart(16, '0'),
    onFatal: (error) => {
      throw error;
    },
    ...options,
  });
}

/** Resolves when the write is durable. */
export function persisted(
  log: CommitLog,
  write: Partial<Omit<LogWrite, 'onDurable'>>,
): Promise<void> {
  return new Promise((resolve) => {
    log.persist({
      hardState: null,
      base: null,
      truncateFrom: null,
      entries: [],
      ...write,
      onDurable: resolve,
    });
  });
}

export function term(value: number): { term: Term; votedFor: null } {
  return { term: Term(value), votedFor: null };
}

/** Lets a test decide when each step of a memory disk happens: pass `later` to the disk. */
export class Steps {
  readonly #steps: (() => void)[] = [];
  readonly later = (step: () => void): void => {
    this.#steps.push(step);
  };

  /** Performs one step and all that follows from it without the disk; false when there is none. */
  async next(): Promise<boolean> {
    const step = this.#steps.shift();
    step?.();
    await new Promise((resolve) => setImmediate(resolve));
    return step !== undefined;
  }

  /** Performs steps until nothing is left to do. */
  async drain(): Promise<void> {
    while (await this.next());
  }

  /** Performs steps until the promise has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    while (!isSettled) await this.next();
    return promise;
  }
}

export function payloadOf(sizeBytes: number, seed: number): Uint8Array {
  const payload = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at++) payload[at] = (at * 31 + seed * 101 + 1) % 256;
  return payload;
}

/** A member that was met once. */
export function peerOf(storeUuid: string): RememberedPeer {
  const bootId = '00000000000000aa';
  return { storeUuid, bootCount: 1, bootId, refusedBootId: null, promise: NO_PROMISE };
}

/** Entries over so many segments, of which the last one is not full. */
export function chainOfSegments(segmentSizeBytes: number, count: number, inTerm = 1): EntryChain {
  const chain = new EntryChain(segmentSizeBytes);
  for (let i = 0; chain.end < (count - 0.5) * segmentSizeBytes; i++) {
    chain.append({ payload: payloadOf(300 + ((i * 211) % 900), i), term: Term(inTerm) });
  }
  return chain;
}

export const TEST_MEMBERSHIP: LoggedMembership = {
  index: LogIndex(0),
  membership: foundingMembership([{ nodeId: NodeId('n1'), raftAddress: 'n1:1' }]),
};

/** What a log stands on that begins with the segment at `start`. */
export function baseAt(chain: EntryChain, start: number): LogBase {
  const last = chain.entries.find(({ desc }) => desc.physicalOffset + desc.sizeBytes === start);
  if (last === undefined) throw new Error(`No entry ends at ${start}`);
  return baseBehind(last);
}

/** What a log stands on that begins behind this entry, the last of its segment. */
export function baseBehind(last: StoredEntry): LogBase {
  const { index, term } = last.desc;
  const endOffset = advance(last.desc.physicalOffset, last.desc.sizeBytes);
  const desc = { last: { index, term }, endOffset, membership: TEST_MEMBERSHIP };
  return { desc, headerCrc: headerCrcOf(last.bytes) };
}

/** How a log has come to begin where it begins. */
export type LogForm = 'whole' | 'compacted' | 'installed';
export const LOG_FORMS: readonly LogForm[] = ['whole', 'compacted', 'installed'];

/** One full segment. */
export function oneSegment(segmentSizeBytes: number): EntryChain {
  const chain = new EntryChain(segmentSizeBytes);
  for (let i = 0; chain.end < segmentSizeBytes; i++) {
    chain.append({ payload: payloadOf(1300, i + 200), term: Term(1) });
  }
  // What began the next one.
  chain.entries.pop();
  return chain;
}

/**
 * Makes an empty log, whose hard state knows term 1, one of this form.
 * @returns what goes on from it
 */
export async function standOn(log: CommitLog, form: LogForm): Promise<EntryChain> {
  const { segmentSizeBytes } = log.identity;
  if (form === 'whole') return new EntryChain(segmentSizeBytes);
  const before = oneSegment(segmentSizeBytes);
  const base = baseAt(before, segmentSizeBytes);
  if (form === 'installed') {
    await persisted(log, { entries: before.entries.slice(0, 2) });
    await persisted(log, { base });
  } else {
    await persisted(log, { entries: before.entries });
    log.noteCommitIndex(before.lastIndex);
    if (base.desc !== null) await log.compact(base.desc);
  }
  return new EntryChain(segmentSizeBytes, base);
}

/** The segment of a log of this form in which the offset lies. */
export function segmentPathAt(form: LogForm, offset: number, segmentSizeBytes: number): string {
  const directory = form === 'installed' ? 'data-1' : 'data';
  const start = PhysicalOffset(offset - (offset % segmentSizeBytes));
  return `${TEST_DIRECTORY}/${directory}/${segmentFileName(start)}`;
}
