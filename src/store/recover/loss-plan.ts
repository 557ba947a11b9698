/**
 * How a group goes on whose members all lack the same entries (ADR-9): one directory, alone, under another cluster
 * id, with a log that begins behind the loss. Pure: what is true of the disks has been found out before.
 *
 * Where a segment of the directory begins behind all its damage, the log begins with it, and the messages in it
 * stay. Where none does, the log begins anew behind the last file, and all messages go. Either way the state is
 * that of a snapshot at or behind the loss, so whatever the lost entries did beside bringing messages is kept.
 */
import { LogIndex, type NodeId, Term } from '../../base/units.ts';
import { CHAIN_SEED } from '../../protocol/entry-codec.ts';
import { isJoint, type LoggedMembership, type Membership } from '../../raft/membership.ts';
import type { StoreView } from '../inspect/store-view.ts';
import { tipOfBase } from '../log-base.ts';
import type { Tip } from '../repair/region.ts';
import { type DirectoryLog, endOfFiles, termAt } from './directory-log.ts';
import { countIn, type EntryRange } from './entry-marks.ts';
import type { FoundSnapshot } from './found-snapshot.ts';
import { conflictIn, LogUnion, nodeOf } from './log-union.ts';
import type { NewBase } from './loss-base.ts';
import {
  aloneIn,
  type LossBound,
  lossOf,
  membershipBefore,
  nextClusterId,
  type RecoveryWish,
  UNKNOWN_ADDRESS,
} from './recovery-plan.ts';

export interface LossEvidence {
  readonly logs: readonly DirectoryLog[];
  /** Whole, at or behind the last entry of the range. */
  readonly snapshot: FoundSnapshot;
  /** What the operator gives up. */
  readonly accepted: EntryRange;
  /** Members that never come back, as the operator says. */
  readonly declaredLost: readonly NodeId[];
  readonly wish: LossWish;
}

export interface LossWish extends RecoveryWish {
  /** Of the node that goes on, where no entry that is left says it. */
  readonly raftAddress: string | null;
}

export interface LossPlan {
  /** With its directory the group goes on. */
  readonly winner: DirectoryLog;
  readonly union: LogUnion;
  readonly snapshot: FoundSnapshot;
  /** What nobody can read of the entries that the snapshot stands on. */
  readonly lost: readonly EntryRange[];
  /** Up to here the group is known to have committed. */
  readonly provenIndex: LogIndex;
  /** The first entry of the old log that stays; null: none does. */
  readonly keptFrom: LogIndex | null;
  /** Last entry of the old log whose effect is kept. */
  readonly lastIndex: LogIndex;
  /** What the new log stands on. */
  readonly base: NewBase;
  /** Behind it the entries come with which the new log goes on. */
  readonly tip: Tip;
  readonly newClusterId: string;
  readonly newTerm: Term;
  readonly membership: Membership;
  /** Never members again. */
  readonly out: readonly NodeId[];
  /** What members that are gone may have acknowledged besides; null: a majority was given. */
  readonly bound: LossBound | null;
}

export type LossPlanVerdict =
  | { readonly kind: 'plan'; readonly plan: LossPlan }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

export function planLoss(evidence: LossEvidence): LossPlanVerdict {
  const { logs, snapshot, accepted, wish } = evidence;
  const ranking = logs.toSorted(byWorth);
  const winner = ranking[0];
  if (winner === undefined) return { kind: 'refused', problems: ['no directory is given'] };
  const { survivor, kept } = winner;
  const union = new LogUnion(winner, ranking.slice(1));
  const { appliedIndex, logStart } = snapshot.info;
  const lastIndex = lastIndexOf(winner, union, appliedIndex);
  const provenIndex = LogIndex(
    Math.max(appliedIndex, ...logs.map((log) => log.survivor.provenCommitIndex)),
  );
  const lost = union.lostIn({ from: logStart.index, to: lastIndex });
  const newClusterId = wish.newClusterId ?? nextClusterId(survivor.clusterId);
  const problems = [
    ...conflictsAmong(ranking, provenIndex),
    ...outsideOf(accepted, lost),
    ...endProblems(winner, ranking, provenIndex, lastIndex),
    ...snapshotProblems(winner, snapshot),
    ...nameProblems(newClusterId, survivor.clusterId),
  ];
  if (problems.length > 0) return { kind: 'refused', problems };
  const newTerm = Term(Math.max(...logs.map((log) => log.survivor.term)) + 1);
  const before = newestMembership(logs, lastIndex) ?? {
    index: LogIndex(0),
    membership: membershipBefore(survivor),
  };
  const membership = aloneAmong(before.membership, evidence, winner);
  if (membership === null) return { kind: 'refused', problems: [addressProblem(winner)] };
  const base =
    kept === null
      ? newBase(winner, lastIndex, membership, snapshot)
      : baseOfKept(winner, kept.base, logs, before);
  return {
    kind: 'plan',
    plan: {
      ...{ winner, union, snapshot, lost, provenIndex, lastIndex, base },
      ...{ newClusterId, newTerm, membership },
      keptFrom: kept === null ? null : LogIndex(kept.base.index + 1),
      tip: kept === null ? tipOfBase(base) : kept.tip,
      out: membership.removed,
      bound: hasMajority(before.membership, ranking)
        ? null
        : lossOf(
            survivor,
            ranking.map((log) => log.survivor),
            wish,
          ),
    },
  };
}

