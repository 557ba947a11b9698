/** Acknowledged progress, and the existence of topics, behave as if there were one copy of each. */
import type { Evidence } from '../history/evidence.ts';
import { isVerb, type Operation } from '../history/operation.ts';
import { SEARCH_STATES_MAX } from '../limits.ts';
import { type Act, type Linearity, linearityOf } from './linearizable.ts';
import { type Anomaly, type AnomalyKind, type Verdict, verdictOf } from './verdict.ts';

type Input = { readonly kind: 'write' | 'read'; readonly value: number };

export function checkRegisters(evidence: Evidence): Verdict {
  const registers = offsetActs(evidence.operations);
  const topics = topicActs(evidence.operations);
  const results: { kind: AnomalyKind; name: string; linearity: Linearity }[] = [
    ...[...registers].map(([name, acts]) => ({
      ...{ kind: 'offset-not-linearizable' as const, name },
      linearity: linearityOf(acts, '0', progress, SEARCH_STATES_MAX),
    })),
    ...[...topics].map(([name, acts]) => ({
      ...{ kind: 'topics-not-linearizable' as const, name },
      linearity: linearityOf(acts, 0, register, SEARCH_STATES_MAX),
    })),
  ];
  const anomalies: Anomaly[] = [
    ...results.flatMap(({ kind, name, linearity }) =>
      linearity.kind === 'notLinearizable' ? [{ kind, what: `${name}: ${linearity.at}` }] : [],
    ),
    ...regressions(evidence.operations),
    ...beyondEnd(evidence),
  ];
  const counts = {
    registers: results.length,
    operations: [...registers, ...topics].reduce((sum, [, acts]) => sum + acts.length, 0),
    givenUp: results.filter(({ linearity }) => linearity.kind === 'unknown').length,
  };
  return verdictOf('registers', anomalies, counts, counts.givenUp > 0);
}

/**
 * The first offset that is not acknowledged, then those behind it that are: a message whose delivery was lost with its
 * answer is still held when the next one is acknowledged. Nothing takes an acknowledgement back.
 */
function progress(state: string, { kind, value }: Input): string | null {
  const [first = 0, ...behind] = state.split(' ').map(Number);
  if (kind === 'read') return first === value ? state : null;
  const acknowledged = value - 1;
  if (acknowledged < first || behind.includes(acknowledged)) return state;
  const all = new Set([...behind, acknowledged]);
  let next = first;
  while (all.delete(next)) next++;
  return [next, ...[...all].sort((a, b) => a - b)].join(' ');
}

function register(state: number, { kind, value }: Input): number | null {
  if (kind === 'write') return value;
  return state === value ? state : null;
}

/** The registers of the workload `offsets`: one consumer, one queue, one message at a time. */
function offsetActs(operations: readonly Operation[]): Map<string, Act<Input>[]> {
  const acts = new Map<string, Act<Input>[]>();
  const add = (name: string, operation: Operation, input: Input): void => {
    const { client, startMs, outcome } = operation;
    const text = `${client} ${input.kind} ${input.value} from ${startMs} to ${operation.endMs} ms`;
    const endMs = outcome === 'info' ? Infinity : operation.endMs;
    acts.set(name, [...(acts.get(name) ?? []), { startMs, endMs, input, text }]);
  };
  for (const operation of operations) {
    const { action, outcome, workload } = operation;
    if (workload !== 'offsets' || outcome === 'fail') continue;
    if (action.verb === 'ack' && action.group !== 'final-readers') {
      const [place] = action.places;
      if (place === undefined || (outcome === 'ok' && action.accepted[0] !== true)) continue;
      add(`${action.topic} ${place.queueId}`, operation, {
        ...{ kind: 'write', value: place.queueOffset + 1 },
      });
    }
    if (action.verb === 'readOffset' && outcome === 'ok') {
      // A group that has not received from the queue yet is at its beginning.
      const [read] = action.offsets;
      const value = read?.consumerOffset ?? 0;
      add(`${action.topic} ${read?.queueId ?? 0}`, operation, { kind: 'read', value });
    }
  }
  return acts;
}

