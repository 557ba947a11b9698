/**
 * Zones: what fails together, as the settings of the nodes say. A majority within one zone means that
 * the group stands still without it. Worth a word and never a refusal: two zones cannot do better.
 */
import type { NodeId } from '../../base/units.ts';
import type { Check } from '../../protocol/admin-plan.ts';
import { majorityOf } from '../../raft/quorum.ts';
import { checkOf } from './check-builder.ts';
import { type GroupView, memberOf } from './group-view.ts';

/**
 * @param now null: nothing is changed, and `after` is what there is
 * @returns none where no zone is set
 */
export function zoneChecks(
  now: readonly NodeId[] | null,
  after: readonly NodeId[],
  view: GroupView,
): readonly Check[] {
  if (view.members.every(({ zone }) => zone === null || zone === '')) return [];
  const holder = zoneWithMajority(after, view);
  const before = now === null ? [] : [`before: ${spreadText(now, view)}`];
  const label = now === null ? '' : 'after: ';
  return [
    checkOf('zoneSpread', holder === null ? 'ok' : 'warning', {
      observed: [...before, `${label}${spreadText(after, view)}`].join('; '),
      limit: `no zone with ${majorityOf(after.length)} of ${after.length} voters, a majority`,
      remedy: `without zone ${holder} nothing is committed: spread the voters over three zones or more`,
    }),
  ];
}

/** At most one can have it. */
export function zoneWithMajority(voters: readonly NodeId[], view: GroupView): string | null {
  const byZone = votersByZone(voters, view);
  const found = [...byZone].find(
    ([zone, ids]) => zone !== '' && ids.length >= majorityOf(voters.length),
  );
  return found?.[0] ?? null;
}

/** Under the empty name: those without a zone, and those that have not told theirs. */
function votersByZone(
  voters: readonly NodeId[],
  view: GroupView,
): ReadonlyMap<string, readonly NodeId[]> {
  const byZone = new Map<string, NodeId[]>();
  for (const nodeId of voters) {
    const zone = memberOf(view, nodeId)?.zone ?? '';
    byZone.set(zone, [...(byZone.get(zone) ?? []), nodeId]);
  }
  return byZone;
}

/** `eu-1a n1,n2, eu-1b n3`. */
function spreadText(voters: readonly NodeId[], view: GroupView): string {
  const zones = [...votersByZone(voters, view)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return zones
    .map(([zone, ids]) => `${zone === '' ? 'no zone' : zone} ${ids.join(',')}`)
    .join(', ');
}
