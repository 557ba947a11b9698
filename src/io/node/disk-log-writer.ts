/**
 * The main thread's side of a log writer: copies batches into shared memory, wakes the worker, and
 * completes them as it reports. One copy per byte; what does not fit waits here, in order.
 */
import { Worker } from 'node:worker_threads';
import { assert, unreachable } from '../../base/assert.ts';
import {
  BATCH_SIZE_BYTES_MAX,
  BATCH_WRITES_MAX,
  DiskError,
  type DiskWrite,
  type LogWriter,
  type LogWriterEvents,
  type WriteBatch,
  type WriterFile,
} from '../disk.ts';
import {
  BATCH_ALONE,
  BATCH_DESCRIPTORS,
  createSharedMemory,
  DATA_AT,
  DATA_SIZE_BYTES,
  DESCRIPTOR_COUNT,
  DESCRIPTOR_FIELDS,
  FILE_ID,
  OPERATION,
  OPERATION_CODE,
  POSITION,
  PUBLISHED,
  SIZE_BYTES,
  type WorkerReport,
} from './disk-shared.ts';

/** Far beyond what the bounds on uncommitted entries let through; reaching it is a bug upstream. */
const WAITING_BATCHES_MAX = 65_536;

/** Something that is published as a whole. `onDone` is null for opening, closing, stopping. */
interface Job {
  readonly steps: readonly Step[];
  readonly alone: boolean;
  readonly onDone: (() => void) | null;
}

type Step =
  | { readonly kind: 'open'; readonly fileId: number; readonly bytes: Uint8Array }
  | { readonly kind: 'close'; readonly fileId: number }
  | { readonly kind: 'write' | 'note'; readonly write: DiskWrite }
  | { readonly kind: 'stop' };

interface Published {
  /** Counters of both rings after this job. */
  readonly descriptors: number;
  readonly dataBytes: number;
  readonly onDone: (() => void) | null;
}

export class NodeLogWriter implements LogWriter {
  readonly #events: LogWriterEvents;
  readonly #worker: Worker;
  readonly #control: Int32Array;
  readonly #descriptors: Float64Array;
  readonly #data: Uint8Array;
  readonly #waiting: Job[] = [];
  readonly #published: Published[] = [];
  readonly #stopped: Promise<void>;
  #onStopped: () => void = () => {};
  /** Counters, never wrapped: descriptors and bytes published, and those free again. */
  #descriptorsUsed = 0;
  #descriptorsFreed = 0;
  #dataUsed = 0;
  #dataFreed = 0;
  #nextFileId = 1;
  #state: 'open' | 'closing' | 'failed' | 'stopped' = 'open';

