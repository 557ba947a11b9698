/**
 * What a restored cluster will be: pure, from the manifest of a backup and what the operator wants (ADR-8).
 *
 * It is another cluster: another id, other stores, other members. Its log is that of the backup and one config entry
 * behind it, in a term that no leader ever had. All its members are made with it, so it is committed from the first
 * day on, whichever of them are started first. Node ids that the old cluster used are not used again: the old
 * config entries, which stay in the log, pin them to the stores they had.
 */
import { createHash } from 'node:crypto';
import { NodeId, Term } from '../../base/units.ts';
import { type Membership, NODE_IDS_REMOVED_MAX } from '../../raft/membership.ts';
import { problemOf } from '../../raft/membership-change.ts';
import { encodeManifest, type Manifest } from './manifest.ts';

export interface RestoreWish {
  readonly clusterId: string;
  readonly members: readonly { readonly nodeId: string; readonly raftAddress: string }[];
  /** Of which a directory is made; null: of all. */
  readonly only: string | null;
  /** Each member's directory has its name in here. */
  readonly directory: string;
}

export interface RestoredMember {
  readonly nodeId: NodeId;
  readonly raftAddress: string;
  readonly storeUuid: string;
  readonly directory: string;
}

export interface RestorePlan {
  readonly manifest: Manifest;
  readonly clusterId: string;
  readonly term: Term;
  readonly membership: Membership;
  readonly members: readonly RestoredMember[];
  /** Those whose directories are made here. */
  readonly made: readonly RestoredMember[];
}

export type RestoreVerdict =
  | { readonly kind: 'plan'; readonly plan: RestorePlan }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

const WORD = /^[A-Za-z0-9_-]{1,64}$/;
/** As many as a group is founded with at most (config/broker-settings.ts). */
const MEMBERS_MAX = 9;

export function planRestore(manifest: Manifest, wish: RestoreWish): RestoreVerdict {
  const problems = problemsOf(manifest, wish);
  if (problems.length > 0) return { kind: 'refused', problems };
  const { clusterId, directory, only } = wish;
  const members = wish.members
    .map(({ nodeId, raftAddress }) => ({
      nodeId: NodeId(nodeId),
      raftAddress,
      storeUuid: storeUuidOf(manifest, clusterId, nodeId),
      directory: `${directory}/${nodeId}`,
    }))
    .toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const membership: Membership = {
    members: members.map(({ nodeId, storeUuid, raftAddress }) => ({
      ...{ nodeId, storeUuid, raftAddress },
      priority: 0,
    })),
    voters: members.map(({ nodeId }) => nodeId),
    outgoing: [],
    learners: [],
    removed: usedIds(manifest),
  };
  const problem = problemOf(membership);
  if (problem !== null) return { kind: 'refused', problems: [problem] };
  const made = members.filter(({ nodeId }) => only === null || nodeId === only);
  const term = Term(manifest.last.term + 1);
  return { kind: 'plan', plan: { manifest, clusterId, term, membership, members, made } };
}

/** Ids that were members of the old cluster, ever. */
export function usedIds({ membership }: Pick<Manifest, 'membership'>): readonly NodeId[] {
  const { members, removed } = membership.membership;
  return [...removed, ...members.map(({ nodeId }) => nodeId)];
}

function problemsOf(manifest: Manifest, { clusterId, members, only }: RestoreWish): string[] {
  const problems: string[] = [];
  const old = manifest.identity.clusterId;
  if (!WORD.test(clusterId))
    problems.push(`'${clusterId}' is no cluster id: 1 to 64 of A-Z a-z 0-9 _ -`);
  if (clusterId === old) {
    problems.push(
      `${old} is the cluster that was backed up: its members would take part in the new one`,
    );
  }
  if (members.length === 0 || members.length > MEMBERS_MAX) {
    problems.push(`${members.length} members: a group has 1 to ${MEMBERS_MAX}`);
  }
  const ids = members.map(({ nodeId }) => nodeId);
  const used: readonly string[] = usedIds(manifest);
  for (const [i, id] of ids.entries()) {
    if (!WORD.test(id)) problems.push(`'${id}' is no node id: 1 to 64 of A-Z a-z 0-9 _ -`);
    if (ids.indexOf(id) !== i) problems.push(`${id} is named twice`);
    if (used.includes(id)) {
      problems.push(
        `${id} was a node of ${old}, and a node id is used only once: give it another one`,
      );
    }
  }
  if (only !== null && !ids.includes(only)) problems.push(`${only} is none of ${ids.join(', ')}`);
  if (used.length > NODE_IDS_REMOVED_MAX) {
    problems.push(
      `${used.length} nodes were members, more than ${NODE_IDS_REMOVED_MAX} can be kept in mind`,
    );
  }
  return problems;
}

/**
 * Minted by what it is made from: whoever restores the members one by one, on their machines, names the same
 * stores everywhere, and any other restore names others.
 */
function storeUuidOf(manifest: Manifest, clusterId: string, nodeId: string): string {
  const hash = createHash('sha256').update(encodeManifest(manifest));
  const digits = hash.update(`\0${clusterId}\0${nodeId}`).digest('hex');
  // RFC 9562, version 8: digits of our own making.
  const variant = ((Number.parseInt(digits.charAt(16), 16) % 4) + 8).toString(16);
  const parts = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `8${digits.slice(13, 16)}`,
    `${variant}${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ];
  return parts.join('-');
}