/** As restore-plan.ts has it. */
const CLUSTER_ID = /^[A-Za-z0-9_-]{1,64}$/;

function nameProblems(newClusterId: string, oldClusterId: string): string[] {
  if (!CLUSTER_ID.test(newClusterId)) {
    return [`'${newClusterId}' is no cluster id: 1 to 64 of A-Z a-z 0-9 _ -`];
  }
  if (newClusterId !== oldClusterId) return [];
  return ['the new cluster id is the old one: the others could join again'];
}

/** As a vote would have it (Raft 5.4.1); of equal ones that which gives up least. */
function byWorth(a: DirectoryLog, b: DirectoryLog): number {
  const lastTerm = ({ terms }: DirectoryLog): number => terms.at(-1)?.term ?? 0;
  const givesUp = ({ kept }: DirectoryLog): number => kept?.base.index ?? Number.MAX_SAFE_INTEGER;
  return lastTerm(b) - lastTerm(a) || lastOf(b) - lastOf(a) || givesUp(a) - givesUp(b);
}

function lastOf({ kept, marks }: DirectoryLog): LogIndex {
  return kept?.tip.index ?? marks.lastGood;
}

/** Behind the snapshot entries count as far as they follow from each other; behind that may be a torn end. */
function lastIndexOf(
  { kept, marks }: DirectoryLog,
  union: LogUnion,
  appliedIndex: LogIndex,
): LogIndex {
  const end = kept?.tip.index ?? marks.lastGood;
  if (kept !== null || end <= appliedIndex) return LogIndex(Math.max(end, appliedIndex));
  const [gap] = union.lostIn({ from: LogIndex(appliedIndex + 1), to: end });
  return gap === undefined ? end : LogIndex(gap.from - 1);
}

function conflictsAmong(logs: readonly DirectoryLog[], provenIndex: LogIndex): string[] {
  return logs.flatMap((a, i) =>
    logs.slice(i + 1).flatMap((b) => {
      const end = Math.min(provenIndex, a.marks.lastGood, b.marks.lastGood);
      const index = conflictIn(a.marks, b.marks, LogIndex(end));
      if (index === null) return [];
      return [
        `${nodeOf(a)} and ${nodeOf(b)} hold different entries ${index}, and entry ${provenIndex} is proven committed: one of them is damaged, or not of this group`,
      ];
    }),
  );
}

function outsideOf(accepted: EntryRange, lost: readonly EntryRange[]): string[] {
  const outside = lost.flatMap(({ from, to }) => [
    ...orderly(from, Math.min(to, accepted.from - 1)),
    ...orderly(Math.max(from, accepted.to + 1), to),
  ]);
  if (outside.length === 0) return [];
  const from = Math.min(accepted.from, ...outside.map((range) => range.from));
  const to = Math.max(accepted.to, ...outside.map((range) => range.to));
  const texts = outside.map((range) =>
    range.from === range.to ? `${range.from}` : `${range.from}-${range.to}`,
  );
  return [
    `entries ${texts.join(', ')} cannot be read by anybody either: --accept-loss ${from}-${to} gives them up, too`,
  ];
}

function orderly(from: number, to: number): readonly EntryRange[] {
  return from <= to ? [{ from: LogIndex(from), to: LogIndex(to) }] : [];
}

/** What was committed, or durable where it cannot be read now, is given up by name or not at all. */
function endProblems(
  winner: DirectoryLog,
  logs: readonly DirectoryLog[],
  provenIndex: LogIndex,
  lastIndex: LogIndex,
): string[] {
  const unread = logs
    .filter(({ durableIndex, marks }) => durableIndex > marks.lastGood)
    .map(({ durableIndex }) => durableIndex);
  const needed = Math.max(provenIndex, winner.durableIndex, ...unread);
  if (needed <= lastIndex) return [];
  return [
    `the log ends with entry ${lastIndex}, but entry ${needed} was durable: what is between must be given up as well, up to ${needed}, with a snapshot at or behind it`,
  ];
}

