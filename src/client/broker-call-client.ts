/**
 * The asking side of Broker.Call on one address: brokers forward with it, the command line inspects
 * with it. Knows the wire and nothing about leaders.
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
import { type BrokerCall, brokerServiceDefinition } from '../protocol/verb-codec.ts';
import type { BrokerReply } from '../protocol/verbs.ts';
import { DIRECT_CHANNEL } from './limits.ts';

/** A batch of deliveries plus one message of the largest size, with room for its envelope. */
const REPLY_SIZE_BYTES_MAX = 16 * MIB;
const RECONNECT_BACKOFF_MIN_MS = 50;
/** A restarted node is found again within this time. */
const RECONNECT_BACKOFF_MAX_MS = 500;
const KEEPALIVE_PERIOD_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 3_000;

/**
 * `unreachable`: no answer came; the effect of the call is unknown. `timedOut`: the same, after all
 * of the caller's time. `cancelled`: the caller's signal ended it.
 */
export type CallFailureReason = 'unreachable' | 'timedOut' | 'cancelled';

export class BrokerCallFailure extends Error {
  override readonly name = 'BrokerCallFailure';
  readonly reason: CallFailureReason;
  constructor(reason: CallFailureReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export interface BrokerCallClient {
  /**
   * Gives up after `call.remainingMs`, or when the signal aborts.
   * Rejects with BrokerCallFailure only.
   */
  call(call: BrokerCall, signal: AbortSignal): Promise<BrokerReply>;
  /** Ends open calls. Idempotent. */
  close(): void;
}

/** @param address `host:port` of a broker's port for peers and administration */
export function createBrokerCallClient(address: string): BrokerCallClient {
  const { call: method } = brokerServiceDefinition();
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
          // The definition deserializes replies and nothing else.
          (bytes) => method.responseDeserialize(bytes) as BrokerReply,
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
function optionsOf(call: BrokerCall): CallOptions {
  return { deadline: new Date(Date.now() + Math.max(0, call.remainingMs)) };
}

function failureOf(error: ServiceError, address: string): BrokerCallFailure {
  const message = `${address} did not answer: ${error.details}`;
  if (error.code === status.CANCELLED) {
    return new BrokerCallFailure('cancelled', message, { cause: error });
  }
  if (error.code === status.DEADLINE_EXCEEDED) {
    return new BrokerCallFailure('timedOut', message, { cause: error });
  }
  return new BrokerCallFailure('unreachable', message, { cause: error });
}
