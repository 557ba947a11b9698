/** Verifying on demand, on the wire: proto/mqraft/verify.proto. */
import { LogIndex } from '../base/units.ts';
import { CodecError, type MethodDefinition, messageCodec, serviceDefinition } from './schema.ts';
import { checkedInteger, checkedWord, optionalOf, required } from './verb-wire.ts';

export interface VerifyRun {
  /** null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
  readonly skipsDerived: boolean;
  /** To be applied before anything is compared. */
  readonly checkpointIndex: LogIndex | null;
}

export const VERIFY_PHASES = ['log', 'derived', 'rows'] as const;

export interface VerifyProgress {
  readonly phase: (typeof VERIFY_PHASES)[number];
  /** Bytes, or rows. */
  readonly done: number;
  /** null: not known. */
  readonly total: number | null;
}

/** What a replica is at a checkpoint: the entry before it, its header's CRC, and the digest of state. */
export interface NodeStanding {
  readonly index: LogIndex;
  readonly headerCrc: number;
  readonly digest: string;
}

export interface VerifiedLog {
  readonly firstIndex: LogIndex;
  /** All entries up to it are good. */
  readonly goodIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly readBytes: number;
  readonly isFromDevice: boolean;
  readonly damageCount: number;
  /** The first ones. */
  readonly damages: readonly string[];
}

export const STATE_OUTCOMES = ['same', 'differs', 'skipped'] as const;

export interface VerifiedState {
  readonly outcome: (typeof STATE_OUTCOMES)[number];
  readonly index: LogIndex;
  readonly rowCount: number;
  readonly differenceCount: number;
  /** The first differences, or why it was skipped. */
  readonly details: readonly string[];
}

export interface VerifyVerdict {
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly log: VerifiedLog;
  readonly standings: readonly NodeStanding[];
  readonly state: VerifiedState;
}

export type VerifyFrame =
  | { readonly kind: 'progress'; readonly progress: VerifyProgress }
  | { readonly kind: 'verdict'; readonly verdict: VerifyVerdict };

interface WireRun {
  readonly bytesPerSecond: number;
  readonly skipDerived: boolean;
  readonly checkpointIndex: number;
}

interface WireProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

interface WireStanding {
  readonly index: number;
  readonly headerCrc: number;
  readonly digest: string;
}

interface WireVerdict {
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly log: WireLog | null;
  readonly standings: readonly WireStanding[];
  readonly state: WireState | null;
}

interface WireLog {
  readonly firstIndex: number;
  readonly goodIndex: number;
  readonly lastIndex: number;
  readonly readBytes: number;
  readonly fromDevice: boolean;
  readonly damageCount: number;
  readonly damages: readonly string[];
}

interface WireState {
  readonly outcome: string;
  readonly index: number;
  readonly rowCount: number;
  readonly differenceCount: number;
  readonly details: readonly string[];
}

interface WireFrame {
  readonly progress?: WireProgress;
  readonly verdict?: WireVerdict;
}

const runCodec = messageCodec<WireRun>('mqraft.VerifyRun');
const frameCodec = messageCodec<WireFrame>('mqraft.VerifyFrame');
const checkpointCodec = messageCodec<{ readonly index?: number }>('mqraft.CheckpointReply');
const standingCallCodec = messageCodec<{ readonly index: number }>('mqraft.StandingCall');
const standingCodec = messageCodec<{ readonly standing?: WireStanding }>('mqraft.StandingReply');

export function encodeVerifyRun(run: VerifyRun): Uint8Array {
  return runCodec.encode({
    bytesPerSecond: run.bytesPerSecond ?? 0,
    skipDerived: run.skipsDerived,
    checkpointIndex: run.checkpointIndex ?? 0,
  });
}

/** @throws CodecError when the bytes are no such call */
export function decodeVerifyRun(bytes: Uint8Array): VerifyRun {
  const wire = runCodec.decode(bytes);
  const bytesPerSecond = checkedInteger(wire.bytesPerSecond, 'bytes_per_second');
  const checkpointIndex = checkedInteger(wire.checkpointIndex, 'checkpoint_index');
  return {
    bytesPerSecond: bytesPerSecond === 0 ? null : bytesPerSecond,
    skipsDerived: wire.skipDerived,
    checkpointIndex: checkpointIndex === 0 ? null : LogIndex(checkpointIndex),
  };
}

export function encodeVerifyFrame(frame: VerifyFrame): Uint8Array {
  if (frame.kind === 'progress') {
    const { phase, done, total } = frame.progress;
    return frameCodec.encode({ progress: { phase, done, total: total ?? 0 } });
  }
  const { log, ...rest } = frame.verdict;
  const { isFromDevice: fromDevice, ...numbers } = log;
  return frameCodec.encode({ verdict: { ...rest, log: { ...numbers, fromDevice } } });
}

