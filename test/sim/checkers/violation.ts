/** The ids of the invariants that the simulator checks, and the error that names a broken one. */

export const INVARIANTS = {
  // The whole group.
  I1: 'ElectionSafety',
  I2: 'LeaderAppendOnly',
  I3: 'LogMatching',
  I4: 'CommittedPrefixesAgree',
  I5: 'LeaderCompleteness',
  I6: 'QuorumLog',
  I7: 'CommittedIsDurable',
  I8: 'AckedForever',
  I9: 'StateMachineSafety',
  I10: 'NewerLogsHoldWhatOldTermsCommitted',
  // One node.
  N1: 'TermAndVoteMonotone',
  N2: 'CommitMonotone',
  N3: 'TruncateOnlyOnConflict',
  N4: 'LogWellFormed',
  N5: 'PromiseIsDurable',
  N7: 'TermsOfMessages',
  N8: 'OnlyTrueStoresAreHeard',
  N9: 'OnlyTheFitCampaign',
  // A leader.
  L2: 'CommitOnlyOwnTerm',
  L5: 'WindowsAreBounded',
  L6: 'ReadIsConfirmed',
  L7: 'OneChangeAtATime',
  L8: 'LeaderMakesProgress',
  L9: 'HandOverToTheFit',
  // Membership.
  G1: 'MembershipIsTheLastInTheLog',
  G2: 'QuorumsOfNeighboursMeet',
  G3: 'MembershipWellFormed',
  // What clients see.
  O1: 'ValueOnlyOnce',
  O2: 'RefusedNeverCommitted',
  O3: 'ReadSeesWhatWasAcknowledged',
  // Progress.
  E1: 'CampaignOnlyWhenWelcome',
  V1: 'LeaderElected',
  V2: 'EverythingApplied',
  V3: 'NothingGrowsForEver',
  V4: 'NoNeedlessLeaderChange',
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