function topicActs(operations: readonly Operation[]): Map<string, Act<Input>[]> {
  const acts = new Map<string, Act<Input>[]>();
  for (const operation of operations) {
    const { action, outcome, workload, startMs, client } = operation;
    if (workload !== 'admin' || outcome === 'fail') continue;
    const input = topicInput(operation);
    if (input === null) continue;
    const endMs = outcome === 'info' ? Infinity : operation.endMs;
    const text = `${client} ${action.verb} (${input.value}) from ${startMs} to ${operation.endMs} ms`;
    const { topic } = action;
    acts.set(topic, [...(acts.get(topic) ?? []), { startMs, endMs, input, text }]);
  }
  return acts;
}

/** 1: the topic exists. An open read says nothing. */
function topicInput({ action, outcome }: Operation): Input | null {
  if (action.verb === 'topicPut') return { kind: 'write', value: 1 };
  if (action.verb === 'topicDelete') return { kind: 'write', value: 0 };
  if (action.verb !== 'topicDescribe' || outcome !== 'ok') return null;
  return { kind: 'read', value: action.queues === null ? 0 : 1 };
}

/** A reader that begins after another has ended does not see less. */
function regressions(operations: readonly Operation[]): readonly Anomaly[] {
  const reads = operations
    .filter(isVerb('readOffset'))
    .filter(({ outcome }) => outcome === 'ok')
    .flatMap(({ action, startMs, endMs, client }) =>
      action.offsets.map(({ queueId, consumerOffset }) => ({
        ...{
          name: `${action.group} ${action.topic} ${queueId}`,
          consumerOffset,
          startMs,
          endMs,
          client,
        },
      })),
    );
  const anomalies: Anomaly[] = [];
  const ends = [...reads].sort((a, b) => a.endMs - b.endMs);
  const highest = new Map<string, number>();
  let ended = 0;
  for (const read of reads.sort((a, b) => a.startMs - b.startMs)) {
    for (
      let other = ends[ended];
      other !== undefined && other.endMs < read.startMs;
      other = ends[ended]
    ) {
      highest.set(other.name, Math.max(highest.get(other.name) ?? 0, other.consumerOffset));
      ended++;
    }
    const before = highest.get(read.name) ?? 0;
    if (read.consumerOffset >= before) continue;
    const what = `${read.name}: ${read.client} read ${read.consumerOffset} after somebody had read ${before}`;
    anomalies.push({ kind: 'offset-regressed', what });
  }
  return anomalies;
}

/** No group is further than its queue ever was, by what clients have seen and disks still hold. */
function beyondEnd(evidence: Evidence): readonly Anomaly[] {
  const { operations, places } = evidence;
  if (places.length === 0) return [];
  const next = new Map<string, number>();
  const note = (topic: string, queueId: number, queueOffset: number): void => {
    const queue = `${topic} ${queueId}`;
    next.set(queue, Math.max(next.get(queue) ?? 0, queueOffset + 1));
  };
  for (const { topic, queueId, queueOffset } of places) note(topic, queueId, queueOffset);
  for (const { action } of operations.filter(isVerb('receive'))) {
    for (const { queueId, queueOffset } of action.deliveries) {
      note(action.topic, queueId, queueOffset);
    }
  }
  return operations.filter(isVerb('readOffset')).flatMap(({ action, client }) =>
    action.offsets.flatMap(({ queueId, consumerOffset }): readonly Anomaly[] => {
      const end = next.get(`${action.topic} ${queueId}`) ?? 0;
      if (consumerOffset <= end) return [];
      const what = `${client} read ${consumerOffset} for ${action.topic} ${queueId}, which ends at ${end}`;
      return [{ kind: 'offset-beyond-end', what }];
    }),
  );
}
