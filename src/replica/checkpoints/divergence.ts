/**
 * Whether a replica is what the leader says that it should be, and if it is not, which of the two is wrong.
 *
 * A claim is the word of one replica, and may itself be wrong. So a replica that differs asks the others:
 * when a majority of the voters is what this one is, the claimant is wrong, and this one stays. In every other
 * case, also when nobody answers, the one that differs stops: of a replica too many an operator hears at once,
 * of a replica that serves something else only when it is too late.
 */
import { unreachable } from '../../base/assert.ts';
import type { LogIndex, NodeId } from '../../base/units.ts';
import { type DecidingSets, holdsMajority } from '../../raft/quorum.ts';
import type { Checkpoint } from '../../store/derived/checkpoint-table.ts';

export interface Divergence {
  /** `log`: another log. `state`: the same log, applied to something else. `bytes`: only on disk. */
  readonly kind: 'log' | 'state' | 'bytes';
  readonly index: LogIndex;
  readonly own: string;
  readonly claimed: string;
}

/** What a replica is at a checkpoint: header CRC of its log and digest of its state. */
export interface Standing {
  readonly headerCrc: number;
  readonly digest: string;
}

/** @param headerCrc of this replica's log at the checkpoint; null: it no longer has it */
export function divergenceOf(
  { index, digest, claim }: Checkpoint,
  headerCrc: number | null,
): Divergence | null {
  if (claim === null) return null;
  // Another log explains another state, not the other way round.
  if (headerCrc !== null && headerCrc !== claim.headerCrc) {
    return { kind: 'log', index, own: hex(headerCrc), claimed: hex(claim.headerCrc) };
  }
  if (digest === claim.stateDigest) return null;
  return { kind: 'state', index, own: digest, claimed: claim.stateDigest };
}

export type Verdict =
  /** This replica is to stop. */
  | 'selfWrong'
  /** Most are as this one is. */
  | 'claimWrong';

export interface Hearing {
  readonly self: NodeId;
  readonly own: Standing;
  readonly sets: DecidingSets;
  /** Who answered. */
  readonly others: ReadonlyMap<NodeId, Standing>;
}

/** Of a replica that differs from a claim. */
export function verdictOf({ self, own, sets, others }: Hearing): Verdict {
  const agrees = (id: NodeId): boolean => {
    const other = id === self ? own : others.get(id);
    return other !== undefined && isSame(other, own);
  };
  return holdsMajority(sets, agrees) ? 'claimWrong' : 'selfWrong';
}

/** Of the claimant: whether a majority agrees on something else. */
export function isOutvoted({ self, own, sets, others }: Hearing): Standing | null {
  for (const candidate of others.values()) {
    if (isSame(candidate, own)) continue;
    const agrees = (id: NodeId): boolean => {
      const other = others.get(id);
      return id !== self && other !== undefined && isSame(other, candidate);
    };
    if (holdsMajority(sets, agrees)) return candidate;
  }
  return null;
}

export function isSame(a: Standing, b: Standing): boolean {
  return a.headerCrc === b.headerCrc && a.digest === b.digest;
}

/** Between a replica that differs and the standing of most others. */
export function divergenceFrom(index: LogIndex, own: Standing, right: Standing): Divergence {
  if (own.headerCrc !== right.headerCrc) {
    return { kind: 'log', index, own: hex(own.headerCrc), claimed: hex(right.headerCrc) };
  }
  return { kind: 'state', index, own: own.digest, claimed: right.digest };
}

export function divergenceText({ kind, index, own, claimed }: Divergence): string {
  const numbers = `${own} here, ${claimed} in the group`;
  switch (kind) {
    case 'log':
      return `The log up to entry ${index} is not that of the group: header CRC ${numbers}`;
    case 'state':
      return `Derived state after entry ${index} is not that of the group: digest ${numbers}`;
    case 'bytes':
      return `Entries up to ${index} are on this disk in other bytes than in the group: SHA-256 ${numbers}`;
    default:
      return unreachable(kind);
  }
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
