/** What can happen at one node, and what the rest of the group gets to see of it. */
import type { LogIndex, NodeId, Term } from '../../../src/base/units.ts';
import type { Role } from '../../../src/raft/effects.ts';
import type { EntryId } from '../../../src/raft/entry.ts';
import type { LoggedMembership, MembershipStep } from '../../../src/raft/membership.ts';
import type { Envelope, Message } from '../../../src/raft/messages.ts';

/** What clients and operators ask of a leader. */
export type Operation =
  | { readonly kind: 'propose' }
  | { readonly kind: 'read' }
  | { readonly kind: 'transfer'; readonly to: NodeId }
  | { readonly kind: 'change'; readonly steps: readonly MembershipStep[] }
  /** A snapshot covers all that is applied, and the log before is forgotten. */
  | { readonly kind: 'compact' };

export type LocalAction =
  | { readonly kind: 'receive'; readonly from: NodeId; readonly message: Message }
  /** The oldest write of the disk queue is durable. */
  | { readonly kind: 'persist' }
  /** Power fails and comes back. So many parts of the unfinished writes have reached the disk. */
  | { readonly kind: 'crash'; readonly keptParts: number }
  /** The election timer runs out. */
  | { readonly kind: 'fire' }
  /** A leader's heartbeats are due. */
  | { readonly kind: 'beat' }
  /** A leader hears nobody for so long that it stops leading; what it sends meanwhile is lost. */
  | { readonly kind: 'expire' }
  | { readonly kind: 'operate'; readonly operation: Operation; readonly tag: number };

/** The letters of the project's list of invariants; what each says is in invariants.ts. */
export type BrokenInvariant =
  | 'I1'
  | 'I4'
  | 'I5'
  | 'I7'
  | 'I8'
  | 'N1'
  | 'N2'
  | 'N3'
  | 'N5'
  | 'N9'
  | 'L7'
  | 'G1'
  | 'G2'
  | 'O2'
  | 'O3'
  | 'H23'
  | 'core';

export interface Breach {
  readonly invariant: BrokenInvariant;
  readonly message: string;
}

export type LocalEvent =
  | { readonly kind: 'acknowledged'; readonly index: LogIndex; readonly term: Term }
  | { readonly kind: 'readAsked'; readonly tag: number }
  | { readonly kind: 'readConfirmed'; readonly tag: number; readonly index: LogIndex }
  /** Nobody will answer these reads. */
  | { readonly kind: 'readOver'; readonly tag: number }
  | { readonly kind: 'readsLost' }
  | ({ readonly kind: 'breach' } & Breach);

export interface LocalOutcome {
  /** In the order in which they leave. */
  readonly sends: readonly Envelope[];
  readonly events: readonly LocalEvent[];
}

/** A log in short: what it stands on, and the term of each entry after that. */
export interface ShortLog {
  readonly base: EntryId;
  readonly terms: readonly Term[];
}

/** What the checks of the whole group and the list of choices need to know of a node. */
export interface LocalFacts {
  readonly role: Role;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly log: ShortLog;
  readonly durable: ShortLog;
  /** In the order of the log, what it stands on first; the last one is in force. */
  readonly memberships: readonly LoggedMembership[];
  readonly mayFire: boolean;
  readonly queuedCount: number;
  readonly crashPlaces: number;
}

/** The term of the entry at an index, null where the log has none or has forgotten it. */
export function termAt({ base, terms }: ShortLog, index: number): Term | null {
  if (index === base.index) return base.term;
  return terms[index - base.index - 1] ?? null;
}

export function lastIndexOf({ base, terms }: ShortLog): number {
  return base.index + terms.length;
}

/** Whether the entry is there: behind a snapshot everything is. */
export function holds(log: ShortLog, { index, term }: EntryId): boolean {
  return index < log.base.index || termAt(log, index) === term;
}
