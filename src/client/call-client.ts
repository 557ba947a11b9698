/**
 * The asking side of one unary method on one address of the port for peers and administration. Knows the
 * wire and nothing about leaders.
 */
import {
  type CallOptions,
  Client,
  type ClientUnaryCall,
  credentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { MIB } from '../base/sizes.ts';
import type { MethodDefinition } from '../protocol/schema.ts';
import { DIRECT_CHANNEL } from './limits.ts';
import { shortReason } from './short-reason.ts';

/** A batch of deliveries plus one message of the largest size, with room for its envelope. */
const REPLY_SIZE_BYTES_MAX = 16 * MIB;
const RECONNECT_BACKOFF_MIN_MS = 50;
/** A restarted node is found again within this time. */
const RECONNECT_BACKOFF_MAX_MS = 500;
const KEEPALIVE_PERIOD_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 3_000;

/**
 * `unreachable`: no answer came; the effect of the call is unknown. `timedOut`: the same, after all
 * of the caller's time. `cancelled`: the caller's signal ended it. `unsupported`: it answers, and does not
 * know the method.
 */
export type CallFailureReason = 'unreachable' | 'timedOut' | 'cancelled' | 'unsupported';

export class BrokerCallFailure extends Error {
  override readonly name = 'BrokerCallFailure';
  readonly reason: CallFailureReason;
  constructor(reason: CallFailureReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export interface CallClient<Call, Reply> {
  /**
   * Gives up after `call.remainingMs`, or when the signal aborts.
   * Rejects with BrokerCallFailure only.
   */
  call(call: Call, signal: AbortSignal): Promise<Reply>;
  /** Ends open calls. Idempotent. */
  close(): void;
}

/** @param method whose deserializer makes replies of the type, and nothing else */
export function createCallClient<Call extends { readonly remainingMs: number }, Reply>(
  address: string,
  method: MethodDefinition,
): CallClient<Call, Reply> {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': REPLY_SIZE_BYTES_MAX,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_BACKOFF_MIN_MS,
    'grpc.min_reconnect_backoff_ms': RECONNECT_BACKOFF_MIN_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_BACKOFF_MAX_MS,
    'grpc.keepalive_time_ms': KEEPALIVE_PERIOD_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    ...DIRECT_CHANNEL,
  });
  const open = new Set<ClientUnaryCall>();
  let closed = false;
  return {
    call: (call, signal) =>
      new Promise((resolve, reject) => {
        if (closed || signal.aborted) {
          reject(new BrokerCallFailure('cancelled', `The call to ${address} was cancelled`));
          return;
        }
        const cancel = () => pending.cancel();
        const pending = client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          (bytes) => method.responseDeserialize(bytes) as Reply,
          call,
          optionsOf(call),
          (error, reply) => {
            signal.removeEventListener('abort', cancel);
            open.delete(pending);
            if (error !== null) reject(failureOf(error, address));
            else if (reply !== undefined) resolve(reply);
            else reject(new BrokerCallFailure('unreachable', `${address} sent no answer`));
          },
        );
        open.add(pending);
        signal.addEventListener('abort', cancel, { once: true });
      }),
    close: () => {
      if (closed) return;
      closed = true;
      for (const pending of open) pending.cancel();
      client.close();
    },
  };
}

/** gRPC turns the time of day back into a duration at once, so a clock that jumps later does no harm. */
function optionsOf(call: { readonly remainingMs: number }): CallOptions {
  return { deadline: new Date(Date.now() + Math.max(0, call.remainingMs)) };
}

function failureOf(error: ServiceError, address: string): BrokerCallFailure {
  const message = `${address} did not answer: ${shortReason(error.details)}`;
  return new BrokerCallFailure(reasonOf(error.code), message, { cause: error });
}

function reasonOf(code: status): CallFailureReason {
  switch (code) {
    case status.CANCELLED:
      return 'cancelled';
    case status.DEADLINE_EXCEEDED:
      return 'timedOut';
    case status.UNIMPLEMENTED:
      return 'unsupported';
    default:
      return 'unreachable';
  }
}
