/** Order: of sends, of deliveries, of each producer's messages in each queue; and no delivery after its acknowledgement. */
import type { Evidence } from '../history/evidence.ts';
import type { OperationOf } from '../history/operation.ts';
import { RECEIVE_BATCH } from '../limits.ts';
import { Sightings } from './sightings.ts';
import { type Anomaly, type Verdict, verdictOf } from './verdict.ts';

export function checkSequence(evidence: Evidence): Verdict {
  const sightings = Sightings.of(evidence);
  const anomalies = [
    ...sendOrder(sightings),
    ...producerOrder(sightings),
    ...pollOrder(evidence, sightings),
    ...afterAck(sightings),
  ];
  const { sends, receives, acks } = sightings;
  const counts = { sends: sends.length, receives: receives.length, acks: acks.length };
  return verdictOf('sequence', anomalies, counts);
}

/** Of what one producer sends one after the other, the later is behind the earlier in each queue. */
function sendOrder({ sends }: Sightings): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  const last = new Map<string, { readonly id: string; readonly offset: number }>();
  for (const { action, outcome, client } of byStart(sends)) {
    if (outcome !== 'ok') continue;
    const own = new Map<string, { readonly id: string; readonly offset: number }>();
    for (const { id, queueId, queueOffset, duplicate } of action.receipts) {
      // The first copy has fixed its place long ago.
      if (duplicate) continue;
      const queue = `${client} ${action.topic} ${queueId}`;
      const within = own.get(queue);
      if (within !== undefined && queueOffset <= within.offset) {
        const what = `one request of ${client}: ${id} at ${queueOffset} behind ${within.id} at ${within.offset}`;
        anomalies.push({ kind: 'int-nonmonotonic-send', what });
      }
      const before = last.get(queue);
      if (before !== undefined && queueOffset <= before.offset) {
        const what = `${queue}: ${id} got ${queueOffset} after ${before.id} had got ${before.offset}`;
        anomalies.push({ kind: 'nonmonotonic-send', what });
      }
      own.set(queue, { id, offset: queueOffset });
    }
    for (const [queue, place] of own) last.set(queue, place);
  }
  return anomalies;
}

/**
 * What anybody found in a queue, in order of offsets: the numbers of each producer go up. An open send is
 * the last of its producer, so it makes no exception.
 */
function producerOrder({ placesOf, sendings }: Sightings): readonly Anomaly[] {
  const queues = new Map<string, { offset: number; sequence: number; id: string }[]>();
  for (const [name, places] of placesOf) {
    const sending = sendings.get(name);
    if (sending === undefined || sending.isShared) continue;
    for (const { queueId, queueOffset: offset } of places.values()) {
      const queue = `${sending.producer} ${sending.topic} ${queueId}`;
      const found = queues.get(queue) ?? [];
      found.push({ offset, sequence: sending.sequence, id: name });
      queues.set(queue, found);
    }
  }
  const anomalies: Anomaly[] = [];
  for (const [queue, found] of queues) {
    found.sort((a, b) => a.offset - b.offset);
    for (const [i, { offset, sequence, id }] of found.entries()) {
      const before = found[i - 1];
      if (before === undefined || before.sequence < sequence) continue;
      const what = `${queue}: ${id} at ${offset} is older than ${before.id} at ${before.offset}`;
      anomalies.push({ kind: 'order', what });
    }
  }
  return anomalies;
}

/** First deliveries of one queue to one group go up without a gap. */
function pollOrder(evidence: Evidence, { receives }: Sightings): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  const groups = new Map<string, OperationOf<'receive'>[]>();
  for (const receive of receives) {
    const group = `${receive.action.group} ${receive.action.topic}`;
    groups.set(group, [...(groups.get(group) ?? []), receive]);
  }
  for (const [group, polls] of groups) {
    const openPolls = evidence.operations.filter(
      ({ action, outcome }) =>
        action.verb === 'receive' &&
        outcome !== 'ok' &&
        `${action.group} ${action.topic}` === group,
    ).length;
    anomalies.push(...orderWithin(group, polls), ...orderBetween(group, polls));
    anomalies.push(...skipped(group, polls, openPolls));
  }
  return anomalies;
}

