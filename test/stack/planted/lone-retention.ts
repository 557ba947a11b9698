/** Retention that gives up whatever the leader itself can do without (H17). */
import { advance } from '../../../src/base/units.ts';
import type { LogExtent, Replica } from '../../../src/replica/replica.ts';

export function countsOnlyTheLeader(extent: LogExtent, { state }: Replica): LogExtent {
  return { ...extent, removableBefore: advance(state.appliedIndex, 1) };
}
