/**
 * Whether, and from which directory, a group that has lost its majority can go on, and what that may cost. Pure:
 * what is true of the disks has been found out before (survivor.ts).
 *
 * What is certain: entries that a survivor proves committed are kept. What is not: the lost majority may have
 * committed more than any survivor ever saw, and nobody who is left can know. All of that was stored after the last
 * message that is proven committed, and before the moment of the loss, as far as the clocks agree. So the bound is
 * what the group would have taken in at its last rate in that time. It is no promise for a group that was busier
 * then: at k times the rate it is k times as much.
 */
import { LogIndex, type NodeId, type Term } from '../../base/units.ts';
import { isJoint, type Membership } from '../../raft/membership.ts';
import type { Survivor } from './survivor.ts';

export interface LossBound {
  /** Up to here everything is committed, and kept. */
  readonly provenIndex: LogIndex;
  /** Up to here everything is kept, whether anybody was told of it or not. */
  readonly keptIndex: LogIndex;
  readonly messagesPerSecond: number;
  /** From the last message that is proven committed to the loss: then the lost may have gone on without this survivor. null: no message says when. */
  readonly unseenMs: number | null;
  /** Messages at most, at that rate for that time. */
  readonly messagesMax: number;
}

export interface RecoveryPlan {
  readonly winner: Survivor;
  /** Best first. */
  readonly ranking: readonly Survivor[];
  readonly loss: LossBound;
  readonly newClusterId: string;
  readonly newTerm: Term;
  readonly membership: Membership;
  /** Never members again. */
  readonly lost: readonly NodeId[];
}

export type RecoveryVerdict =
  | { readonly kind: 'plan'; readonly plan: RecoveryPlan }
  | {
      readonly kind: 'refused';
      readonly ranking: readonly Survivor[];
      readonly problems: readonly string[];
    };

export interface RecoveryWish {
  /** When the others were lost, as the operator knows it. */
  readonly lostAtMs: number;
  /** null: the old one with another ending. */
  readonly newClusterId: string | null;
}

/** Two survivors that hold different entries at an index. */
export interface Disagreement {
  readonly a: NodeId;
  readonly b: NodeId;
  readonly index: LogIndex;
}

/** Best first: by the last term, then by the length, as a vote would have it (Raft 5.4.1); whole ones only. */
export function ranked(survivors: readonly Survivor[]): readonly Survivor[] {
  const rank = ({ problem }: Survivor): number => (problem === null ? 0 : 1);
  return survivors.toSorted(
    (a, b) => rank(a) - rank(b) || b.lastTerm - a.lastTerm || b.lastIndex - a.lastIndex,
  );
}

/**
 * Where two logs must be the same: what the worse one proves committed the better one holds, as a leader would
 * (Raft 5.4). The tail of the worse one may be another one: of a leader that nobody followed. null: nothing is
 * proven, or the better one does not go so far, which is no matter of comparing.
 */
export function comparedIndex(better: Survivor, worse: Survivor): LogIndex | null {
  const index = worse.provenCommitIndex;
  return index === 0 || index > better.lastIndex ? null : index;
}

export function planRecovery(
  survivors: readonly Survivor[],
  disagreements: readonly Disagreement[],
  wish: RecoveryWish,
): RecoveryVerdict {
  const ranking = ranked(survivors);
  const winner = ranking[0];
  if (winner === undefined)
    return { kind: 'refused', ranking, problems: ['no directory is given'] };
  const members = membershipBefore(winner);
  const newClusterId = wish.newClusterId ?? nextClusterId(winner.clusterId);
  const problems = [
    ...strangersAmong(ranking),
    ...unusable(winner),
    ...disagreementTexts(disagreements),
    ...behindProof(winner, ranking),
    ...needless(members, ranking),
    ...(newClusterId === winner.clusterId
      ? ['the new cluster id is the old one: the lost could join again']
      : []),
  ];
  if (problems.length > 0) return { kind: 'refused', ranking, problems };
  const lost = allIds(members).filter((id) => id !== winner.nodeId);
  return {
    kind: 'plan',
    plan: {
      winner,
      ranking,
      loss: lossOf(winner, ranking, wish),
      newClusterId,
      newTerm: (Math.max(...ranking.map(({ term }) => term)) + 1) as Term,
      membership: aloneIn(members, winner),
      lost,
    },
  };
}

/** Of a member that no entry of the log names. */
export const UNKNOWN_ADDRESS = 'unknown:1';

