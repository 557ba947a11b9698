/** Where the log begins for everybody who asks: the group's decision, applied (design section 5). */
import type { LogIndex, PhysicalOffset } from '../../base/units.ts';

export interface LogStart {
  /** First entry that is kept. */
  readonly index: LogIndex;
  /** Where its header lies; 0 as long as nothing was ever removed. */
  readonly offset: PhysicalOffset;
}