/** @throws CodecError when the bytes are no such frame */
export function decodeVerifyFrame(bytes: Uint8Array): VerifyFrame {
  const { progress, verdict } = frameCodec.decode(bytes);
  if (progress) return { kind: 'progress', progress: progressOf(progress) };
  if (verdict) return { kind: 'verdict', verdict: verdictOf(verdict) };
  throw new CodecError('A frame of a verification is empty');
}

export function encodeCheckpointReply(index: LogIndex | null): Uint8Array {
  return checkpointCodec.encode(index === null ? {} : { index });
}

/** @throws CodecError */
export function decodeCheckpointReply(bytes: Uint8Array): LogIndex | null {
  const index = optionalOf(checkpointCodec.decode(bytes), 'index');
  return index === null ? null : indexOf(index, 'index');
}

export function encodeStandingCall(index: LogIndex): Uint8Array {
  return standingCallCodec.encode({ index });
}

/** @throws CodecError */
export function decodeStandingCall(bytes: Uint8Array): LogIndex {
  return indexOf(standingCallCodec.decode(bytes).index, 'index');
}

export function encodeStandingReply(standing: NodeStanding | null): Uint8Array {
  return standingCodec.encode(standing === null ? {} : { standing });
}

/** @throws CodecError */
export function decodeStandingReply(bytes: Uint8Array): NodeStanding | null {
  const { standing } = standingCodec.decode(bytes);
  return standing ? standingOf(standing) : null;
}

type Method<Call, Reply> = Pick<MethodDefinition, 'path' | 'requestStream' | 'responseStream'> & {
  readonly requestSerialize: (call: Call) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Call;
  readonly responseSerialize: (reply: Reply) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Reply;
};

/** Absent values travel in a box: gRPC takes no null for a message. */
export interface Boxed<T> {
  readonly value: T | null;
}

export interface VerifyMethods {
  readonly run: Method<VerifyRun, VerifyFrame>;
  readonly checkpoint: Method<object, Boxed<LogIndex>>;
  readonly standing: Method<Boxed<LogIndex>, Boxed<NodeStanding>>;
}

export function verifyMethods(): VerifyMethods {
  const service = serviceDefinition('mqraft.Verify');
  const { run, checkpoint, standing } = service as Record<string, MethodDefinition>;
  if (!run || !checkpoint || !standing) throw new CodecError('verify.proto lacks a method');
  return {
    run: {
      ...placeOf(run),
      requestSerialize: (call) => Buffer.from(encodeVerifyRun(call)),
      requestDeserialize: decodeVerifyRun,
      responseSerialize: (frame) => Buffer.from(encodeVerifyFrame(frame)),
      responseDeserialize: decodeVerifyFrame,
    },
    checkpoint: {
      ...placeOf(checkpoint),
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: () => ({}),
      responseSerialize: ({ value }) => Buffer.from(encodeCheckpointReply(value)),
      responseDeserialize: (bytes) => ({ value: decodeCheckpointReply(bytes) }),
    },
    standing: {
      ...placeOf(standing),
      requestSerialize: ({ value }) => Buffer.from(encodeStandingCall(value ?? LogIndex(0))),
      requestDeserialize: (bytes) => ({ value: decodeStandingCall(bytes) }),
      responseSerialize: ({ value }) => Buffer.from(encodeStandingReply(value)),
      responseDeserialize: (bytes) => ({ value: decodeStandingReply(bytes) }),
    },
  };
}

function placeOf({ path, requestStream, responseStream }: MethodDefinition) {
  return { path, requestStream, responseStream };
}

function progressOf({ phase, done, total }: WireProgress): VerifyProgress {
  return {
    phase: checkedWord(phase, VERIFY_PHASES, 'phase'),
    done: checkedInteger(done, 'done'),
    total: total === 0 ? null : checkedInteger(total, 'total'),
  };
}

function verdictOf(wire: WireVerdict): VerifyVerdict {
  const log = required(wire.log, 'log');
  const state = required(wire.state, 'state');
  return {
    nodeId: wire.nodeId,
    storeUuid: wire.storeUuid,
    log: {
      firstIndex: indexOf(log.firstIndex, 'first_index'),
      goodIndex: indexOf(log.goodIndex, 'good_index'),
      lastIndex: indexOf(log.lastIndex, 'last_index'),
      readBytes: checkedInteger(log.readBytes, 'read_bytes'),
      isFromDevice: log.fromDevice,
      damageCount: checkedInteger(log.damageCount, 'damage_count'),
      damages: [...log.damages],
    },
    standings: wire.standings.map(standingOf),
    state: {
      outcome: checkedWord(state.outcome, STATE_OUTCOMES, 'outcome'),
      index: indexOf(state.index, 'index'),
      rowCount: checkedInteger(state.rowCount, 'row_count'),
      differenceCount: checkedInteger(state.differenceCount, 'difference_count'),
      details: [...state.details],
    },
  };
}

function standingOf({ index, headerCrc, digest }: WireStanding): NodeStanding {
  return { index: indexOf(index, 'index'), headerCrc, digest };
}

function indexOf(value: number, field: string): LogIndex {
  return LogIndex(checkedInteger(value, field));
}