function snapshotProblems(winner: DirectoryLog, { path, info }: FoundSnapshot): string[] {
  const { appliedIndex, appliedTerm, logStart } = info;
  const isThere = winner.marks.isGood(appliedIndex);
  const term = isThere ? termAt(winner, appliedIndex) : appliedTerm;
  const problems: string[] = [];
  if (term !== appliedTerm) {
    problems.push(
      `${path} is of term ${appliedTerm}, but entry ${appliedIndex} of ${nodeOf(winner)} is of term ${term}: it is of another history`,
    );
  }
  if (winner.kept !== null && logStart.index > winner.kept.tip.index + 1) {
    problems.push(`${path} needs entries from ${logStart.index} on, which are not there`);
  }
  return problems;
}

function newestMembership(
  logs: readonly DirectoryLog[],
  lastIndex: LogIndex,
): LoggedMembership | null {
  const all = logs.flatMap(({ memberships }) => memberships);
  const valid = all.filter(({ index }) => index <= lastIndex).sort((a, b) => a.index - b.index);
  return valid.at(-1) ?? null;
}

/**
 * A lost entry may have brought a member that only those remember who have met it.
 * @returns null when nobody knows where the one that goes on is reached
 */
function aloneAmong(
  before: Membership,
  { logs, declaredLost, wish }: LossEvidence,
  { survivor }: DirectoryLog,
): Membership | null {
  const { nodeId, storeUuid } = survivor;
  const own = before.members.find((member) => member.nodeId === nodeId);
  const isKnown = own !== undefined && own.raftAddress !== UNKNOWN_ADDRESS;
  const raftAddress = isKnown ? own.raftAddress : wish.raftAddress;
  if (raftAddress === null) return null;
  const priority = own?.priority ?? 0;
  const alone: Membership = {
    ...aloneIn(before, survivor),
    members: [{ nodeId, storeUuid, raftAddress, priority }],
  };
  const met = logs.flatMap((log) => [nodeOf(log), ...log.survivor.peersMet]);
  const out = new Set([...alone.removed, ...met, ...declaredLost]);
  out.delete(survivor.nodeId);
  return { ...alone, removed: [...out] };
}

function addressProblem(log: DirectoryLog): string {
  return `no entry that is left says where ${nodeOf(log)} is reached: give the address of its --raft with --addr`;
}

function baseOfKept(
  winner: DirectoryLog,
  { index, term, end, headerCrc }: Tip,
  logs: readonly DirectoryLog[],
  before: LoggedMembership,
): NewBase {
  const membership = newestMembership(logs, index) ?? {
    index: LogIndex(0),
    membership: before.membership,
  };
  const desc = { last: { index, term }, endOffset: end, membership };
  return { desc, headerCrc, ...placeOf(winner.view) };
}

/**
 * The log goes on in a file of its own, as if a filler had brought it there. The last entry that counts may be
 * one that nobody can read; then nothing chains to it.
 */
function newBase(
  { marks, view, terms, survivor }: DirectoryLog,
  lastIndex: LogIndex,
  membership: Membership,
  { info }: FoundSnapshot,
): NewBase {
  const isRead = marks.isGood(lastIndex);
  const known = isRead ? termAt({ terms }, lastIndex) : null;
  const term = known ?? (lastIndex === info.appliedIndex ? info.appliedTerm : survivor.term);
  return {
    desc: {
      last: { index: lastIndex, term },
      endOffset: endOfFiles(view),
      membership: { index: lastIndex, membership },
    },
    headerCrc: (isRead ? marks.headerCrcAt(lastIndex) : null) ?? CHAIN_SEED,
    ...placeOf(view),
    // What the notes say of the last entry is not where the new log begins.
    firstNote: (view.ring.newest?.sequence ?? 0) + 1,
  };
}

function placeOf({ base }: StoreView): Pick<NewBase, 'generation' | 'firstNote'> {
  const { found } = base;
  if (found.kind === 'refuse') return { generation: 0, firstNote: 0 };
  const { generation, firstNote } = found.record;
  return { generation, firstNote };
}

function hasMajority(membership: Membership, logs: readonly DirectoryLog[]): boolean {
  const ids = logs.map(nodeOf);
  const sets = isJoint(membership) ? [membership.voters, membership.outgoing] : [membership.voters];
  return sets.every((set) => 2 * set.filter((id) => ids.includes(id)).length > set.length);
}

/** Entries of which nothing can be read. */
export function lostCountOf({ lost }: Pick<LossPlan, 'lost'>): number {
  return countIn(lost);
}
