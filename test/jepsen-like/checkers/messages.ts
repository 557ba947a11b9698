/** Every acknowledged message is there, once, whole, in one place; and nothing is there that was refused. */
import type { Evidence } from '../history/evidence.ts';
import { keptFrom, Sightings } from './sightings.ts';
import { type Anomaly, type Verdict, verdictOf } from './verdict.ts';

export function checkMessages(evidence: Evidence): Verdict {
  const sightings = Sightings.of(evidence);
  const anomalies: Anomaly[] = [
    ...missing(sightings, keptFrom(evidence)),
    ...misplaced(sightings),
    ...unexpected(sightings),
    ...tornBatches(sightings),
  ];
  const acknowledged = [...sightings.sendings.values()].filter(({ isOk }) => isOk).length;
  const counts = {
    sent: sightings.sendings.size,
    acknowledged,
    received: sightings.received.size,
    // Open sends whose message is there all the same.
    recovered: [...sightings.sendings].filter(
      ([name, { isOk }]) => !isOk && sightings.received.has(name),
    ).length,
  };
  return verdictOf('messages', anomalies, counts);
}

/**
 * Both are loss; `lost-write` is proven the moment somebody was given a later message. What lay before the log
 * start may be gone; but brokers of a run go by size, and by size nothing goes that a group has left to consume.
 */
function missing(
  { sendings, received, placesOf, physicalOf, highest }: Sightings,
  keptFromOffset: number,
): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  for (const [name, { isOk, topic }] of sendings) {
    if (!isOk || received.has(name)) continue;
    const [place] = placesOf.get(name)?.values() ?? [];
    // The official client tells no places: what is on no disk may have been given, acknowledged and removed.
    if (place === undefined && !physicalOf.has(name) && keptFromOffset > 0) continue;
    const reached = place === undefined ? -1 : (highest.get(`${topic} ${place.queueId}`) ?? -1);
    const isPassed = place !== undefined && place.queueOffset <= reached;
    const at = place === undefined ? '' : ` at ${place.queueId}@${place.queueOffset}`;
    const isExpired = (physicalOf.get(name) ?? Number.POSITIVE_INFINITY) < keptFromOffset;
    anomalies.push({
      kind: isExpired ? 'expired-unread' : isPassed ? 'lost-write' : 'unseen',
      what: `${name} was acknowledged${at} and nobody was ever given it`,
    });
  }
  return anomalies;
}

function misplaced({ placesOf, idsAt }: Sightings): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  for (const [name, places] of placesOf) {
    if (places.size < 2) continue;
    anomalies.push({
      kind: 'duplicate',
      what: `${name} is at ${[...places.keys()].join(' and ')}`,
    });
  }
  for (const [at, ids] of idsAt) {
    if (ids.size < 2) continue;
    anomalies.push({ kind: 'inconsistent-offsets', what: `${at} is ${[...ids].join(' and ')}` });
  }
  return anomalies;
}

function unexpected({ receives, sendings }: Sightings): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  const told = new Set<string>();
  for (const { action, client, workload } of receives) {
    for (const { id, queueId, queueOffset, intact } of action.deliveries) {
      const name = `${action.topic} ${id}`;
      if (told.has(name)) continue;
      const sending = sendings.get(name);
      const at = `${queueId}@${queueOffset} was given to ${client}`;
      const add = (kind: Anomaly['kind'], why: string): void => {
        told.add(name);
        anomalies.push({ kind, what: `${name} at ${at}, and ${why}` });
      };
      if (!intact) add('damaged-body', 'its body is not what was sent');
      // A process of the official client takes its last operation with it when it ends.
      else if (sending === undefined && workload !== 'official') add('phantom', 'nobody sent it');
      else if (sending !== undefined && !sending.isOk && !sending.isOpen) {
        add('aborted-read', 'its send was refused');
      }
    }
  }
  return anomalies;
}

/** The messages of one request are stored together or not at all. */
function tornBatches({ sends, received }: Sightings): readonly Anomaly[] {
  return sends
    .filter(({ outcome, action }) => outcome === 'info' && action.messages.length > 1)
    .flatMap(({ action, client }): readonly Anomaly[] => {
      const there = action.messages.filter(({ id }) => received.has(`${action.topic} ${id}`));
      if (there.length === 0 || there.length === action.messages.length) return [];
      const what = `${there.length} of ${action.messages.length} messages of one request of ${client}`;
      return [{ kind: 'torn-batch', what }];
    });
}
