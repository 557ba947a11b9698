/**
 * RPCs of the protocol that this release does not serve. They exist, so that a client is told so in
 * words: an unknown method would look like a broken connection to it.
 */
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Environment } from './environment.ts';
import { CODE } from './status-codes.ts';
import type { UnaryResponse } from './unary.ts';
import type { Status } from './wire-types.ts';

export function notImplemented(rpc: string): Promise<UnaryResponse> {
  return Promise.resolve({ status: refusalOf(rpc) });
}

export function pullMessage(
  environment: Environment,
): (call: ServerWritableStream<object, UnaryResponse>) => void {
  return (call) => {
    const status = refusalOf('PullMessage');
    environment.counters.countRejection(status.code);
    call.write({ status });
    call.end();
  };
}

function refusalOf(rpc: string): Status {
  return { code: CODE.notImplemented, message: `${rpc} is not there yet in this release` };
}
