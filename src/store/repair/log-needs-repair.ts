/** A log that was durable here and is no longer whole: the node must not take part before it is. */
import { FatalError } from '../../base/errors.ts';
import type { LogRepairer } from './log-repairer.ts';

/** To whoever cannot repair, a log that cannot be opened. */
export class LogNeedsRepair extends FatalError {
  /** Owns the directory, lock included; whoever catches this closes it or reopens the log with it. */
  readonly repairer: LogRepairer;

  constructor(message: string, repairer: LogRepairer) {
    super('logDamaged', message);
    this.repairer = repairer;
  }
}
