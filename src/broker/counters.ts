/** What the broker counts; the metrics endpoint reads it. Plain numbers, only ever rising. */
import { BROKER_ERROR_CODES, type BrokerErrorCode } from './verbs.ts';

export interface BrokerCounters {
  /** Messages stored. */
  sent: number;
  /** Messages that were there already; their first outcome was answered. */
  sentDuplicates: number;
  /** Messages handed to consumers, first deliveries and later ones. */
  received: number;
  redelivered: number;
  acknowledged: number;
  deadLettered: number;
  renewed: number;
  /** Messages that retention took from the queues, as decided here. */
  expired: number;
  /** Deliveries of such messages that nobody had acknowledged. */
  expiredInFlight: number;
  /** Calls this node passed to the leader. */
  forwarded: number;
  /** Calls that came in at this node and failed. */
  readonly rejected: Record<BrokerErrorCode, number>;
}

export function newBrokerCounters(): BrokerCounters {
  return {
    sent: 0,
    sentDuplicates: 0,
    received: 0,
    redelivered: 0,
    acknowledged: 0,
    deadLettered: 0,
    renewed: 0,
    expired: 0,
    expiredInFlight: 0,
    forwarded: 0,
    rejected: Object.fromEntries(BROKER_ERROR_CODES.map((code) => [code, 0])) as Record<
      BrokerErrorCode,
      number
    >,
  };
}
