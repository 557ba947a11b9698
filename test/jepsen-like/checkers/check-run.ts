/** All checkers over the evidence of one run. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVIDENCE_FILES, type Evidence, readEvidence } from '../history/evidence.ts';
import { checkDisks } from './disks.ts';
import { checkMessages } from './messages.ts';
import { checkNodes } from './nodes.ts';
import { checkRegisters } from './registers.ts';
import { checkSequence } from './sequence.ts';
import type { Checker, Verdict } from './verdict.ts';

export const CHECKERS: Readonly<Record<string, Checker>> = {
  messages: checkMessages,
  sequence: checkSequence,
  registers: checkRegisters,
  disks: checkDisks,
  nodes: checkNodes,
};

export function verdictsOn(evidence: Evidence): readonly Verdict[] {
  return Object.values(CHECKERS).map((check) => check(evidence));
}

/** Reads the folder of a run and leaves the verdicts in it. */
export function checkRun(folder: string): readonly Verdict[] {
  const verdicts = verdictsOn(readEvidence(folder));
  writeFileSync(join(folder, EVIDENCE_FILES.verdicts), `${JSON.stringify(verdicts, null, 2)}\n`);
  return verdicts;
}
