/** Walks one path again with three cores that share nothing with any other path, and tells it. */
import type { SafetyRules } from '../../../src/raft/rules.ts';
import { choiceOf } from './choice.ts';
import { PLACES } from './group.ts';
import type { Breach } from './local-action.ts';
import { type Opening, prepare } from './openings.ts';
import { describe, describeNode } from './path-format.ts';

export interface Walk {
  readonly lines: readonly string[];
  readonly breach: Breach | null;
}

export function walk(
  opening: Opening,
  choices: readonly number[],
  { rules, faults }: { readonly rules: SafetyRules; readonly faults: number },
): Walk {
  const prepared = prepare(opening, { rules, faults, merges: false });
  const { world, state } = prepared;
  const nodes = (): string[] => PLACES.map((place) => `    ${describeNode(world, state, place)}`);
  const lines = [`opening ${opening.name}: ${opening.about}`, ...prepared.lines];
  lines.push('after the opening:', ...nodes());
  let { breach } = prepared;
  for (const code of choices) {
    if (breach !== null) break;
    if (!world.choices(state).includes(code)) throw new RangeError(`${code} is no choice here`);
    lines.push(describe(world, state, code));
    const before = [...state];
    breach = world.step(state, choiceOf(code));
    for (const place of PLACES) {
      if (state[place] !== before[place]) lines.push(`    ${describeNode(world, state, place)}`);
    }
  }
  if (breach !== null) lines.push(`${breach.invariant}: ${breach.message}`);
  return { lines, breach };
}
