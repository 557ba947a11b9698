/**
 * Where the log may begin: a pure decision over the applied state and what the replica says of its log.
 * Whole segments go, oldest first, as far as all of this holds:
 * - everything that goes is older than the age limit; or what stays is at least the size limit, and
 *   no group has anything of it left to consume: unconsumed data goes by age alone;
 * - no topic with a minimum of its own loses a message that is younger;
 * - the replica needs nothing of it any more: neither for itself nor for its peers (H17).
 *
 * How full the disk is does not matter here, except that the replica then waits for no peer. A full disk
 * refuses messages; it deletes none.
 */
import { advance, type PhysicalOffset, QueueOffset } from '../../base/units.ts';
import type { LogExtent, SegmentExtent } from '../../replica/replica.ts';
import type { DerivedState, TopicConfig } from '../../store/derived/derived-state.ts';

export interface RetentionLimits {
  /** null: by age nothing goes. */
  readonly ageMsMax: number | null;
  /** Bytes of log that stay at least; null: by size nothing goes. */
  readonly sizeBytesMax: number | null;
}

export type { LogExtent };
export type SegmentStart = SegmentExtent;

export interface LogStartDecision {
  readonly start: SegmentStart;
  readonly reason: 'age' | 'size';
}

export interface DecisionOptions {
  readonly state: DerivedState;
  readonly extent: LogExtent;
  readonly limits: RetentionLimits;
  readonly nowMs: number;
}

/** @returns null when the log stays as it is */
export function decideLogStart(options: DecisionOptions): LogStartDecision | null {
  const { state, extent, limits, nowMs } = options;
  const starts = extent.segments.filter(({ firstIndex, physicalOffset }) => {
    const isAhead = physicalOffset > state.logStart.offset && firstIndex > state.logStart.index;
    return isAhead && firstIndex <= extent.removableBefore && firstIndex <= state.appliedIndex;
  });
  if (starts.length === 0) return null;
  const protectedFrom = firstProtectedOffset(state, nowMs);
  const allowed = starts.filter(({ physicalOffset }) => physicalOffset <= protectedFrom);

  const byAge = allowed.findLast((start) => isOldBefore(state, start, limits.ageMsMax, nowMs));
  const bySize = lastBySize(allowed, options);
  if (bySize !== undefined && bySize.physicalOffset > (byAge?.physicalOffset ?? 0)) {
    return { start: bySize, reason: 'size' };
  }
  return byAge === undefined ? null : { start: byAge, reason: 'age' };
}

/** Messages before the start are no younger than the first one behind it. */
function isOldBefore(
  state: DerivedState,
  { physicalOffset }: SegmentStart,
  ageMsMax: number | null,
  nowMs: number,
): boolean {
  if (ageMsMax === null) return false;
  const storeTimestampMs = state.storeTimeFrom(physicalOffset);
  return storeTimestampMs !== null && storeTimestampMs <= nowMs - ageMsMax;
}

function lastBySize(
  starts: readonly SegmentStart[],
  { state, extent, limits }: DecisionOptions,
): SegmentStart | undefined {
  const { sizeBytesMax } = limits;
  if (sizeBytesMax === null) return undefined;
  const roomy = starts.filter(
    ({ physicalOffset }) => extent.endOffset - physicalOffset >= sizeBytesMax,
  );
  if (roomy.length === 0) return undefined;
  const unconsumedFrom = firstUnconsumedOffset(state);
  return roomy.findLast(({ physicalOffset }) => physicalOffset <= unconsumedFrom);
}

/** Of the oldest message that its topic's own minimum still protects; infinite when none is. */
function firstProtectedOffset(state: DerivedState, nowMs: number): number {
  let first = Number.POSITIVE_INFINITY;
  for (const topic of state.topics()) {
    if (topic.minRetentionMs === 0) continue;
    for (let queueId = 0; queueId < topic.queueCount; queueId++) {
      const offset = firstYoungerThan(state, topic, queueId, nowMs - topic.minRetentionMs);
      first = Math.min(first, offset ?? Number.POSITIVE_INFINITY);
    }
  }
  return first;
}

/** Store times of a queue never fall. */
function firstYoungerThan(
  state: DerivedState,
  { topic }: TopicConfig,
  queueId: number,
  timeMs: number,
): PhysicalOffset | null {
  const { min, next } = state.queueRange(topic, queueId);
  let low = min;
  let high = next;
  while (low < high) {
    const middle = QueueOffset(Math.floor((low + high) / 2));
    const unit = state.queueUnit(topic, queueId, middle);
    if (unit !== null && unit.storeTimestampMs > timeMs) high = middle;
    else low = advance(middle, 1);
  }
  return state.queueUnit(topic, queueId, low)?.physicalOffset ?? null;
}

/** Of the oldest message that some group, having begun with its queue, has not consumed. */
function firstUnconsumedOffset(state: DerivedState): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { group } of state.groups()) {
    for (const topic of state.topicsOf(group)) {
      const queueCount = state.topic(topic)?.queueCount ?? 0;
      for (let queueId = 0; queueId < queueCount; queueId++) {
        const { consumerOffset } = state.progress(group, topic, queueId);
        const unit = state.queueUnit(topic, queueId, consumerOffset);
        first = Math.min(first, unit?.physicalOffset ?? Number.POSITIVE_INFINITY);
      }
    }
  }
  return first;
}