function orderWithin(group: string, polls: readonly OperationOf<'receive'>[]): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  for (const { action, client } of polls) {
    const last = new Map<number, number>();
    for (const { queueId, queueOffset, attempt } of action.deliveries) {
      if (attempt !== 1 || queueOffset < 0) continue;
      const before = last.get(queueId);
      if (before !== undefined && queueOffset !== before + 1) {
        const kind = queueOffset > before ? 'int-poll-skip' : 'int-nonmonotonic-poll';
        const what = `${client} of ${group}: ${queueId}@${queueOffset} right after @${before}`;
        anomalies.push({ kind, what });
      }
      last.set(queueId, queueOffset);
    }
  }
  return anomalies;
}

/** Only polls that did not overlap say anything about each other. */
function orderBetween(group: string, polls: readonly OperationOf<'receive'>[]): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  const starts = byStart(polls);
  const ends = [...polls].sort((a, b) => a.endMs - b.endMs);
  const highest = new Map<number, { readonly offset: number; readonly client: string }>();
  let ended = 0;
  for (const { action, startMs, client } of starts) {
    for (let poll = ends[ended]; poll !== undefined && poll.endMs < startMs; poll = ends[ended]) {
      for (const { queueId, queueOffset } of poll.action.deliveries) {
        if (queueOffset <= (highest.get(queueId)?.offset ?? -1)) continue;
        highest.set(queueId, { offset: queueOffset, client: poll.client });
      }
      ended++;
    }
    for (const { queueId, queueOffset, attempt } of action.deliveries) {
      const before = highest.get(queueId);
      if (attempt !== 1 || before === undefined || queueOffset > before.offset) continue;
      const what =
        `${group}: ${client} was given ${queueId}@${queueOffset} for the first time ` +
        `after ${before.client} had been given @${before.offset}`;
      anomalies.push({ kind: 'nonmonotonic-poll', what });
    }
  }
  return anomalies;
}

/** What a poll with an open end was given is invisible to us, and may still be when the run ends. */
function skipped(
  group: string,
  polls: readonly OperationOf<'receive'>[],
  openPolls: number,
): readonly Anomaly[] {
  const seen = new Map<number, Set<number>>();
  for (const { action } of polls) {
    for (const { queueId, queueOffset } of action.deliveries) {
      if (queueOffset < 0) continue;
      seen.set(queueId, (seen.get(queueId) ?? new Set()).add(queueOffset));
    }
  }
  const holes = [...seen].flatMap(([queueId, offsets]) => {
    const first = offsets.has(0) ? 0 : Math.min(...offsets);
    const count = Math.max(...offsets) - first + 1;
    return Array.from({ length: count }, (_, i) => first + i)
      .filter((offset) => !offsets.has(offset))
      .map((offset) => `${queueId}@${offset}`);
  });
  if (holes.length <= openPolls * RECEIVE_BATCH) return [];
  return holes.map((hole) => ({
    kind: 'poll-skip',
    what: `${group} was never given ${hole}, but later ones`,
  }));
}

function afterAck({ acks, receives }: Sightings): readonly Anomaly[] {
  const ackedAtMs = new Map<string, number>();
  for (const { action, outcome, endMs } of acks) {
    if (outcome !== 'ok') continue;
    for (const [i, { queueId, queueOffset }] of action.places.entries()) {
      if (action.accepted[i] !== true) continue;
      const place = `${action.group} ${action.topic} ${queueId}@${queueOffset}`;
      ackedAtMs.set(place, Math.min(endMs, ackedAtMs.get(place) ?? Infinity));
    }
  }
  return receives.flatMap(({ action, startMs, client }) =>
    action.deliveries.flatMap(({ queueId, queueOffset }): readonly Anomaly[] => {
      const place = `${action.group} ${action.topic} ${queueId}@${queueOffset}`;
      const atMs = ackedAtMs.get(place);
      if (atMs === undefined || atMs >= startMs) return [];
      const what = `${place} was given to ${client} at ${startMs} ms, acknowledged at ${atMs} ms`;
      return [{ kind: 'acked-redelivered', what }];
    }),
  );
}

function byStart<T extends { readonly startMs: number }>(operations: readonly T[]): readonly T[] {
  return [...operations].sort((a, b) => a.startMs - b.startMs);
}
