/** What a planted bug and its witnesses are. The lists are in canary-cases-*.ts. */
import { type SafetyRules, standardRules } from '../../src/raft/rules.ts';
import type { InvariantId } from './checkers/violation.ts';
import { NO_BUGS, type PlantedBugs } from './planted-bugs.ts';

export interface Witness {
  readonly muted: readonly InvariantId[];
  /** Any of these is a fitting accusation. */
  readonly foundBy: readonly InvariantId[];
  readonly profile: string;
  readonly seedCountMax: number;
}

export interface Canary {
  /** C1 to C39 are those that the project's list of classic mistakes has; others have names. */
  readonly id: string;
  readonly bug: string;
  /** H1 to H32: the way in which systems in the field have lost data or peace by it. */
  readonly hazard: string;
  readonly bugs: PlantedBugs;
  readonly witnesses: readonly Witness[];
}

export function withRules(overrides: Partial<SafetyRules>): PlantedBugs {
  return { ...NO_BUGS, rules: { ...standardRules, ...overrides } };
}
