/** How long nobody could write: per fault, and between faults. It accuses nobody: it measures. */
import type { Evidence, FaultLine } from '../history/evidence.ts';
import { isVerb } from '../history/operation.ts';

export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface FaultGap {
  readonly kind: string;
  readonly row: string;
  readonly count: number;
  readonly longestMs: number;
}

/** An answered send: when it was answered. */
function answersOf({ operations }: Evidence): readonly number[] {
  return operations
    .filter(isVerb('send'))
    .filter(({ outcome }) => outcome === 'ok')
    .map(({ endMs }) => endMs)
    .sort((a, b) => a - b);
}

/** Between two acknowledged sends that came after one another, the longest first. */
export function gapsOf(evidence: Evidence): readonly Gap[] {
  const answers = answersOf(evidence);
  return answers
    .slice(1)
    .map((toMs, i) => ({ fromMs: answers[i]!, toMs })) // one before
    .sort((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs));
}

/** The longest gap that overlaps a fault of the kind. */
export function gapsPerFault(evidence: Evidence): readonly FaultGap[] {
  const gaps = gapsOf(evidence).slice(0, 200);
  const kinds = new Map<string, FaultLine[]>();
  for (const fault of evidence.faults) {
    if (fault.skipped !== null) continue;
    kinds.set(fault.kind, [...(kinds.get(fault.kind) ?? []), fault]);
  }
  return [...kinds].map(([kind, faults]) => {
    const overlapping = gaps.filter(({ fromMs, toMs }) =>
      faults.some(({ beginMs, endMs }) => fromMs <= endMs && toMs >= beginMs),
    );
    const longestMs = Math.max(0, ...overlapping.map(({ fromMs, toMs }) => toMs - fromMs));
    return { kind, row: faults[0]!.row, count: faults.length, longestMs: Math.round(longestMs) };
  });
}
