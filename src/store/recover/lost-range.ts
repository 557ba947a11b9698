/**
 * Which entries of a range nobody who was asked can read any more, and whether somebody else still may. Pure
 * but for the reading of one directory.
 *
 * An entry counts as held only with a good header in its place and a good body: what a start would serve.
 */
import { LogIndex, type NodeId } from '../../base/units.ts';
import { dumpLog } from '../inspect/dump-log.ts';
import type { SurveyOptions, Survivor } from './survivor.ts';

/** First and last entry, both of it. */
export interface EntryRange {
  readonly from: LogIndex;
  readonly to: LogIndex;
}

/** What one directory has of the range. */
export interface Holding {
  readonly survivor: Survivor;
  /** In order, apart from each other. Empty: it has all. */
  readonly missing: readonly EntryRange[];
}

export type LossVerdict =
  /** Together they have everything. */
  | { readonly kind: 'held'; readonly by: readonly NodeId[] }
  /** These members were neither given nor declared lost. */
  | { readonly kind: 'unasked'; readonly members: readonly NodeId[] }
  | {
      readonly kind: 'lost';
      readonly ranges: readonly EntryRange[];
      /** Of them, up to where a directory proves that the group had committed them. */
      readonly provenIndex: LogIndex;
    };

export async function holdingOf(
  options: SurveyOptions,
  survivor: Survivor,
  range: EntryRange,
): Promise<Holding> {
  const missing: EntryRange[] = [];
  let next: number = range.from;
  const lack = (to: number): void => {
    if (to >= next) missing.push({ from: LogIndex(next), to: LogIndex(to) });
  };
  await dumpLog({
    ...options,
    from: range.from,
    isLive: false,
    onEntry: ({ header, body }) => {
      const { index } = header.desc;
      if (index > range.to) return 'stop';
      if (body.kind === 'bad') return 'goOn';
      lack(index - 1);
      next = index + 1;
      return 'goOn';
    },
    onDamage: () => {},
  });
  lack(range.to);
  return { survivor, missing };
}

/** @param declaredLost members that its operator knows will never come back */
export function judgeLoss(
  holdings: readonly Holding[],
  declaredLost: readonly NodeId[],
): LossVerdict {
  const ranges = lackedByAll(holdings.map(({ missing }) => missing));
  const given = holdings.map(({ survivor }) => survivor.nodeId);
  if (ranges.length === 0) return { kind: 'held', by: given };
  const members = unaskedOf(holdings, [...given, ...declaredLost]);
  if (members.length > 0) return { kind: 'unasked', members };
  const proven = holdings.map(({ survivor }) => survivor.provenCommitIndex);
  return { kind: 'lost', ranges, provenIndex: LogIndex(Math.max(0, ...proven)) };
}

/** Whoever belongs to the newest membership that is known, or was met and not removed. */
function unaskedOf(holdings: readonly Holding[], known: readonly NodeId[]): readonly NodeId[] {
  const others = holdings.flatMap(({ survivor: { membership, peersMet } }) =>
    // A lost entry may have brought a member that only those remember who have met it.
    [...peersMet, ...(membership?.members ?? []).map(({ nodeId }) => nodeId)].filter(
      (nodeId) => membership?.removed.includes(nodeId) !== true,
    ),
  );
  return [...new Set(others)].filter((nodeId) => !known.includes(nodeId)).sort();
}

function lackedByAll(all: readonly (readonly EntryRange[])[]): readonly EntryRange[] {
  const [first = [], ...others] = all;
  return others.reduce(intersection, first);
}

function intersection(
  some: readonly EntryRange[],
  others: readonly EntryRange[],
): readonly EntryRange[] {
  return some.flatMap((a) =>
    others.flatMap((b) => {
      const from = LogIndex(Math.max(a.from, b.from));
      const to = LogIndex(Math.min(a.to, b.to));
      return from <= to ? [{ from, to }] : [];
    }),
  );
}
