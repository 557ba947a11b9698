/**
 * The decisions of the store on which safety hangs, each as one small function, so that the simulator
 * can replace one by a classic bug and prove that it finds it. Production never passes anything but
 * `standardStoreRules`; there is no flag and no environment variable.
 */
import type { PhysicalOffset } from '../base/units.ts';
import type { EntryProblem } from '../protocol/entry-codec.ts';
import {
  decideRecovery,
  type RecoveryEvidence,
  type RecoveryFindings,
  type RecoveryVerdict,
  rewriteStart,
} from './recovery.ts';

export interface StoreRules {
  /** May an entry with this problem be used all the same (H4)? */
  readonly forgives: (problem: EntryProblem) => boolean;
  /** What start-up may make of a log whose end is not plain zeros (H3, H4). */
  readonly decideRecovery: (
    findings: RecoveryFindings,
    evidence: RecoveryEvidence,
  ) => RecoveryVerdict;
  /** From where on accepted bytes must be written again; null: from nowhere (H2). */
  readonly rewriteStart: (
    log: { readonly base: PhysicalOffset; readonly end: PhysicalOffset },
    evidence: RecoveryEvidence,
  ) => PhysicalOffset | null;
  /**
   * The order in which the steps of a cut become durable (H13). `zeros` are given from the last
   * segment to the first.
   */
  readonly orderOfCut: <Step>(lowersWatermark: Step, zeros: readonly Step[]) => readonly Step[];
  /** The order in which a compaction becomes durable (H8). `unlinks` are given front to back. */
  readonly orderOfCompaction: <Step>(swapsBase: Step, unlinks: readonly Step[]) => readonly Step[];
  /** Where the log goes that takes the place of this one (H8, H18). */
  readonly generationAfter: (generation: number) => number;
}

export const standardStoreRules: StoreRules = {
  forgives: () => false,
  decideRecovery,
  rewriteStart,
  // Before the first byte goes, the watermark says that it may.
  orderOfCut: (lowersWatermark, zeros) => [lowersWatermark, ...zeros],
  // Before the first file goes, the base says that it may.
  orderOfCompaction: (swapsBase, unlinks) => [swapsBase, ...unlinks],
  generationAfter: (generation) => generation + 1,
};
