/**
 * Which entries of a range nobody who was asked can read any more, and whether somebody else still may. Pure.
 *
 * An entry counts as held only with a good header in its place and a good body: what a start would serve.
 */
import { LogIndex, type NodeId } from '../../base/units.ts';
import type { DirectoryLog } from './directory-log.ts';
import type { EntryRange } from './entry-marks.ts';
import type { Survivor } from './survivor.ts';

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

export function holdingOf({ survivor, marks }: DirectoryLog, range: EntryRange): Holding {
  return { survivor, missing: marks.missing(range) };
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
