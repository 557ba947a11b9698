/** What repair makes of the runs of good entries behind a hole, as entries are put in front of them. */
import { assert } from '../../base/assert.ts';
import type { RightSide } from './hole.ts';
import type { CheckedEntry } from './offered-entries.ts';
import { type Region, regionOf } from './region.ts';

/** The entries are there; what named them names now what is before them. */
export function grownRegions(
  regions: readonly Region[],
  right: RightSide,
  entries: readonly CheckedEntry[],
): readonly Region[] {
  const first = entries[0];
  const last = entries.at(-1);
  assert(first !== undefined && last !== undefined, 'something is adopted');
  const start = regionOf(first.header, first.bytes);
  const named = right.kind === 'region' ? right.region : null;
  const tip = named?.tip ?? last.tip;
  const grown: Region = { ...start, tip, marks: [...start.marks, ...(named?.marks ?? [])] };
  // What the new entries lie over was not good, or does not belong here.
  const others = regions.filter(
    (region) =>
      region !== named && !(region.tip.index >= first.desc.index && region.from < tip.end),
  );
  return [...others, grown].sort((a, b) => a.from - b.from);
}
