/**
 * The giving side of repair: entries for a replica that has lost them, out of a log in service or out of
 * what is good of one under repair. One after the other, at a bounded rate, and behind log writes that
 * wait, so that a healthy leader does not feel it.
 */
import {
  type ServerWritableStream,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { joinBytes } from '../../base/bytes.ts';
import { CorruptionError, FatalError } from '../../base/errors.ts';
import { LogIndex } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import { type RepairFrame, type RepairRead, repairMethod } from '../../protocol/repair-codec.ts';
import { REPAIR_READ_SIZE_BYTES_MAX } from '../../store/limits.ts';
import type { RepairAnswer, RepairSource } from '../../store/repair/repair-source.ts';
import {
  REPAIR_BYTES_PER_SECOND_MAX,
  REPAIR_FRAME_SIZE_BYTES_MAX,
  REPAIR_RATE_SLACK_MS,
  REPAIR_READS_MAX,
  REPAIR_YIELD_PAUSE_MS,
  REPAIR_YIELD_PAUSES_MAX,
  REPAIR_YIELD_PENDING_MS,
} from './limits.ts';

export interface RepairServiceOptions {
  readonly source: RepairSource;
  readonly isUnderRepair: boolean;
  readonly clock: Clock;
  /** Age of the oldest unfinished log write. */
  readonly pendingMs: () => number;
  readonly onEvent: (event: RepairServiceEvent) => void;
  /** A bug, or the disk. */
  readonly onFatal: (error: unknown) => void;
}

export type RepairServiceEvent =
  | {
      readonly kind: 'repairServed';
      readonly to: string;
      readonly firstIndex: number;
      readonly lastIndex: number;
    }
  | { readonly kind: 'repairRefused'; readonly to: string; readonly problem: string }
  /** A healthy node reads rot while it helps another one: it will have to be repaired itself. */
  | { readonly kind: 'repairSourceRotten'; readonly problem: string };

export interface RepairService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** For `server.addService(definition, implementation)`. */
export function repairService(options: RepairServiceOptions): RepairService {
  const giver = new Giver(options);
  return {
    definition: { read: repairMethod() },
    implementation: { read: (call: ReadCall) => giver.answer(call) },
  };
}

type ReadCall = ServerWritableStream<RepairRead, RepairFrame>;

class Giver {
  readonly #options: RepairServiceOptions;
  #openCount = 0;
  #lastTurn: Promise<void> = Promise.resolve();
  /** Monotonic: from then on the rate allows the next answer. */
  #freeAtMs = 0;

  constructor(options: RepairServiceOptions) {
    this.#options = options;
  }

  answer(call: ReadCall): void {
    const { onFatal, onEvent, source } = this.#options;
    // An asker that went away while it was answered.
    call.on('error', () => {});
    const problem = problemOf(call.request, source);
    if (problem !== null) {
      onEvent({ kind: 'repairRefused', to: call.request.nodeId, problem });
      refuse(call, status.FAILED_PRECONDITION, problem);
      return;
    }
    if (this.#openCount >= REPAIR_READS_MAX) {
      refuse(call, status.RESOURCE_EXHAUSTED, `${this.#openCount} other questions wait`);
      return;
    }
    this.#openCount += 1;
    this.#lastTurn = this.#lastTurn
      .then(() => this.#give(call))
      .catch(onFatal)
      .finally(() => {
        this.#openCount -= 1;
      });
  }

  async #give(call: ReadCall): Promise<void> {
    const { source, isUnderRepair, onEvent, clock } = this.#options;
    if (call.cancelled) return;
    await this.#waitForRate();
    await this.#yieldToWrites();
    if (call.cancelled) return;
    const startMs = clock.monotonicMs();
    const answer = await this.#read(call.request);
    const { entries, committed, firstIndex } = answer;
    const bytes = joinBytes(entries.map((entry) => entry.bytes));
    const { nodeId, storeUuid } = source.identity;
    const facts = { committed, sizeBytes: bytes.length, isUnderRepair, firstIndex };
    call.write({ kind: 'head', head: { nodeId, storeUuid, ...facts } });
    for (let at = 0; at < bytes.length; at += REPAIR_FRAME_SIZE_BYTES_MAX) {
      call.write({ kind: 'entries', bytes: bytes.subarray(at, at + REPAIR_FRAME_SIZE_BYTES_MAX) });
    }
    call.end();
    // A timer that came late costs nothing of the rate.
    const fromMs = Math.max(this.#freeAtMs, startMs - REPAIR_RATE_SLACK_MS);
    this.#freeAtMs = fromMs + (bytes.length * 1000) / REPAIR_BYTES_PER_SECOND_MAX;
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined) return;
    const range = { firstIndex: first.desc.index, lastIndex: last.desc.index };
    onEvent({ kind: 'repairServed', to: call.request.nodeId, ...range });
  }

  async #read(read: RepairRead): Promise<RepairAnswer> {
    const { source, onEvent } = this.#options;
    const from = LogIndex(read.firstIndex);
    const to = LogIndex(read.lastIndex);
    const sizeBytesMax = Math.min(read.sizeBytesMax, REPAIR_READ_SIZE_BYTES_MAX);
    try {
      return await source.read({ from, to, anchor: read.fromEnd ? 'last' : 'first', sizeBytesMax });
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      onEvent({ kind: 'repairSourceRotten', problem: error.message });
      throw new FatalError('logDamaged', error.message, { cause: error });
    }
  }

  async #waitForRate(): Promise<void> {
    const waitMs = this.#freeAtMs - this.#options.clock.monotonicMs();
    if (waitMs > 0) await this.#pause(Math.ceil(waitMs));
  }

  async #yieldToWrites(): Promise<void> {
    const { pendingMs } = this.#options;
    for (let pauses = 0; pauses < REPAIR_YIELD_PAUSES_MAX; pauses++) {
      if (pendingMs() <= REPAIR_YIELD_PENDING_MS) return;
      await this.#pause(REPAIR_YIELD_PAUSE_MS);
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.setTimer(delayMs, resolve);
    });
  }
}

/** Bytes of another log would pass every check but the chain. */
function problemOf(read: RepairRead, { identity }: RepairSource): string | null {
  const { clusterId, groupId, nodeId, segmentSizeBytes } = identity;
  if (read.clusterId !== clusterId || read.groupId !== groupId) {
    return `This node is of ${clusterId}/${groupId}, not of ${read.clusterId}/${read.groupId}`;
  }
  if (read.segmentSizeBytes !== segmentSizeBytes) {
    return `This node has segments of ${segmentSizeBytes} bytes, not of ${read.segmentSizeBytes}`;
  }
  return read.nodeId === nodeId ? `This node is ${nodeId} itself` : null;
}

function refuse(call: ReadCall, code: status, details: string): void {
  call.emit('error', { code, details });
}
