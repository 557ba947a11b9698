/**
 * Asks every member how it is, all at once and for a second at most. Who does not answer is not waited
 * for: that it is silent is the answer.
 */

import type { NodeId } from '../../base/units.ts';
import { BrokerCallFailure } from '../../client/broker-call-client.ts';
import type { Clock } from '../../io/clock.ts';
import { type AdminReply, NO_OPTIONS } from '../../protocol/admin.ts';
import type { MemberHealth, NodeHealth } from '../../protocol/admin-report.ts';
import type { Member } from '../../raft/membership.ts';
import type { Replica } from '../../replica/replica.ts';
import type { AdminTransport } from './admin-ports.ts';
import { HEALTH_ASK_MS_MAX } from './limits.ts';

export type Answers = ReadonlyMap<NodeId, MemberHealth>;

export interface SurveyOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly transport: AdminTransport;
  readonly ownHealth: () => NodeHealth;
}

/** @param isAsked who else is passed over, as if it were no member */
export async function surveyMembers(
  options: SurveyOptions,
  isAsked: (nodeId: NodeId) => boolean,
): Promise<Answers> {
  const { nodeId, membership } = options.replica.status();
  const members = membership.membership.members.filter((member) => isAsked(member.nodeId));
  const answers = await Promise.all(
    members.map((member) => (member.nodeId === nodeId ? ownAnswer(options) : ask(member, options))),
  );
  return new Map(answers.map((answer) => [answer.nodeId, answer]));
}

function ownAnswer({ ownHealth }: SurveyOptions): MemberHealth {
  const health = ownHealth();
  return { nodeId: health.nodeId, health, silence: '', clockSkewMs: 0, roundTripMs: 0 };
}

async function ask(member: Member, options: SurveyOptions): Promise<MemberHealth> {
  const { clock, replica, transport } = options;
  const { nodeId } = member;
  const address = replica.addressesOf(nodeId)?.raft ?? member.raftAddress;
  const controller = new AbortController();
  const timer = clock.setTimer(HEALTH_ASK_MS_MAX, () => controller.abort());
  const askedAtMs = clock.monotonicMs();
  try {
    const call = {
      ...{ remainingMs: HEALTH_ASK_MS_MAX, hops: 1, stale: true, options: NO_OPTIONS },
      request: { kind: 'health' },
    } as const;
    const reply = await transport.call(address, call, controller.signal);
    const roundTripMs = clock.monotonicMs() - askedAtMs;
    return answerOf(nodeId, reply, clock.wallMs(), roundTripMs);
  } catch (error) {
    if (!(error instanceof BrokerCallFailure)) throw error;
    return silent(nodeId, error.message);
  } finally {
    timer.cancel();
  }
}

function answerOf(
  nodeId: NodeId,
  reply: AdminReply,
  wallMs: number,
  roundTripMs: number,
): MemberHealth {
  if (reply.kind === 'failure') return silent(nodeId, reply.message);
  if (reply.kind !== 'answer' || reply.response.kind !== 'health') {
    return silent(nodeId, 'it answered something else');
  }
  const { health } = reply.response;
  if (health.nodeId !== nodeId) return silent(nodeId, `${health.nodeId} answers at its address`);
  // It looked at its clock half of the way ago.
  const clockSkewMs = health.wallMs + roundTripMs / 2 - wallMs;
  return { nodeId, health, silence: '', clockSkewMs, roundTripMs };
}

function silent(nodeId: NodeId, silence: string): MemberHealth {
  return { nodeId, health: null, silence, clockSkewMs: null, roundTripMs: null };
}
