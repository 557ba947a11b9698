/**
 * What start-up found. Its lists are as long as the log and are needed once, by whoever builds the core:
 * then they are let go, so that what a process holds in memory follows the log that it keeps, and not the
 * one that it once read.
 */
import { assert } from '../base/assert.ts';
import type { LogIndex } from '../base/units.ts';
import type { HardState } from '../raft/effects.ts';
import type { EntryDesc } from '../raft/entry.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import type { LogBase, RecoveredLog } from './commit-log.ts';

export class RecoveredOnce implements RecoveredLog {
  readonly hardState: HardState;
  readonly base: LogBase;
  readonly provenCommitIndex: LogIndex;
  readonly bootCount: number;
  readonly bootIds: readonly string[];
  readonly tornBytes: number;
  readonly hasTornTail: boolean;
  /** null: released. */
  #lists: Pick<RecoveredLog, 'entries' | 'memberships'> | null;

  constructor(found: RecoveredLog) {
    const { entries, memberships } = found;
    this.hardState = found.hardState;
    this.base = found.base;
    this.provenCommitIndex = found.provenCommitIndex;
    this.bootCount = found.bootCount;
    this.bootIds = found.bootIds;
    this.tornBytes = found.tornBytes;
    this.hasTornTail = found.hasTornTail;
    this.#lists = { entries, memberships };
  }

  get entries(): readonly EntryDesc[] {
    return this.#held.entries;
  }

  get memberships(): readonly LoggedMembership[] {
    return this.#held.memberships;
  }

  release(): void {
    this.#lists = null;
  }

  get #held(): Pick<RecoveredLog, 'entries' | 'memberships'> {
    assert(this.#lists !== null, 'entries of start-up are asked for before they are released');
    return this.#lists;
  }
}
