/**
 * What others are told to connect to, checked by connecting to it: a wrong address is found at start by
 * a line in the log instead of at night by every client. Never fatal, for not every machine reaches
 * itself by the name that others use.
 */
import { Term } from '../base/units.ts';
import { BrokerCallFailure, createBrokerCallClient } from '../client/broker-call-client.ts';
import { hostOf, isLiteralAddress, portOf } from '../config/broker-settings.ts';
import { reachProblem, resolvedHost } from '../io/node/reach-probe.ts';
import type { BrokerOptions } from './broker-options.ts';
import type { Logger } from './logger.ts';

const REACH_TIMEOUT_MS = 2_000;

/** The literal that is stored in messages as the place where they were taken in. */
export async function storeHostOf({ advertised, grpc }: BrokerOptions): Promise<string> {
  if (isLiteralAddress(advertised.grpc)) return advertised.grpc;
  const host = await resolvedHost(hostOf(advertised.grpc));
  return host === null ? grpc : `${host}:${portOf(advertised.grpc)}`;
}

/** Resolves when each address was tried. Requires that all listeners are open. */
export async function checkAdvertised(
  { advertised, grpc, raft, http }: BrokerOptions,
  storeUuid: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const fields = { event: 'process.advertised', ...advertised, listening: { grpc, raft, http } };
  logger.info(fields, 'What clients, peers and name servers are told to connect to');
  const problems = await Promise.all([
    reachOf(advertised.grpc).then((why) => [`clients are told ${advertised.grpc}`, why] as const),
    otherThanMe(advertised.raft, storeUuid, signal).then(
      (why) => [`peers are told ${advertised.raft}`, why] as const,
    ),
    reachOf(advertised.http).then((why) => [`monitoring is told ${advertised.http}`, why] as const),
  ]);
  if (signal.aborted) return;
  for (const [told, why] of problems) {
    if (why === null) continue;
    const hint = 'it may be right all the same if this machine cannot reach itself so';
    logger.warn(
      { event: 'process.unreachable_advertised', told, why, hint },
      'Cannot reach myself',
    );
  }
}

function reachOf(address: string): Promise<string | null> {
  return reachProblem(hostOf(address), portOf(address), REACH_TIMEOUT_MS);
}

/** Peers would talk to whoever answers there: it has to be this very store. */
async function otherThanMe(
  address: string,
  storeUuid: string,
  signal: AbortSignal,
): Promise<string | null> {
  const reach = await reachOf(address);
  if (reach !== null || signal.aborted) return reach;
  const client = createBrokerCallClient(address);
  try {
    const request = { kind: 'status' as const };
    const call = { remainingMs: REACH_TIMEOUT_MS, hops: 0, leaderTerm: Term(0), retried: false };
    const reply = await client.call({ ...call, request }, signal);
    if (reply.kind !== 'answer' || reply.response.kind !== 'status') {
      return `who answers there does not say who it is (${reply.kind})`;
    }
    const { status } = reply.response;
    if (status.storeUuid === storeUuid) return null;
    return `node ${status.nodeId} of group ${status.groupId} answers there`;
  } catch (error) {
    if (!(error instanceof BrokerCallFailure)) throw error;
    return error.message;
  } finally {
    client.close();
  }
}
