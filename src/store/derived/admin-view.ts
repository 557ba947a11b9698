/** What operators have decided, as the others read it: part of derived state, made by admin-table.ts. */
import type { LogIndex, NodeId } from '../../base/units.ts';
import type { AuditLine } from '../../protocol/admin-command.ts';

/**
 * `lockHeld`: by another operation. `lockLost`: by another, or nobody. `noToken`: the node has none, or
 * another. `tokenUsed`: by another store. `storeRetired`: it belonged to a node that left. `levelLower`: a
 * feature level never falls.
 */
export type AdminOutcome =
  | 'done'
  | 'lockHeld'
  | 'lockLost'
  | 'noToken'
  | 'tokenExpired'
  | 'tokenUsed'
  | 'storeRetired'
  | 'levelLower';

export interface OperatorLock {
  readonly operationId: string;
  readonly owner: string;
  readonly action: string;
  readonly takenAtMs: number;
}

export interface JoinToken {
  readonly nodeId: NodeId;
  /** SHA-256. */
  readonly tokenHash: Uint8Array;
  readonly expiresAtMs: number;
  /** The store that has used it; empty: none. */
  readonly usedBy: string;
}

export interface RetiredNode {
  readonly nodeId: NodeId;
  readonly storeUuid: string;
  readonly raftAddress: string;
}

export interface AuditEvent extends AuditLine {
  /** 1, 2, ... without gaps. */
  readonly sequence: number;
  readonly logIndex: LogIndex;
}

export interface AdminView {
  readonly lock: OperatorLock | null;
  /** Ascending. */
  readonly drained: readonly NodeId[];
  readonly retired: readonly RetiredNode[];
  readonly featureLevel: number;
  readonly lastSequence: number;
  tokenOf(nodeId: NodeId): JoinToken | null;
  /** Ascending, the oldest of those that are kept first. */
  eventsAfter(sequence: number, countMax: number): readonly AuditEvent[];
}
