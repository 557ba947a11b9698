/**
 * The memory that a log writer and its worker thread share: one ring of bytes, one ring of
 * descriptors that say where those bytes go, and one word that counts published descriptors.
 *
 * The main thread owns both rings; the worker only reads. Descriptors become visible by whole batches: all are
 * written, then the word is stored and the worker notified. The worker reports how many it has consumed
 * in a message, after the sync; only then is their space used again. So nothing here needs a lock,
 * and the size of the byte ring bounds what can be unsynced.
 */
import { UNSYNCED_SIZE_BYTES_MAX } from '../disk.ts';

export const DATA_SIZE_BYTES = UNSYNCED_SIZE_BYTES_MAX;
export const DESCRIPTOR_COUNT = 4096;

/** Numbers of one descriptor; positions exceed 32 bits, hence doubles. */
export const OPERATION = 0;
export const FILE_ID = 1; // open, close, write, zero, note
export const POSITION = 2; // write, zero, note
export const SIZE_BYTES = 3; // open (of the path), write, zero, note
export const DATA_AT = 4; // open (the path), write, note
export const DESCRIPTOR_FIELDS = 5;
/** `begin` uses the same numbers for something else. */
export const BATCH_DESCRIPTORS = 1; // those that follow it
export const BATCH_ALONE = 2; // 1: sync mode `alone`

export const OPERATION_CODE = {
  begin: 1,
  open: 2,
  close: 3,
  write: 4,
  zero: 5,
  note: 6,
  stop: 7,
} as const;

/** The only control word: descriptors published so far, modulo 2^32. */
export const PUBLISHED = 0;

export interface SharedMemory {
  readonly control: SharedArrayBuffer;
  readonly descriptors: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
  /** Where the calls of the worker are counted for a watchdog; null: nobody watches. */
  readonly watch: SharedArrayBuffer | null;
}

export function createSharedMemory(watch: SharedArrayBuffer | null): SharedMemory {
  return {
    control: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
    descriptors: new SharedArrayBuffer(
      DESCRIPTOR_COUNT * DESCRIPTOR_FIELDS * Float64Array.BYTES_PER_ELEMENT,
    ),
    data: new SharedArrayBuffer(DATA_SIZE_BYTES),
    watch,
  };
}

/** What the worker says. `synced` frees and completes all descriptors before `consumed`. */
export type WorkerReport =
  | { readonly kind: 'synced'; readonly consumed: number; readonly syncMs: number | null }
  | {
      readonly kind: 'failed';
      readonly operation: string;
      readonly path: string;
      readonly code: string;
    }
  | { readonly kind: 'stopped' };
