/**
 * What the group must keep, each said in the simplest way and without a look at ../checkers/:
 *
 * I1 one leader per term (past.ts)            I4 committed prefixes agree
 * I5 a leader has what was committed before   I7 what is committed is on the disks of its majorities
 * I8 what is acknowledged is committed        L7 one change of membership at a time
 * G2 two memberships in a row have no two majorities apart
 * O3 a read returns at least what was acknowledged before it was asked (past.ts)
 *
 * With I4 and I5, I8 says that what was acknowledged is in the log of every later leader.
 */
import type { NodeId } from '../../../src/base/units.ts';
import type { EntryId } from '../../../src/raft/entry.ts';
import type { Membership } from '../../../src/raft/membership.ts';
import { NODE_IDS } from './group.ts';
import type { Happening, Past } from './history.ts';
import { type Breach, holds, type LocalFacts, termAt } from './local-action.ts';

/** I5. */
export function breachOfLeader(past: Past, place: number, leader: LocalFacts): Breach | null {
  for (const [i, { term, committedIn }] of past.committed.entries()) {
    const index = i + 1;
    if (committedIn >= leader.term || index < leader.log.base.index) continue;
    if (termAt(leader.log, index) === term) continue;
    const what = `n${place + 1} leads in term ${leader.term} without ${index}/${term}`;
    return { invariant: 'I5', message: `${what}, committed in term ${committedIn}` };
  }
  return null;
}

/** I4: what this node calls committed against all that was ever called so. */
export function breachOfCommitted(past: Past, place: number, node: LocalFacts): Breach | null {
  const { log, commitIndex } = node;
  for (let index = Math.max(1, log.base.index); index <= commitIndex; index++) {
    const term = past.committed[index - 1]?.term;
    const own = termAt(log, index);
    if (own === term) continue;
    return {
      invariant: 'I4',
      message: `n${place + 1} commits ${index}/${own}, not ${index}/${term}`,
    };
  }
  return null;
}

/** I7: under the membership by which the node decided, the one before this transition. */
export function breachOfDurability(
  entry: EntryId,
  { before, group, place }: Happening,
): Breach | null {
  const membership = before.memberships.at(-1)?.membership;
  const holders = NODE_IDS.filter((_, i) => {
    const disk = group[i]?.durable;
    return disk !== undefined && holds(disk, entry);
  });
  if (membership !== undefined && isQuorum(membership, holders)) return null;
  const where = holders.length === 0 ? 'no disk' : `the disks of ${holders.join(' ')} only`;
  const what = `n${place + 1} commits ${entry.index}/${entry.term}`;
  return { invariant: 'I7', message: `${what}, which is on ${where}` };
}

/** L7, G2: of the memberships in the log of a node. */
export function breachOfMemberships(past: Past, place: number, node: LocalFacts): Breach | null {
  const [, ...logged] = node.memberships;
  const open = logged.filter(({ index }) => {
    const term = past.committed[index - 1]?.term;
    return term === undefined || term !== termAt(node.log, index);
  });
  if (open.length > 1) {
    const indices = open.map(({ index }) => index).join(' and ');
    return { invariant: 'L7', message: `n${place + 1} has two open memberships, at ${indices}` };
  }
  for (const [i, { index, membership }] of logged.entries()) {
    const earlier = node.memberships[i]?.membership;
    if (earlier === undefined || !canDecideApart(earlier, membership)) continue;
    const message = `a majority of the membership at ${index} may be none of the one before`;
    return { invariant: 'G2', message };
  }
  return null;
}

export function isQuorum(membership: Membership, nodes: readonly NodeId[]): boolean {
  const { voters, outgoing } = membership;
  const sets = outgoing.length === 0 ? [voters] : [voters, outgoing];
  return sets.every((set) => 2 * set.filter((id) => nodes.includes(id)).length > set.length);
}

/** Tries all divisions of the group in two. */
function canDecideApart(a: Membership, b: Membership): boolean {
  for (let subset = 0; subset < 2 ** NODE_IDS.length; subset++) {
    const inside = NODE_IDS.filter((_, i) => (subset & (1 << i)) !== 0);
    const outside = NODE_IDS.filter((_, i) => (subset & (1 << i)) === 0);
    if (isQuorum(a, inside) && isQuorum(b, outside)) return true;
  }
  return false;
}
