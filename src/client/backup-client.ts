/** A serving node as a backup sees it, over the port for peers and administration. */
import {
  Client,
  type ClientReadableStream,
  credentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../io/clock.ts';
import { type BackupNode, BackupNodeFailure } from '../protocol/backup.ts';
import { backupMethods } from '../protocol/backup-codec.ts';
import {
  BACKUP_BEGIN_TIMEOUT_MS,
  BACKUP_MARK_TIMEOUT_MS,
  BACKUP_MESSAGE_SIZE_BYTES_MAX,
  BACKUP_SILENCE_MS_MAX,
  DIRECT_CHANNEL,
} from './limits.ts';

export interface BackupNodeClient extends BackupNode {
  /** Ends open calls. Idempotent. */
  close(): void;
}

interface UnaryMethod<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** @param address `host:port` */
export function createBackupNode(address: string, name: string, clock: Clock): BackupNodeClient {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': BACKUP_MESSAGE_SIZE_BYTES_MAX,
    ...DIRECT_CHANNEL,
  });
  const methods = backupMethods();
  const stream = <Request>(
    method: UnaryMethod<Request, Uint8Array>,
    request: Request,
    signal: AbortSignal,
  ) =>
    chunksOf(
      client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
      ),
      { name, clock, signal },
    );
  return {
    name,
    mark: (signal) => ask(client, methods.mark, {}, { timeoutMs: BACKUP_MARK_TIMEOUT_MS, signal }),
    begin: (begin, signal) =>
      ask(client, methods.begin, begin, { timeoutMs: BACKUP_BEGIN_TIMEOUT_MS, signal }),
    snapshotChunks: (pull, signal) => stream(methods.snapshot, pull, signal),
    entries: (pull, signal) => stream(methods.entries, pull, signal),
    close: () => client.close(),
  };
}

function ask<Request, Response>(
  client: Client,
  method: UnaryMethod<Request, Response>,
  request: Request,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => call.cancel();
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      // gRPC turns the time of day back into a duration at once.
      { deadline: new Date(Date.now() + timeoutMs) },
      (error: ServiceError | null, response?: Response) => {
        signal.removeEventListener('abort', cancel);
        if (error === null && response !== undefined) resolve(response);
        else reject(failureOf(error));
      },
    );
    signal.addEventListener('abort', cancel, { once: true });
  });
}

interface Reading {
  readonly name: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A node that says nothing for too long counts as lost: a connection may die without a word. */
async function* chunksOf(
  call: ClientReadableStream<Uint8Array>,
  { name, clock, signal }: Reading,
): AsyncGenerator<Uint8Array> {
  let isSilent = false;
  const cancel = (): void => call.cancel();
  const listen = () =>
    clock.setTimer(BACKUP_SILENCE_MS_MAX, () => {
      isSilent = true;
      cancel();
    });
  signal.addEventListener('abort', cancel, { once: true });
  let timer = listen();
  try {
    for await (const chunk of call) {
      timer.cancel();
      yield chunk as Uint8Array; // what responseDeserialize makes
      timer = listen();
    }
  } catch (error) {
    if (isSilent) throw new BackupNodeFailure('lost', `${name} has gone silent`, { cause: error });
    throw failureOf(error);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}

/** @returns what is thrown: anything that is not of gRPC is a bug, and stays what it is */
function failureOf(error: unknown): Error {
  if (!isServiceError(error)) return error instanceof Error ? error : new Error(String(error));
  const { code, details } = error;
  const options = { cause: error };
  if (code === status.NOT_FOUND) return new BackupNodeFailure('gone', details, options);
  if (code === status.FAILED_PRECONDITION) {
    return new BackupNodeFailure('refused', details, options);
  }
  const isOld = code === status.UNIMPLEMENTED;
  const why = isOld ? 'its program gives no backups' : details;
  return new BackupNodeFailure(isOld ? 'refused' : 'lost', why, options);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error;
}
