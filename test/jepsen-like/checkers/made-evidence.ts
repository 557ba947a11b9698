/** Evidence made by hand, for tests of checkers: a run in which all is well, to be spoiled. */
import type {
  Evidence,
  NodeLine,
  ReplicaLog,
  StatusLine,
  StoredPlace,
} from '../history/evidence.ts';
import type { Action, Operation, Outcome } from '../history/operation.ts';

export const NODES = ['n1', 'n2', 'n3'] as const;
export const TOPIC = 't';

export function evidence(parts: Partial<Omit<Evidence, 'folder' | 'plan'>> = {}): Evidence {
  return {
    folder: '',
    plan: {
      ...{ rows: [], workloads: ['queue'], nodeCount: 3, seconds: 1, seed: 1, network: 'auto' },
      ...{ canary: null, upgradeFrom: null, nodes: NODES, spares: [], schedule: [] },
    },
    ...{ operations: [], faults: [], nodes: [], statuses: [], replicas: [], places: [] },
    summary: {
      ...{ seconds: 1, healMs: 0, problems: [], versions: {}, network: '', skippedFeatures: [] },
    },
    ...parts,
    places: parts.places ?? placesFor(parts.operations ?? []),
  };
}

/** The disks hold what was acknowledged, unless a test says otherwise. */
function placesFor(operations: readonly Operation[]): readonly StoredPlace[] {
  return operations.flatMap(({ action }) =>
    action.verb === 'send'
      ? action.receipts.flatMap(({ id, queueId, queueOffset }) =>
          stored(id, queueOffset, { queueId }),
        )
      : [],
  );
}

interface When {
  readonly from?: number;
  readonly to?: number;
  readonly outcome?: Outcome;
  readonly client?: string;
  readonly workload?: string;
}

export function operation(action: Action, when: When = {}): Operation {
  const { from = 0, to = from + 1, outcome = 'ok', client = 'c', workload = 'queue' } = when;
  return { workload, client, startMs: from, endMs: to, outcome, error: null, action };
}

/** `[id, sequence, queueOffset, queueId?]` each. An open or refused send has no receipts. */
export type Sent = readonly [id: string, sequence: number, offset: number, queueId?: number];

export function send(
  messages: readonly Sent[],
  when: When & { duplicate?: boolean } = {},
): Operation {
  const { client = 'p', outcome = 'ok', duplicate = false } = when;
  const receipts = messages.map(([id, , queueOffset, queueId = 0]) => ({
    ...{ id, queueId, queueOffset, physicalOffset: 1_000 + queueOffset, duplicate },
  }));
  return operation(
    {
      ...{ verb: 'send', topic: TOPIC, producer: client },
      messages: messages.map(([id, sequence]) => ({ id, sequence })),
      receipts: outcome === 'ok' ? receipts : [],
    },
    { client, ...when },
  );
}

export type Given = readonly [id: string, offset: number, attempt?: number, queueId?: number];

export function receive(
  deliveries: readonly Given[],
  when: When & { group?: string; intact?: boolean; bodyCrc?: number } = {},
): Operation {
  const { group = 'g', intact = true, bodyCrc = 7 } = when;
  return operation(
    {
      ...{ verb: 'receive', topic: TOPIC, group, final: false },
      deliveries: deliveries.map(([id, queueOffset, attempt = 1, queueId = 0]) => ({
        ...{ id, queueId, queueOffset, attempt, bodyCrc, intact },
      })),
    },
    when,
  );
}

export function ack(offset: number, when: When & { accepted?: boolean } = {}): Operation {
  const places = [{ queueId: 0, queueOffset: offset }];
  const accepted = [when.accepted ?? true];
  return operation({ verb: 'ack', topic: TOPIC, group: 'g', places, accepted }, when);
}

export function readOffset(consumerOffset: number, when: When = {}): Operation {
  const offsets = [{ queueId: 0, consumerOffset }];
  return operation({ verb: 'readOffset', topic: TOPIC, group: 'g', offsets }, when);
}

export function stored(id: string, offset: number, more: Partial<StoredPlace> = {}): StoredPlace[] {
  return NODES.map((node) => ({
    ...{ node, topic: TOPIC, queueId: 0, queueOffset: offset, id },
    ...{ physicalOffset: 1_000 + offset, bodyCrc: 7, ...more },
  }));
}

export function replica(node: string, more: Partial<ReplicaLog> = {}): ReplicaLog {
  return {
    ...{ node, verdict: 'intact', damages: [], firstIndex: 1, lastIndex: 9, appliedIndex: 9 },
    ...{ logStart: { index: 0, physicalOffset: 0 }, digests: [{ index: 9, digest: 5 }] },
    ...more,
  };
}

export function status(node: string, term: number, more: Partial<StatusLine> = {}): StatusLine {
  return {
    ...{ node, term, atMs: 0, storeUuid: `store-${node}`, role: 'follower', serving: false },
    ...{ commitIndex: 9, appliedIndex: 9, ...more },
  };
}

export function ended(because: string | null): NodeLine {
  return { kind: 'ended', node: 'n1', atMs: 0, how: 70, because, lastWords: '' };
}
