/**
 * Plans and checks: what a change of the group would do, step by step, and what speaks against it. Made
 * by the leader; the command line only shows them.
 */
import type { LogIndex, NodeId } from '../base/units.ts';

export interface Plan {
  /**
   * Eight hexadecimal digits over the action, the membership it is for, and the steps that are left.
   * Whoever saw a plan asks for this one by `ifPlan`.
   */
  readonly hash: string;
  /** The config entry that the plan is valid for. 0: the founding membership. */
  readonly configIndex: LogIndex;
  /** As it is typed: `replace n3 n4`. */
  readonly action: string;
  /** In order; those already done come first. */
  readonly steps: readonly PlanStep[];
}

export const STEP_KINDS = [
  'addLearner',
  /** The new process starts with the token and is met. */
  'join',
  'catchUp',
  'handOver',
  /** The old and the new set both decide. */
  'joint',
  'leaveJoint',
  'removeLearner',
  'tombstone',
  'drain',
  /** The clients of a drained node go elsewhere. */
  'leave',
  'undrain',
  'restart',
  /** Wait until everybody is well again. */
  'gate',
  'snapshot',
  'scrub',
  'features',
  'unlock',
] as const;
export type StepKind = (typeof STEP_KINDS)[number];

export const STEP_STATUSES = ['done', 'now', 'later'] as const;

export interface PlanStep {
  readonly kind: StepKind;
  /** For people: `add n4 as learner`. */
  readonly sentence: string;
  /** `now`: the first one that is not done. */
  readonly status: (typeof STEP_STATUSES)[number];
  /** The sets that decide while and after the step; two in a joint phase, and each must have a majority. */
  readonly quorums: readonly QuorumArithmetic[];
  /** Of `catchUp`: what is to be copied, as far as it is known. */
  readonly bytes: number | null;
}

/** A set of voters, and how many of them may be lost. */
export interface QuorumArithmetic {
  readonly voters: readonly NodeId[];
  /** Those that are heard, have nearly all of the log, and whose disk works. */
  readonly live: readonly NodeId[];
  readonly needed: number;
  /** `live - needed`: failures that are still survived. Negative: the set cannot decide. */
  readonly tolerates: number;
}

export const CHECK_IDS = [
  // Of every change of the membership (the leader's own state).
  'ownTermCommitted',
  'noChangeInFlight',
  /** `ifConfig` and `ifPlan`. */
  'configUnmoved',
  'planUnmoved',
  'operatorLock',
  'noTransferInProgress',
  // Identity.
  'nodeKnown',
  'nodeIdUnused',
  'addressUnused',
  'addressValid',
  'memberCountMax',
  // Arithmetic.
  'quorumBefore',
  'quorumDuring',
  'quorumAfter',
  'faultTolerance',
  'oddVoters',
  'threeVoters',
  /** Of `replace`: the old node works, so that it is better kept. Allowed by `planned`. */
  'oldNodeDown',
  // The node that is to do more than before.
  'targetJoined',
  'targetLive',
  'targetCaughtUp',
  'targetDiskRoom',
  'targetDiskSpeed',
  // Everybody else.
  'nobodyUnderRepair',
  /** What the others lack, or have damaged, is not taken away with those who leave. */
  'soleCopy',
  /** No zone holds a majority. Never a reason to refuse; only where a zone is set. */
  'zoneSpread',
  'featureLevel',
  'eligibleLeader',
  'transferTarget',
  // Of `check` only.
  'quorumMargin',
  'twoCopies',
  'syncTime',
  'loopDelay',
  'diskRoom',
  'clockSkew',
  'sameVersion',
  'swap',
  'scrubAge',
  'membersAnswer',
] as const;
export type CheckId = (typeof CHECK_IDS)[number];

/** `warning`: said, and no reason to refuse. */
export const CHECK_VERDICTS = ['ok', 'warning', 'failed'] as const;
export type CheckVerdict = (typeof CHECK_VERDICTS)[number];

export interface Check {
  readonly id: CheckId;
  readonly verdict: CheckVerdict;
  /** The member it is about; null: the group. */
  readonly subject: NodeId | null;
  /** What was seen, with numbers. */
  readonly observed: string;
  /** What it must be. */
  readonly limit: string;
  /** The way out; empty when there is nothing to do. */
  readonly remedy: string;
}

/**
 * Risks that a caller may take, each by its name; nothing else is ever waived.
 * `evenVoters`: an even number of voters. `belowThree`: fewer than three. `lessTolerance`: fewer failures
 * survived afterwards than before. `planned`: replace a member that works. `slowDisk`: a voter whose disk is
 * slow, which slows down every write that waits for it; not one whose writes do not end.
 */
export const ALLOWANCES = [
  'evenVoters',
  'belowThree',
  'lessTolerance',
  'planned',
  'slowDisk',
] as const;
export type Allowance = (typeof ALLOWANCES)[number];
