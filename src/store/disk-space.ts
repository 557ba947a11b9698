/**
 * Room on the disk as a matter of policy: from when on clients may not make the log grow, so that what
 * remains lasts for everything else (H10): entries of Raft itself, deliveries and acknowledgements, the
 * next segment, derived state.
 *
 * The guard looks at the file system every now and then, never in the write path. Who fills it does not
 * matter: another program counts as much as the log.
 */
import { GIB, MIB } from '../base/sizes.ts';
import type { Clock, Timer } from '../io/clock.ts';
import { type Disk, DiskError } from '../io/disk.ts';
import type { RoomLevel, RoomReport } from '../protocol/verbs.ts';

/**
 * A new segment leaves so much to derived state, and to the small files that a start writes. A commit
 * of derived state takes a few MiB at most.
 */
export const KEEP_FREE_SIZE_BYTES = 16 * MIB;
/** How old the figure may be on which a send is refused or not. */
export const ROOM_SAMPLE_MS = 500;

/** Of the whole disk: what other brokers keep, and enough for hours of acknowledgements... */
const RESERVE_SHARE = 0.05;
/** ...but on a large disk no more than this... */
const RESERVE_SHARE_SIZE_BYTES_MAX = 5 * GIB;
/** ...and never so much that a disk counts as full although this share of it is free. */
const RESERVE_SHARE_MAX = 0.15;
/** The next segment, and one that is being prepared when the figure is taken. */
const RESERVE_SEGMENT_COUNT = 2;
/** There is a warning when less than so many reserves are free. */
const LOW_RESERVE_COUNT = 2;
/** A level is left only when there is so much more than what led to it: segments come in steps. */
const LEAVE_FACTOR = 1.1;

export function defaultReserveBytes(totalBytes: number, segmentSizeBytes: number): number {
  const needBytes = RESERVE_SEGMENT_COUNT * segmentSizeBytes + KEEP_FREE_SIZE_BYTES;
  const shareBytes = Math.min(totalBytes * RESERVE_SHARE, RESERVE_SHARE_SIZE_BYTES_MAX);
  const wantedBytes = Math.min(Math.max(needBytes, shareBytes), totalBytes * RESERVE_SHARE_MAX);
  // Without room for one more segment the reserve would be none.
  return Math.ceil(Math.max(wantedBytes, segmentSizeBytes + KEEP_FREE_SIZE_BYTES));
}

export function nextLevel(level: RoomLevel, freeBytes: number, reserveBytes: number): RoomLevel {
  const lowBytes = LOW_RESERVE_COUNT * reserveBytes;
  const isFull = freeBytes < reserveBytes * (level === 'full' ? LEAVE_FACTOR : 1);
  if (isFull) return 'full';
  return freeBytes < lowBytes * (level === 'ok' ? 1 : LEAVE_FACTOR) ? 'low' : 'ok';
}

export type RoomEvent =
  | { readonly kind: 'roomChanged'; readonly from: RoomLevel; readonly room: RoomReport }
  /** What was known last holds on. Said once until it can be asked again. */
  | { readonly kind: 'roomUnknown'; readonly error: DiskError };

export interface DiskSpaceOptions {
  readonly disk: Disk;
  /** Exists. */
  readonly directory: string;
  readonly clock: Clock;
  readonly segmentSizeBytes: number;
  /** null: by the size of the disk. */
  readonly reserveBytes: number | null;
  readonly onEvent: (event: RoomEvent) => void;
}

export class DiskSpaceGuard {
  readonly #options: DiskSpaceOptions;
  #room: RoomReport;
  #timer: Timer | null = null;
  #isUnknown = false;
  #isClosed = false;

  private constructor(options: DiskSpaceOptions, room: RoomReport) {
    this.#options = options;
    this.#room = room;
  }

  /** With a first look, so that there is a figure from the beginning. @throws DiskError */
  static async start(options: DiskSpaceOptions): Promise<DiskSpaceGuard> {
    const { totalBytes, freeBytes } = await options.disk.room(options.directory);
    const reserveBytes =
      options.reserveBytes ?? defaultReserveBytes(totalBytes, options.segmentSizeBytes);
    const level = 'ok';
    const guard = new DiskSpaceGuard(options, { level, totalBytes, freeBytes, reserveBytes });
    guard.#take(totalBytes, freeBytes);
    guard.#lookLater();
    return guard;
  }

  get room(): RoomReport {
    return this.#room;
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.setTimer(ROOM_SAMPLE_MS, () => {
      void this.#look();
    });
  }

  /** Owned by the timer; the next look comes after this one, however long it takes. */
  async #look(): Promise<void> {
    const { disk, directory, onEvent } = this.#options;
    try {
      const { totalBytes, freeBytes } = await disk.room(directory);
      this.#isUnknown = false;
      if (!this.#isClosed) this.#take(totalBytes, freeBytes);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (!this.#isUnknown && !this.#isClosed) onEvent({ kind: 'roomUnknown', error });
      this.#isUnknown = true;
    }
    this.#lookLater();
  }

  #take(totalBytes: number, freeBytes: number): void {
    const { level: from, reserveBytes } = this.#room;
    const level = nextLevel(from, freeBytes, reserveBytes);
    this.#room = { level, totalBytes, freeBytes, reserveBytes };
    if (level !== from) this.#options.onEvent({ kind: 'roomChanged', from, room: this.#room });
  }
}