  /** @param watch see process-watchdog.ts; of one writer at a time */
  constructor(events: LogWriterEvents, watch: SharedArrayBuffer | null = null) {
    this.#events = events;
    const memory = createSharedMemory(watch);
    this.#control = new Int32Array(memory.control);
    this.#descriptors = new Float64Array(memory.descriptors);
    this.#data = new Uint8Array(memory.data);
    this.#stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    this.#worker = new Worker(new URL('./disk-worker.js', import.meta.url), {
      workerData: memory,
      // Options of the process, such as how its main script is read, are none of the worker's.
      execArgv: [],
    });
    this.#worker.on('message', (report: WorkerReport) => this.#onReport(report));
    this.#worker.on('error', (cause) => {
      this.#fail(new DiskError('run', 'the disk thread', 'UNKNOWN', { cause }));
    });
    this.#worker.on('exit', () => this.#onExit());
  }

  /** It makes no call any more. */
  get isOver(): boolean {
    return this.#state === 'stopped' || this.#state === 'failed';
  }

  open(path: string): WriterFile {
    assert(this.#state !== 'closing' && this.#state !== 'stopped', 'the log writer is open');
    const fileId = this.#nextFileId++;
    const step: Step = { kind: 'open', fileId, bytes: new TextEncoder().encode(path) };
    this.#enqueue({ steps: [step], alone: false, onDone: null });
    return { path, id: fileId };
  }

  closeFile(file: WriterFile): void {
    assert(this.#state !== 'closing' && this.#state !== 'stopped', 'the log writer is open');
    const step: Step = { kind: 'close', fileId: file.id };
    this.#enqueue({ steps: [step], alone: false, onDone: null });
  }

  submit(batch: WriteBatch): void {
    assert(this.#state !== 'closing' && this.#state !== 'stopped', 'the log writer is open');
    assert(batch.writes.length <= BATCH_WRITES_MAX, 'a batch has a bounded number of writes');
    assert(dataSizeOf(batch.writes) <= BATCH_SIZE_BYTES_MAX, 'a batch has a bounded size');
    const steps: Step[] = batch.writes.map((write) => ({ kind: 'write', write }));
    if (batch.note !== null) steps.push({ kind: 'note', write: batch.note });
    this.#enqueue({ steps, alone: batch.sync === 'alone', onDone: batch.onDone });
  }

  close(): Promise<void> {
    if (this.#state === 'open') {
      this.#enqueue({ steps: [{ kind: 'stop' }], alone: true, onDone: null });
      this.#state = 'closing';
    }
    return this.#stopped;
  }

  #enqueue(job: Job): void {
    if (this.#state === 'failed') return;
    assert(this.#waiting.length < WAITING_BATCHES_MAX, 'writes are handed over within bounds');
    this.#waiting.push(job);
    this.#publishWaiting();
  }

  #publishWaiting(): void {
    let count = 0;
    for (const job of this.#waiting) {
      if (!this.#fits(job)) break;
      this.#publish(job);
      count += 1;
    }
    if (count === 0) return;
    this.#waiting.splice(0, count);
    Atomics.store(this.#control, PUBLISHED, this.#descriptorsUsed | 0);
    Atomics.notify(this.#control, PUBLISHED);
  }

  #fits(job: Job): boolean {
    // A step takes two descriptors when its bytes wrap around the end of the ring.
    const descriptors = 1 + job.steps.length + 1;
    const freeDescriptors = DESCRIPTOR_COUNT - (this.#descriptorsUsed - this.#descriptorsFreed);
    if (descriptors > freeDescriptors) return false;
    const free = DATA_SIZE_BYTES - (this.#dataUsed - this.#dataFreed);
    // Notes and paths must not wrap: leave room to skip the end of the ring.
    let sizeBytes = 0;
    for (const step of job.steps)
      sizeBytes += dataSizeOfStep(step) * (step.kind === 'write' ? 1 : 2);
    return sizeBytes <= free;
  }

  #publish(job: Job): void {
    const beginAt = this.#nextDescriptor();
    for (const step of job.steps) this.#publishStep(step);
    const begin = this.#slotOf(beginAt);
    this.#descriptors[begin + OPERATION] = OPERATION_CODE.begin;
    this.#descriptors[begin + BATCH_DESCRIPTORS] = this.#descriptorsUsed - beginAt - 1;
    this.#descriptors[begin + BATCH_ALONE] = job.alone ? 1 : 0;
    this.#published.push({
      descriptors: this.#descriptorsUsed,
      dataBytes: this.#dataUsed,
      onDone: job.onDone,
    });
  }

  #publishStep(step: Step): void {
    switch (step.kind) {
      case 'open':
        this.#skipWrap(step.bytes.length);
        this.#describe(OPERATION_CODE.open, step.fileId, 0, step.bytes);
        return;
      case 'close':
        this.#describe(OPERATION_CODE.close, step.fileId, 0, null);
        return;
      case 'stop':
        this.#describe(OPERATION_CODE.stop, 0, 0, null);
        return;
      case 'note': {
        const { write } = step;
        assert('bytes' in write, 'a note has bytes');
        this.#skipWrap(write.bytes.length);
        this.#describe(OPERATION_CODE.note, write.file.id, write.position, write.bytes);
        return;
      }
      case 'write':
        this.#publishWrite(step.write);
        return;
      default:
        unreachable(step);
    }
  }

  #publishWrite(write: DiskWrite): void {
    if ('zeroSizeBytes' in write) {
      const at = this.#slotOf(this.#descriptorsUsed);
      this.#describe(OPERATION_CODE.zero, write.file.id, write.position, null);
      this.#descriptors[at + SIZE_BYTES] = write.zeroSizeBytes;
      return;
    }
    const { file, position, bytes } = write;
    const untilWrap = DATA_SIZE_BYTES - (this.#dataUsed % DATA_SIZE_BYTES);
    const first = bytes.subarray(0, untilWrap);
    const rest = bytes.subarray(first.length);
    this.#describe(OPERATION_CODE.write, file.id, position, first);
    if (rest.length > 0) {
      this.#describe(OPERATION_CODE.write, file.id, position + first.length, rest);
    }
  }

  #describe(operation: number, fileId: number, position: number, bytes: Uint8Array | null): void {
    const at = this.#slotOf(this.#nextDescriptor());
    const dataAt = this.#dataUsed % DATA_SIZE_BYTES;
    this.#descriptors[at + OPERATION] = operation;
    this.#descriptors[at + FILE_ID] = fileId;
    this.#descriptors[at + POSITION] = position;
    this.#descriptors[at + SIZE_BYTES] = bytes?.length ?? 0;
    this.#descriptors[at + DATA_AT] = dataAt;
    if (bytes === null) return;
    this.#data.set(bytes, dataAt);
    this.#dataUsed += bytes.length;
  }

  /** Bytes that must be contiguous start over at the ring's beginning when its end is too near. */
  #skipWrap(sizeBytes: number): void {
    const untilWrap = DATA_SIZE_BYTES - (this.#dataUsed % DATA_SIZE_BYTES);
    if (sizeBytes > untilWrap) this.#dataUsed += untilWrap;
  }

  #nextDescriptor(): number {
    return this.#descriptorsUsed++;
  }

  #slotOf(descriptor: number): number {
    return (descriptor % DESCRIPTOR_COUNT) * DESCRIPTOR_FIELDS;
  }

  #onReport(report: WorkerReport): void {
    switch (report.kind) {
      case 'synced':
        this.#onSynced(report.consumed, report.syncMs);
        return;
      case 'failed':
        this.#fail(new DiskError(report.operation, report.path, report.code));
        return;
      case 'stopped':
        this.#settle('stopped');
        return;
      default:
        unreachable(report);
    }
  }

  #onSynced(consumed: number, syncMs: number | null): void {
    if (this.#state === 'failed') return;
    const doneCount = countDone(this.#published, consumed);
    const done = this.#published.splice(0, doneCount);
    const last = done.at(-1);
    assert(last?.descriptors === consumed, 'the worker consumes whole batches');
    this.#descriptorsFreed = last.descriptors;
    this.#dataFreed = last.dataBytes;
    // The worker is idle now: what waits goes first, the callbacks may take their time.
    this.#publishWaiting();
    if (syncMs !== null) this.#events.onSync(syncMs);
    for (const job of done) job.onDone?.();
  }

  #onExit(): void {
    // An orderly stop and a failure have been settled before the thread ends.
    if (this.#state === 'stopped' || this.#state === 'failed') return;
    this.#fail(new DiskError('run', 'the disk thread', 'EXITED'));
  }

  #fail(error: DiskError): void {
    if (this.#state === 'failed' || this.#state === 'stopped') return;
    // It sleeps until the process ends, and is no reason for the process to go on.
    this.#worker.unref();
    this.#settle('failed');
    this.#events.onFail(error);
  }

  #settle(state: 'failed' | 'stopped'): void {
    this.#state = state;
    this.#waiting.length = 0;
    this.#published.length = 0;
    this.#onStopped();
  }
}

function countDone(published: readonly Published[], consumed: number): number {
  let count = 0;
  for (const job of published) {
    if (job.descriptors > consumed) break;
    count += 1;
  }
  return count;
}

function dataSizeOf(writes: readonly DiskWrite[]): number {
  let sizeBytes = 0;
  for (const write of writes) if ('bytes' in write) sizeBytes += write.bytes.length;
  return sizeBytes;
}

function dataSizeOfStep(step: Step): number {
  switch (step.kind) {
    case 'open':
      return step.bytes.length;
    case 'write':
    case 'note':
      return 'bytes' in step.write ? step.write.bytes.length : 0;
    case 'close':
    case 'stop':
      return 0;
    default:
      return unreachable(step);
  }
}
