/** The ids of the invariants that the simulator checks, and the error that names a broken one. */

export const INVARIANTS = {
  I1: 'ElectionSafety',
  I2: 'LeaderAppendOnly',
  I3: 'LogMatching',
  I4: 'CommittedPrefixesAgree',
  I5: 'LeaderCompleteness',
  I7: 'CommittedIsDurable',
  I8: 'AckedForever',
  I9: 'StateMachineSafety',
  N1: 'TermAndVoteMonotone',
  N2: 'CommitMonotone',
  N3: 'TruncateOnlyOnConflict',
  N4: 'LogWellFormed',
  N5: 'PromiseIsDurable',
  L2: 'CommitOnlyOwnTerm',
  O1: 'ValueOnlyOnce',
  O2: 'RefusedNeverCommitted',
  V1: 'LeaderElected',
  V2: 'EverythingApplied',
  /** An assertion of the core itself. */
  core: 'InvariantError',
} as const;
export type InvariantId = keyof typeof INVARIANTS;

export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: InvariantId;
  constructor(invariant: InvariantId, message: string) {
    super(`${invariant} ${INVARIANTS[invariant]}: ${message}`);
    this.invariant = invariant;
  }
}

/** Reports a broken invariant, unless a canary looks for a later witness and muted this one. */
export class Judge {
  readonly #muted: ReadonlySet<InvariantId>;

  constructor(muted: readonly InvariantId[]) {
    this.#muted = new Set(muted);
  }

  /** `details` is called only when the invariant is broken. */
  require(condition: boolean, invariant: InvariantId, details: () => string): void {
    if (!condition && !this.#muted.has(invariant)) throw new Violation(invariant, details());
  }
}
