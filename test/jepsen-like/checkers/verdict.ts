/** What a checker says. */
import type { Evidence } from '../history/evidence.ts';
import { ANOMALIES_TOLD_MAX } from '../limits.ts';

/** The names are those of the published queue checkers where there is one. */
export type AnomalyKind =
  | 'lost-write'
  | 'unseen'
  | 'expired-unread'
  | 'duplicate'
  | 'inconsistent-offsets'
  | 'aborted-read'
  | 'phantom'
  | 'damaged-body'
  | 'torn-batch'
  | 'int-poll-skip'
  | 'poll-skip'
  | 'int-nonmonotonic-poll'
  | 'nonmonotonic-poll'
  | 'int-nonmonotonic-send'
  | 'nonmonotonic-send'
  | 'order'
  | 'acked-redelivered'
  | 'place-changed'
  | 'queue-not-in-log'
  | 'damaged-log'
  | 'too-few-copies'
  | 'digests-differ'
  | 'replicas-differ'
  | 'offset-not-linearizable'
  | 'offset-regressed'
  | 'offset-beyond-end'
  | 'topics-not-linearizable'
  | 'node-ended'
  | 'term-regressed'
  | 'two-leaders'
  | 'store-changed'
  | 'not-recovered';

export interface Anomaly {
  readonly kind: AnomalyKind;
  readonly what: string;
}

export interface Verdict {
  readonly checker: string;
  /** `unknown`: the search was given up, or the run did not come to its end. */
  readonly valid: boolean | 'unknown';
  readonly counts: Readonly<Record<string, number>>;
  readonly anomalies: readonly Anomaly[];
}

export type Checker = (evidence: Evidence) => Verdict;

export function verdictOf(
  checker: string,
  anomalies: readonly Anomaly[],
  counts: Readonly<Record<string, number>>,
  isUnknown = false,
): Verdict {
  const valid = anomalies.length > 0 ? false : isUnknown ? 'unknown' : true;
  return {
    checker,
    valid,
    counts: { ...counts, ...countsOf(anomalies) },
    anomalies: told(anomalies),
  };
}

function countsOf(anomalies: readonly Anomaly[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of anomalies) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** The first of each kind in full. */
function told(anomalies: readonly Anomaly[]): readonly Anomaly[] {
  const left = new Map<AnomalyKind, number>();
  return anomalies.filter(({ kind }) => {
    const count = (left.get(kind) ?? 0) + 1;
    left.set(kind, count);
    return count <= ANOMALIES_TOLD_MAX;
  });
}
