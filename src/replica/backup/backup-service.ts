/** The giving side of backups on the wire. */
import {
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Clock } from '../../io/clock.ts';
import { type BackupNode, BackupNodeFailure } from '../../protocol/backup.ts';
import { backupMethods } from '../../protocol/backup-codec.ts';
import { BACKUP_STALL_MS_MAX } from './limits.ts';

export interface BackupService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/**
 * For `server.addService(definition, implementation)`.
 * @param onFatal a bug, or the disk
 */
export function backupService(
  desk: BackupNode,
  clock: Clock,
  onFatal: (error: unknown) => void,
): BackupService {
  const unary =
    <Request, Response>(answer: (request: Request, signal: AbortSignal) => Promise<Response>) =>
    (call: ServerUnaryCall<Request, Response>, done: sendUnaryData<Response>): void => {
      const ending = new AbortController();
      call.on('cancelled', () => ending.abort());
      answer(call.request, ending.signal).then(
        (response) => done(null, response),
        (error: unknown) => {
          if (error instanceof BackupNodeFailure) done(reasonOf(error));
          else onFatal(error);
        },
      );
    };
  const streaming =
    <Request>(chunks: (request: Request, signal: AbortSignal) => AsyncIterable<Uint8Array>) =>
    (call: ServerWritableStream<Request, Uint8Array>): void => {
      const ending = new AbortController();
      const end = (): void => ending.abort();
      call.on('cancelled', end);
      // A receiver that went away while it was given something.
      call.on('error', end);
      give(call, chunks(call.request, ending.signal), clock, ending.signal).catch(onFatal);
    };
  return {
    definition: { ...backupMethods() },
    implementation: {
      mark: unary((_: object, signal) => desk.mark(signal)),
      begin: unary(desk.begin.bind(desk)),
      snapshot: streaming(desk.snapshotChunks.bind(desk)),
      entries: streaming(desk.entries.bind(desk)),
    },
  };
}

async function give<Request>(
  call: ServerWritableStream<Request, Uint8Array>,
  chunks: AsyncIterable<Uint8Array>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (signal.aborted) return;
      // At most one chunk is on its way: memory stays bounded, and a slow receiver holds up nobody.
      if (!call.write(chunk) && !(await drained(call, clock, signal))) {
        call.emit('error', { code: status.ABORTED, details: 'Nothing was taken for too long' });
        return;
      }
    }
    call.end();
  } catch (error) {
    if (!(error instanceof BackupNodeFailure)) throw error;
    call.emit('error', reasonOf(error));
  }
}

/** @returns false when the receiver takes nothing any more */
function drained(
  call: ServerWritableStream<unknown, Uint8Array>,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isDrained: boolean): void => {
      timer.cancel();
      call.off('drain', onDrain);
      signal.removeEventListener('abort', onAbort);
      resolve(isDrained);
    };
    const onDrain = (): void => settle(true);
    const onAbort = (): void => settle(false);
    const timer = clock.setTimer(BACKUP_STALL_MS_MAX, () => settle(false));
    call.once('drain', onDrain);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function reasonOf({ reason, message }: BackupNodeFailure) {
  const code = reason === 'gone' ? status.NOT_FOUND : status.FAILED_PRECONDITION;
  return { code, details: message };
}
