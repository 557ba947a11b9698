/**
 * Who calls, from the metadata of a call. The client id is all that is required. `x-mq-language` is
 * free text (the Node client says HTTP) and the authorization header is not looked at: this release
 * authenticates nobody.
 */
import type { Metadata } from '@grpc/grpc-js';
import { NAME_LIMITS } from '../limits.ts';
import { normalizedPeer } from './addresses.ts';
import { CODE, StatusError } from './status-codes.ts';

export interface Caller {
  readonly clientId: string;
  /** Fills in where a resource names no namespace; empty for none. */
  readonly namespace: string;
  /** `ip:port` of the other end. */
  readonly peer: string;
}

/** The parts of any gRPC server call that name its caller. */
export interface IncomingCall {
  readonly metadata: Metadata;
  getPeer(): string;
}

/** @throws StatusError without a usable client id. */
export function callerOf(call: IncomingCall): Caller {
  const clientId = headerText(call.metadata, 'x-mq-client-id');
  if (clientId === '') {
    throw new StatusError(CODE.clientIdRequired, 'The header x-mq-client-id is missing or blank');
  }
  const { clientIdLengthMax } = NAME_LIMITS;
  if (clientId.length > clientIdLengthMax) {
    throw new StatusError(
      CODE.badRequest,
      `The client id has ${clientId.length} characters; at most ${clientIdLengthMax} are possible`,
    );
  }
  return {
    clientId,
    namespace: headerText(call.metadata, 'x-mq-namespace'),
    peer: normalizedPeer(call.getPeer()),
  };
}

function headerText(metadata: Metadata, name: string): string {
  const value = metadata.get(name)[0];
  return typeof value === 'string' ? value.trim() : '';
}
