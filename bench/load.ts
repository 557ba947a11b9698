/**
 * A closed loop with a fixed number of requests in flight, and what it saw.
 *
 * A closed loop sends nothing while it waits, so a stall costs as many samples as there are requests
 * in flight, not one per request that an outside world would have sent: read p99.9 and the maximum
 * with that in mind. What is still under way at the end is waited for and its latency counts; the rate
 * counts what was answered inside the measured time.
 */
import { createHistogram } from 'node:perf_hooks';

const NS_PER_MS = 1e6;
const MS_PER_S = 1000;

export interface LoadPlan {
  readonly inFlight: number;
  readonly seconds: number;
  /** Not measured: connections, JIT and caches settle. */
  readonly warmUpSeconds: number;
  /** Messages that one request carries. */
  readonly messagesPerRequest: number;
}

export interface LoadResult {
  readonly messages: number;
  readonly messagesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** @param request one request; rejects when it was not acknowledged, which ends the run. */
export async function runLoad(plan: LoadPlan, request: () => Promise<void>): Promise<LoadResult> {
  const histogram = createHistogram();
  const startMs = performance.now();
  const measureFromMs = startMs + plan.warmUpSeconds * MS_PER_S;
  const endMs = measureFromMs + plan.seconds * MS_PER_S;
  let requests = 0;
  async function lane(): Promise<void> {
    for (;;) {
      const sentAtMs = performance.now();
      if (sentAtMs >= endMs) return;
      await request();
      const doneAtMs = performance.now();
      if (doneAtMs < measureFromMs) continue;
      if (doneAtMs <= endMs) requests++;
      histogram.record(Math.max(1, Math.round((doneAtMs - sentAtMs) * NS_PER_MS)));
    }
  }
  await Promise.all(Array.from({ length: plan.inFlight }, lane));
  const messages = requests * plan.messagesPerRequest;
  const ms = (ns: number): number => ns / NS_PER_MS;
  return {
    messages,
    messagesPerSecond: messages / plan.seconds,
    p50Ms: ms(histogram.percentile(50)),
    p99Ms: ms(histogram.percentile(99)),
    p999Ms: ms(histogram.percentile(99.9)),
    maxMs: ms(histogram.max),
  };
}
