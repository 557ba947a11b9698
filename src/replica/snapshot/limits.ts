/** Bounds of taking, sending and installing snapshots, each with its reason. */
import { MIB } from '../../base/sizes.ts';

export interface SnapshotLimits {
  /** Entries applied since the last snapshot, from which on there is a new one. */
  readonly entriesMax: number;
  readonly periodMs: number;
  /** Between two of them, whoever wants one. */
  readonly pauseMsMin: number;
  readonly bytesPerSecondMax: number;
  /** A member that was not heard for so long does not hold the log any more (H17). */
  readonly memberGraceMs: number;
}

export const SNAPSHOT_LIMITS: SnapshotLimits = {
  // A start that has lost its derived state applies no more than this behind the snapshot.
  entriesMax: 100_000,
  periodMs: 10 * 60 * 1000,
  // Retention moves by whole segments, which a busy log fills in seconds.
  pauseMsMin: 5_000,
  // Given away by one node, all receivers together: half of a Gbit/s.
  bytesPerSecondMax: 64 * MIB,
  memberGraceMs: 60 * 60 * 1000,
};

/** After a snapshot that could not be written, for want of room or because it was not read back. */
export const TAKE_RETRY_MS = 10_000;

/** For one chunk, its turn at the rate limit included; a receiver that is slower gets an end, and may go on. */
export const CHUNK_MS_MAX = 10_000;
/** For an offer, beside the time for its chunks: the receiver verifies the whole and syncs it. */
export const OFFER_MS_MIN = 30_000;
/** For a question that is answered from memory. */
export const ASK_MS_MAX = 2_000;
/** A replica that lacks the snapshot its log stands on asks everybody, and again after this time. */
export const FETCH_PAUSE_MS = 1_000;