/** As the log says, or, where it was never changed, all that the survivor has met. */
export function membershipBefore(survivor: Survivor): Membership {
  if (survivor.membership !== null) return survivor.membership;
  const { nodeId, storeUuid, peersMet } = survivor;
  const ids = [nodeId, ...peersMet].toSorted();
  return {
    members: ids.map((id) => ({
      nodeId: id,
      storeUuid: id === nodeId ? storeUuid : null,
      raftAddress: UNKNOWN_ADDRESS,
      priority: 0,
    })),
    voters: ids,
    outgoing: [],
    learners: [],
    removed: [],
  };
}

export function aloneIn(before: Membership, { nodeId, storeUuid }: Survivor): Membership {
  const own = before.members.find((member) => member.nodeId === nodeId);
  const lost = allIds(before).filter((id) => id !== nodeId && !before.removed.includes(id));
  return {
    members: [
      {
        nodeId,
        storeUuid,
        raftAddress: own?.raftAddress ?? UNKNOWN_ADDRESS,
        priority: own?.priority ?? 0,
      },
    ],
    voters: [nodeId],
    outgoing: [],
    learners: [],
    removed: [...before.removed, ...lost],
  };
}

function allIds({ members }: Membership): readonly NodeId[] {
  return members.map(({ nodeId }) => nodeId);
}

function strangersAmong(ranking: readonly Survivor[]): string[] {
  const [first, ...others] = ranking;
  if (first === undefined) return [];
  const problems = others
    .filter(({ clusterId, groupId }) => clusterId !== first.clusterId || groupId !== first.groupId)
    .map(
      ({ directory, clusterId, groupId }) =>
        `${directory} belongs to group ${groupId} of ${clusterId}, not to ${first.groupId} of ${first.clusterId}`,
    );
  const ids = ranking.map(({ nodeId }) => nodeId);
  const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
  return [...problems, ...twice.map((id) => `two directories are of ${id}: one is a copy`)];
}

function unusable({ directory, problem, lastIndex }: Survivor): string[] {
  if (problem !== null)
    return [`no directory could be started; the best, ${directory}: ${problem}`];
  return lastIndex === 0 ? [`${directory} holds no entry: there is nothing to recover`] : [];
}

function disagreementTexts(disagreements: readonly Disagreement[]): string[] {
  return disagreements.map(
    ({ a, b, index }) =>
      `${a} and ${b} hold different entries at or below entry ${index}, which is proven committed: one of them is damaged, or not of this group`,
  );
}

/** Committed entries that another survivor proves are not given up: they exist. */
function behindProof({ nodeId, lastIndex }: Survivor, ranking: readonly Survivor[]): string[] {
  return ranking
    .filter(({ provenCommitIndex }) => provenCommitIndex > lastIndex)
    .map(
      (other) =>
        `${other.nodeId} proves entry ${other.provenCommitIndex} committed, but the best log, of ${nodeId}, ends with entry ${lastIndex}: repair ${other.nodeId} first`,
    );
}

/** A majority that is left needs no recovery, and a recovery would split the group. */
function needless(membership: Membership, ranking: readonly Survivor[]): string[] {
  const left = ranking.filter(({ problem }) => problem === null).map(({ nodeId }) => nodeId);
  const sets = isJoint(membership) ? [membership.voters, membership.outgoing] : [membership.voters];
  const isQuorum = sets.every(
    (set) => 2 * left.filter((id) => set.includes(id)).length > set.length,
  );
  if (!isQuorum) return [];
  const voters = membership.voters.join(', ');
  return [
    `${left.join(' and ')} are a majority of the voters {${voters}}: start them, nothing has to be given up`,
  ];
}

export function lossOf(
  winner: Survivor,
  ranking: readonly Survivor[],
  { lostAtMs }: RecoveryWish,
): LossBound {
  const { traffic, lastIndex } = winner;
  const proven = Math.max(...ranking.map(({ provenCommitIndex }) => provenCommitIndex));
  const { provenAtMs } = traffic;
  const unseenMs = provenAtMs === null ? null : Math.max(0, lostAtMs - provenAtMs);
  return {
    provenIndex: LogIndex(Math.min(proven, lastIndex)),
    keptIndex: lastIndex,
    messagesPerSecond: traffic.messagesPerSecond,
    unseenMs,
    messagesMax: Math.ceil(((unseenMs ?? 0) / 1_000) * traffic.messagesPerSecond),
  };
}

const NAME_LENGTH_MAX = 64;

/** `payments`, `payments-r1`, `payments-r2`: whoever reads it sees that something happened. */
export function nextClusterId(clusterId: string): string {
  const [, stem = clusterId, number = '0'] = /^(.*)-r(\d{1,6})$/.exec(clusterId) ?? [];
  const ending = `-r${Number(number) + 1}`;
  return `${stem.slice(0, NAME_LENGTH_MAX - ending.length)}${ending}`;
}
