/**
 * The decisions on which safety hangs, each as one small function, so that the simulator can replace
 * one by a classic bug and prove that it finds it. Production never passes anything but
 * `standardRules`; there is no flag and no environment variable.
 */
import type { LogIndex, Term } from '../base/units.ts';
import type { TermLookup } from './core-types.ts';
import type { EntryDesc } from './entry.ts';

export interface SafetyRules {
  /** May a leader of `currentTerm` commit an entry of `entryTerm` by counting copies (Raft 5.4.2)? */
  mayCommitByCounting(entryTerm: Term, currentTerm: Term): boolean;
  /**
   * The first index to cut before `incoming` is appended, null for no cut. `incoming` follows an
   * entry that is known to match. A cut needs a proven conflict (Raft 5.3, hazard H13).
   */
  cutFrom(log: LogTerms, incoming: readonly EntryDesc[]): LogIndex | null;
  /** Highest own index that may be acknowledged to a leader or counted for commit. */
  countableIndex(lastIndex: LogIndex, durableIndex: LogIndex): LogIndex;
  /** Must a granted vote be durable before the reply leaves (Raft 5.2, hazard H7)? */
  voteWaitsForDisk(): boolean;
}

export interface LogTerms {
  readonly lastIndex: LogIndex;
  termAt(index: LogIndex): TermLookup;
}

export const standardRules: SafetyRules = {
  mayCommitByCounting: (entryTerm, currentTerm) => entryTerm === currentTerm,

  cutFrom(log, incoming) {
    for (const entry of incoming) {
      const ours = log.termAt(entry.index);
      // A message that is shorter than the log, or that only repeats it, proves nothing.
      if (ours === 'absent') return null;
      if (ours !== 'compacted' && ours !== entry.term) return entry.index;
    }
    return null;
  },

  countableIndex: (_lastIndex, durableIndex) => durableIndex,

  voteWaitsForDisk: () => true,
};
