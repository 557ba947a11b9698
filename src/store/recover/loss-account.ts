/**
 * What goes with the beginning of a log: by queue what nobody can read and what is given up with it, and by
 * consumer group how much of that it has not consumed.
 */
import { QueueOffset } from '../../base/units.ts';
import type { DerivedState, QueueProgress } from '../derived/derived-state.ts';
import type { LostOffsets } from '../derived/message-indexer.ts';

export interface LostOffsetsOfTopic extends LostOffsets {
  readonly topic: string;
  /** A topic that was deleted and made again is another one. */
  readonly createdAtMs: number;
}

/** First and last offset, both of it. */
export interface OffsetRange {
  readonly from: QueueOffset;
  readonly to: QueueOffset;
}

export interface QueueLoss {
  readonly topic: string;
  readonly queueId: number;
  /** Of messages that nobody can read, in order. */
  readonly lost: readonly OffsetRange[];
  readonly lostCount: number;
  /** From the first offset of before to the last one that goes. */
  readonly gone: OffsetRange;
  /** Of these, messages that can be read. */
  readonly givenUpCount: number;
}

export interface GroupLoss {
  readonly group: string;
  readonly topic: string;
  /** Not acknowledged by the group, with what it had received and not acknowledged. */
  readonly unconsumedLostCount: number;
  readonly unconsumedGivenUpCount: number;
}

export interface LossAccount {
  /** Only queues that lose something. */
  readonly queues: readonly QueueLoss[];
  /** Only groups that have not consumed all of what goes, of the topics that they have received from. */
  readonly groups: readonly GroupLoss[];
  readonly lostCount: number;
  readonly givenUpCount: number;
}

type StateView = Pick<
  DerivedState,
  'topics' | 'topic' | 'queueRange' | 'groups' | 'topicsOf' | 'progress'
>;

interface QueueBefore {
  readonly topic: string;
  readonly queueId: number;
  readonly min: QueueOffset;
  readonly progress: readonly (readonly [string, QueueProgress])[];
}

/** @param cut removes the beginning of the log from the state */
export function accountOf(
  state: StateView,
  lostOffsets: readonly LostOffsetsOfTopic[],
  cut: () => void,
): LossAccount {
  const before = queuesOf(state);
  cut();
  const groups = new Map<string, GroupLoss>();
  const queues = before.flatMap((queue) => {
    const { topic, queueId, min } = queue;
    const end = state.queueRange(topic, queueId).min;
    if (end <= min) return [];
    const createdAtMs = state.topic(topic)?.createdAtMs;
    const lost = lostOffsets
      .filter((each) => each.topic === topic && each.queueId === queueId)
      .filter((each) => each.createdAtMs === createdAtMs)
      .flatMap(({ from, to }) => within(from, to, min, end));
    for (const [group, progress] of queue.progress) {
      addGroup(groups, { group, topic }, unconsumed(progress, lost, { min, end }));
    }
    const lostCount = countOf(lost);
    const gone = { from: min, to: QueueOffset(end - 1) };
    return [{ topic, queueId, lost, lostCount, gone, givenUpCount: end - min - lostCount }];
  });
  return {
    queues,
    groups: [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, loss]) => loss),
    lostCount: queues.reduce((sum, { lostCount }) => sum + lostCount, 0),
    givenUpCount: queues.reduce((sum, { givenUpCount }) => sum + givenUpCount, 0),
  };
}

/** Ends of what the cut removes are known only afterwards, and progress only before. */
function queuesOf(state: StateView): readonly QueueBefore[] {
  const readers = new Map<string, string[]>();
  for (const { group } of state.groups()) {
    for (const topic of state.topicsOf(group)) {
      readers.set(topic, [...(readers.get(topic) ?? []), group]);
    }
  }
  return state.topics().flatMap(({ topic, queueCount }) =>
    Array.from({ length: queueCount }, (_, queueId) => ({
      topic,
      queueId,
      min: state.queueRange(topic, queueId).min,
      progress: (readers.get(topic) ?? []).map(
        (group) => [group, state.progress(group, topic, queueId)] as const,
      ),
    })),
  );
}

function unconsumed(
  { nextOffset, inFlight }: QueueProgress,
  lost: readonly OffsetRange[],
  { min, end }: { readonly min: QueueOffset; readonly end: QueueOffset },
): { readonly lostCount: number; readonly givenUpCount: number } {
  const received = inFlight.map(({ queueOffset }) => queueOffset).filter((at) => at < end);
  const isLost = (at: QueueOffset): boolean => lost.some(({ from, to }) => at >= from && at <= to);
  const from = Math.max(min, nextOffset);
  const unread = lost.flatMap((range) => within(range.from, range.to + 1, from, end));
  const lostCount = countOf(unread) + received.filter(isLost).length;
  return { lostCount, givenUpCount: Math.max(0, end - from) + received.length - lostCount };
}

function addGroup(
  groups: Map<string, GroupLoss>,
  name: Pick<GroupLoss, 'group' | 'topic'>,
  { lostCount, givenUpCount }: { readonly lostCount: number; readonly givenUpCount: number },
): void {
  if (lostCount + givenUpCount === 0) return;
  const key = `${name.group}\0${name.topic}`;
  const found = groups.get(key);
  groups.set(key, {
    ...name,
    unconsumedLostCount: (found?.unconsumedLostCount ?? 0) + lostCount,
    unconsumedGivenUpCount: (found?.unconsumedGivenUpCount ?? 0) + givenUpCount,
  });
}

/** Of offsets without `to`, those in a stretch without `end`. */
function within(from: number, to: number, min: number, end: number): readonly OffsetRange[] {
  const [first, last] = [Math.max(from, min), Math.min(to, end) - 1];
  return first <= last ? [{ from: QueueOffset(first), to: QueueOffset(last) }] : [];
}

function countOf(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + (to - from + 1), 0);
}
