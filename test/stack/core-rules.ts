/** Plants other rules in the core of every node of a run. Production makes its cores with the standard ones. */
import { standardRules } from '../../src/raft/rules.ts';
import type { StackBugs } from './stack-bugs.ts';

/** @returns takes them back */
export function plantCoreRules({ coreRules }: StackBugs): () => void {
  const before = { ...standardRules };
  Object.assign(standardRules, coreRules);
  return () => {
    Object.assign(standardRules, before);
  };
}
