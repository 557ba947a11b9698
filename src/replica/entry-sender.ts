/**
 * Sends the core's messages with the bytes of their entries: from the log's cache at once, from disk
 * when a follower is far behind. Append requests to one peer keep their order; votes and heartbeats
 * carry no entries and never wait for a disk read.
 *
 * A message whose entries are not in the log any more, cut off or removed in front, or whose term is over,
 * is dropped: Raft takes any loss.
 */
import { assert } from '../base/assert.ts';
import { CorruptionError } from '../base/errors.ts';
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { AppendRequest, Message } from '../raft/messages.ts';
import { type CommitLog, EntriesGone, type StoredEntry } from '../store/commit-log.ts';
import { READING_COUNT_MAX } from './limits.ts';
import type { PeerTransport } from './peer-transport.ts';

export interface EntrySenderOptions {
  readonly log: CommitLog;
  readonly transport: PeerTransport;
  readonly currentTerm: () => Term;
  /** The queue of a peer overflowed: the core must probe again. */
  readonly onUnreachable: (peer: NodeId) => void;
  readonly onFatal: (error: unknown) => void;
}

export class EntrySender {
  readonly #options: EntrySenderOptions;
  /** Append requests that wait for bytes; the first of each is being read. */
  readonly #waiting = new Map<NodeId, AppendRequest[]>();
  readonly #reads = new Set<Promise<void>>();
  #closed = false;

  constructor(options: EntrySenderOptions) {
    this.#options = options;
  }

  send(to: NodeId, message: Message): void {
    if (message.kind !== 'appendRequest') {
      this.#options.transport.send(to, message, []);
      return;
    }
    const waiting = this.#waiting.get(to);
    if (waiting !== undefined) {
      this.#enqueue(to, waiting, message);
      return;
    }
    if (this.#sendCached(to, message)) return;
    this.#waiting.set(to, [message]);
    this.#startReading(to);
  }

  /** Nothing is sent afterwards; resolves when no read is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    await Promise.all(this.#reads);
  }

  /** @returns false when the bytes must be read first */
  #sendCached(to: NodeId, message: AppendRequest): boolean {
    const first = message.entries[0];
    const last = message.entries.at(-1);
    if (first === undefined || last === undefined) {
      this.#options.transport.send(to, message, []);
      return true;
    }
    const cached = this.#options.log.cachedEntries(first.index, last.index);
    if (cached === null) return false;
    this.#sendMatching(to, message, cached);
    return true;
  }

  #sendMatching(to: NodeId, message: AppendRequest, stored: readonly StoredEntry[]): void {
    if (message.term !== this.#options.currentTerm()) return;
    assert(stored.length === message.entries.length, 'as many bytes as descriptors');
    const same = stored.every((entry, i) => {
      const wanted = message.entries[i]!; // equal lengths
      return entry.desc.index === wanted.index && entry.desc.term === wanted.term;
    });
    if (!same) return;
    this.#options.transport.send(
      to,
      message,
      stored.map((entry) => entry.bytes),
    );
  }

  #enqueue(to: NodeId, waiting: AppendRequest[], message: AppendRequest): void {
    if (waiting.length < READING_COUNT_MAX) {
      waiting.push(message);
      return;
    }
    // Keep the one being read: its reader takes itself off the queue.
    waiting.length = 1;
    this.#options.onUnreachable(to);
  }

  #startReading(to: NodeId): void {
    const reading = this.#drain(to).catch(this.#options.onFatal);
    this.#reads.add(reading);
    void reading.finally(() => this.#reads.delete(reading)); // owned by #reads
  }

  async #drain(to: NodeId): Promise<void> {
    const waiting = this.#waiting.get(to);
    assert(waiting !== undefined, 'a queue is drained while it exists');
    while (waiting.length > 0 && !this.#closed) {
      const message = waiting[0]!; // not empty
      if (message.term === this.#options.currentTerm() && !this.#sendCached(to, message)) {
        const stored = await this.#read(message);
        if (this.#closed) return;
        if (stored !== null) this.#sendMatching(to, message, stored);
      }
      waiting.shift();
    }
    this.#waiting.delete(to);
  }

  /** @returns null when the log has been cut meanwhile, or compacted */
  async #read(message: AppendRequest): Promise<readonly StoredEntry[] | null> {
    const last = message.entries.at(-1)!.index; // only messages with entries are read for
    const stored: StoredEntry[] = [];
    let from: LogIndex = message.entries[0]!.index;
    let sizeBytes = 0;
    for (const desc of message.entries) sizeBytes += desc.sizeBytes;
    while (from <= last) {
      if (!this.#stillWanted(message)) return null;
      const part = await this.#readPart(message, from, last, sizeBytes);
      if (part === null) return null;
      assert(part.length > 0, 'a read brings at least one entry');
      stored.push(...part);
      from = (part.at(-1)!.desc.index + 1) as LogIndex;
    }
    return stored;
  }

  async #readPart(
    message: AppendRequest,
    from: LogIndex,
    last: LogIndex,
    sizeBytes: number,
  ): Promise<readonly StoredEntry[] | null> {
    try {
      return await this.#options.log.readEntries(from, last, sizeBytes);
    } catch (error) {
      // The core has forgotten them as well, and will send a snapshot.
      if (error instanceof EntriesGone) return null;
      // Bytes that a newer leader replaces while we read them do not add up, and are not needed.
      if (!(error instanceof CorruptionError) || this.#stillWanted(message)) throw error;
      return null;
    }
  }

  #stillWanted(message: AppendRequest): boolean {
    return !this.#closed && message.term === this.#options.currentTerm();
  }
}
