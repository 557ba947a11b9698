/**
 * The asking side of Admin.Call on one address: the command line, a joining process and forwarding nodes
 * use it. Knows the wire and nothing about leaders: the asked node forwards.
 */
import {
  Client,
  type ClientUnaryCall,
  credentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { MIB } from '../base/sizes.ts';
import type { AdminCall, AdminReply } from '../protocol/admin.ts';
import { adminServiceDefinition } from '../protocol/admin-codec.ts';
import { BrokerCallFailure } from './broker-call-client.ts';

/** A thousand audit events, with room. */
const REPLY_SIZE_BYTES_MAX = 4 * MIB;
const RECONNECT_BACKOFF_MIN_MS = 50;
/** A restarted node is found again within this time. */
const RECONNECT_BACKOFF_MAX_MS = 500;

export interface AdminClient {
  /**
   * Gives up after `call.remainingMs`, or when the signal aborts.
   * Rejects with BrokerCallFailure only: no answer came, and the effect of a change is unknown.
   */
  call(call: AdminCall, signal: AbortSignal): Promise<AdminReply>;
  /** Ends open calls. Idempotent. */
  close(): void;
}

/** @param address `host:port` of a broker's port for peers and administration */
export function createAdminClient(address: string): AdminClient {
  const { call: method } = adminServiceDefinition();
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': REPLY_SIZE_BYTES_MAX,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_BACKOFF_MIN_MS,
    'grpc.min_reconnect_backoff_ms': RECONNECT_BACKOFF_MIN_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_BACKOFF_MAX_MS,
    'grpc.enable_retries': 0,
  });
  const open = new Set<ClientUnaryCall>();
  let isClosed = false;
  return {
    call: (call, signal) =>
      new Promise((resolve, reject) => {
        if (isClosed || signal.aborted) {
          reject(new BrokerCallFailure('cancelled', `The call to ${address} was cancelled`));
          return;
        }
        const cancel = () => pending.cancel();
        const pending = client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          // The definition deserializes replies and nothing else.
          (bytes) => method.responseDeserialize(bytes) as AdminReply,
          call,
          { deadline: new Date(Date.now() + Math.max(0, call.remainingMs)) },
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
      if (isClosed) return;
      isClosed = true;
      for (const pending of open) pending.cancel();
      client.close();
    },
  };
}

function failureOf(error: ServiceError, address: string): BrokerCallFailure {
  const message = `${address} did not answer: ${error.details}`;
  switch (error.code) {
    case status.CANCELLED:
      return new BrokerCallFailure('cancelled', message, { cause: error });
    case status.DEADLINE_EXCEEDED:
      return new BrokerCallFailure('timedOut', message, { cause: error });
    default:
      return new BrokerCallFailure('unreachable', message, { cause: error });
  }
}
