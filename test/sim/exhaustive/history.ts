/** What the checks of the whole group look at: the past of a schedule, and one step of it. */
import type { Term } from '../../../src/base/units.ts';
import type { Place } from './group.ts';
import type { LocalEvent, LocalFacts } from './local-action.ts';

export interface CommittedEntry {
  readonly term: Term;
  /** The term of the leader that committed it. */
  readonly committedIn: Term;
}

export interface OpenRead {
  readonly tag: number;
  readonly place: Place;
  /** The highest index that was acknowledged before the read was asked. */
  readonly floor: number;
}

export interface Past {
  /** By term: who led. */
  readonly leaders: readonly (Place | null)[];
  /** From index 1 on. */
  readonly committed: readonly CommittedEntry[];
  readonly acknowledgedIndex: number;
  readonly reads: readonly OpenRead[];
}

/** One transition of one node, and the group around it. */
export interface Happening {
  readonly place: Place;
  readonly before: LocalFacts;
  /** The state of the node after it; also the key of what was checked before. */
  readonly localId: number;
  readonly after: LocalFacts;
  readonly events: readonly LocalEvent[];
  /** Of all nodes, after it. */
  readonly group: readonly LocalFacts[];
}
