/** The asking side of verification on one node after the other (proto/mqraft/verify.proto). */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { LogIndex } from '../base/units.ts';
import {
  type VerifyFrame,
  type VerifyProgress,
  type VerifyRun,
  type VerifyVerdict,
  verifyMethods,
} from '../protocol/verify-codec.ts';
import { VERIFY_KEEPALIVE_MS } from './limits.ts';

/** Answers that are texts say why there is none. */
export interface VerifyClient {
  /** At the leader; null: the node does not lead. Never rejects. */
  checkpoint(address: string, timeoutMs: number): Promise<LogIndex | null | string>;
  /** Takes as long as the node needs. Never rejects. */
  run(
    address: string,
    run: VerifyRun,
    onProgress: (progress: VerifyProgress) => void,
    signal: AbortSignal,
  ): Promise<VerifyVerdict | string>;
}

/** A connection for each question. */
export function createVerifyClient(): VerifyClient {
  return { checkpoint, run };
}

/** A node that hangs is noticed, however long a run takes. */
const CHANNEL_OPTIONS = {
  'grpc.keepalive_time_ms': VERIFY_KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': VERIFY_KEEPALIVE_MS,
  'grpc.enable_retries': 0,
};

function checkpoint(address: string, timeoutMs: number): Promise<LogIndex | null | string> {
  const { checkpoint: method } = verifyMethods();
  const client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      {},
      { deadline: new Date(Date.now() + timeoutMs) },
      (error, reply) => {
        client.close();
        if (error !== null) resolve(error.details);
        else resolve(reply?.value ?? null);
      },
    );
  });
}

function run(
  address: string,
  request: VerifyRun,
  onProgress: (progress: VerifyProgress) => void,
  signal: AbortSignal,
): Promise<VerifyVerdict | string> {
  const { run: method } = verifyMethods();
  const client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
  return new Promise((resolve) => {
    const call = client.makeServerStreamRequest<VerifyRun, VerifyFrame>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
    );
    const onAbort = (): void => call.cancel();
    const end = (outcome: VerifyVerdict | string): void => {
      signal.removeEventListener('abort', onAbort);
      client.close();
      resolve(outcome);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    let verdict: VerifyVerdict | null = null;
    call.on('data', (frame: VerifyFrame) => {
      if (frame.kind === 'progress') onProgress(frame.progress);
      else verdict = frame.verdict;
    });
    call.on('error', (error: ServiceError) => end(error.details));
    call.on('end', () => end(verdict ?? 'The answer ended without a verdict'));
  });
}
