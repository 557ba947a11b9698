/**
 * Where a test may make one replica apply something else than its log says, to prove that the others find out
 * (store-rules.ts is the same for the log). Production never passes anything but `standardApplyRules`.
 */
import type { Command } from '../../protocol/command-record.ts';

export interface ApplyRules {
  readonly commandOf: (written: Command) => Command;
}

export const standardApplyRules: ApplyRules = { commandOf: (written) => written };
