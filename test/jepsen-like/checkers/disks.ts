/** What the disks hold at the end: each acknowledged message on a majority, the same log everywhere, queues that agree. */
import type { Evidence, StoredPlace } from '../history/evidence.ts';
import { isVerb } from '../history/operation.ts';
import { keptFrom } from './sightings.ts';
import { type Anomaly, type Verdict, verdictOf } from './verdict.ts';

export function checkDisks(evidence: Evidence): Verdict {
  const { replicas, places } = evidence;
  const byPlace = groupedByPlace(places);
  const anomalies = [
    ...damagedLogs(evidence),
    ...changedPlaces(byPlace, evidence),
    ...copies(byPlace, evidence),
    ...digests(evidence),
    ...lengths(evidence),
  ];
  const counts = { replicas: replicas.length, places: byPlace.size, copies: places.length };
  return verdictOf('disks', anomalies, counts);
}

function groupedByPlace(places: readonly StoredPlace[]): Map<string, StoredPlace[]> {
  const byPlace = new Map<string, StoredPlace[]>();
  for (const place of places) {
    if (place.topic.startsWith('admin-')) continue;
    const name = nameOf(place);
    byPlace.set(name, [...(byPlace.get(name) ?? []), place]);
  }
  return byPlace;
}

function nameOf({
  topic,
  queueId,
  queueOffset,
}: Omit<StoredPlace, 'id' | 'node' | 'physicalOffset' | 'bodyCrc'>) {
  return `${topic} ${queueId}@${queueOffset}`;
}

function damagedLogs({ replicas }: Evidence): readonly Anomaly[] {
  return replicas.flatMap(({ node, damages }) =>
    damages.map((damage): Anomaly => {
      const kind = damage.startsWith('queue ') ? 'queue-not-in-log' : 'damaged-log';
      return { kind, what: `${node}: ${damage}` };
    }),
  );
}

/** One place, one message, one physical offset, for ever and everywhere. */
function changedPlaces(
  byPlace: ReadonlyMap<string, readonly StoredPlace[]>,
  { operations }: Evidence,
): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  for (const [name, stored] of byPlace) {
    const facts = new Set(
      stored.map(({ id, physicalOffset, bodyCrc }) => `${id} at ${physicalOffset} CRC ${bodyCrc}`),
    );
    if (facts.size > 1)
      anomalies.push({ kind: 'place-changed', what: `${name}: ${[...facts].join(', ')}` });
  }
  for (const { action, outcome } of operations.filter(isVerb('send'))) {
    if (outcome !== 'ok') continue;
    for (const receipt of action.receipts) {
      const name = nameOf({ ...receipt, topic: action.topic });
      const stored = byPlace.get(name)?.[0];
      if (stored === undefined || stored.physicalOffset === receipt.physicalOffset) continue;
      const what = `${name}: acknowledged at ${receipt.physicalOffset}, stored at ${stored.physicalOffset}`;
      anomalies.push({ kind: 'place-changed', what });
    }
  }
  for (const { action, outcome } of operations.filter(isVerb('receive'))) {
    if (outcome !== 'ok') continue;
    for (const delivery of action.deliveries) {
      const name = nameOf({ ...delivery, topic: action.topic });
      const stored = byPlace.get(name)?.[0];
      if (stored === undefined || stored.bodyCrc === delivery.bodyCrc) continue;
      const what = `${name}: delivered with CRC ${delivery.bodyCrc}, stored with ${stored.bodyCrc}`;
      anomalies.push({ kind: 'place-changed', what });
    }
  }
  return anomalies;
}

/** Read by a program that knows only files: acknowledged is on a majority of them. */
function copies(
  byPlace: ReadonlyMap<string, readonly StoredPlace[]>,
  evidence: Evidence,
): readonly Anomaly[] {
  const { operations, plan } = evidence;
  const keptFromOffset = keptFrom(evidence);
  const majority = Math.floor(plan.nodes.length / 2) + 1;
  return operations.filter(isVerb('send')).flatMap(({ action, outcome }) => {
    if (outcome !== 'ok') return [];
    return action.receipts.flatMap((receipt): readonly Anomaly[] => {
      // The group has agreed that it is gone.
      if (receipt.physicalOffset < keptFromOffset) return [];
      const name = nameOf({ ...receipt, topic: action.topic });
      const holders = (byPlace.get(name) ?? []).filter(({ id }) => id === receipt.id);
      if (holders.length >= majority) return [];
      const what = `${receipt.id} at ${name} is on ${holders.length} of ${plan.nodes.length} disks`;
      return [{ kind: 'too-few-copies', what }];
    });
  });
}

/** Two replicas that have the same entry have the same log up to it, wherever theirs begin. */
function digests({ replicas }: Evidence): readonly Anomaly[] {
  const anomalies: Anomaly[] = [];
  const known = new Map<number, { readonly node: string; readonly digest: number }>();
  for (const { node, digests: own } of replicas) {
    for (const { index, digest } of own) {
      const other = known.get(index);
      if (other === undefined) known.set(index, { node, digest });
      else if (other.digest !== digest) {
        anomalies.push({
          kind: 'digests-differ',
          what: `${node} and ${other.node} at entry ${index}`,
        });
      }
    }
  }
  return anomalies;
}

/** Everything was healed and at rest before the processes were stopped. */
function lengths({ replicas, summary }: Evidence): readonly Anomaly[] {
  if (summary.problems.length > 0) return [];
  const ends = new Set(
    replicas.map(
      ({ lastIndex, appliedIndex, logStart }) => `${lastIndex}/${appliedIndex}/${logStart.index}`,
    ),
  );
  if (ends.size <= 1) return [];
  const what = replicas.map(
    ({ node, lastIndex, appliedIndex, logStart }) =>
      `${node} ${lastIndex}/${appliedIndex}/${logStart.index}`,
  );
  return [{ kind: 'replicas-differ', what: `last/applied/kept entries: ${what.join(', ')}` }];
}
