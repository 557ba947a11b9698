/**
 * What a node does when it is told to stop and was not drained before: it hands over, leaves the routes that
 * it gives, and serves on until its clients are elsewhere, or its grace is over.
 */
import type { Admin } from '../broker/admin/admin.ts';
import type { Gateway } from '../broker/gateway.ts';
import type { MessagingEndpoint } from '../broker/grpc/endpoint.ts';
import type { Clock } from '../io/clock.ts';

/** How often it looks whether somebody is left. */
const LOOK_PERIOD_MS = 100;

export interface LeaveOptions {
  readonly admin: Pick<Admin, 'stepAside'>;
  readonly gateway: Pick<Gateway, 'beginStopping' | 'local'>;
  readonly messaging: Pick<MessagingEndpoint, 'departure'>;
  readonly clock: Clock;
  /** 0: not at all. */
  readonly graceMs: number;
}

export async function takeLeave(options: LeaveOptions): Promise<void> {
  const { admin, gateway, messaging, clock, graceMs } = options;
  // Whoever drained it has waited for its clients already.
  const isDrained = gateway.local.isLeaving();
  gateway.beginStopping();
  if (graceMs === 0) return;
  const untilMs = clock.monotonicMs() + graceMs;
  await admin.stepAside();
  if (isDrained) return;
  while (clock.monotonicMs() < untilMs) {
    const { state, userCount } = messaging.departure();
    if (state === 'left' || userCount === 0) return;
    await new Promise<void>((resolve) => {
      clock.setTimer(LOOK_PERIOD_MS, resolve);
    });
  }
}
