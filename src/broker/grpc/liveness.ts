/**
 * Heartbeat and NotifyClientTermination. Both are OK for clients that this node has never heard of:
 * their streams may be on other nodes, or not be back yet. Some name neither group nor type.
 */
import type { Caller } from './caller.ts';
import type { Environment } from './environment.ts';
import { OK } from './status-codes.ts';
import type { UnaryResponse } from './unary.ts';

export async function heartbeat(
  { clients }: Environment,
  _request: object,
  { clientId }: Caller,
): Promise<UnaryResponse> {
  clients.heartbeat(clientId);
  return { status: OK };
}

export async function notifyClientTermination(
  { clients }: Environment,
  _request: object,
  { clientId }: Caller,
): Promise<UnaryResponse> {
  clients.terminated(clientId);
  return { status: OK };
}
