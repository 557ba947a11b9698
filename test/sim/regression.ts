/** Shrunk scripts that once failed, kept as files; the standard rules must survive all of them. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InvariantId } from './checkers/violation.ts';
import type { ClientOp } from './client-script.ts';
import { completeProfile } from './profile.ts';
import type { Script } from './world.ts';

export interface Regression {
  readonly name: string;
  /** What it broke when it was found. */
  readonly invariant: InvariantId;
  /** The planted bug it was found with; null for a bug of ours. */
  readonly canary: string | null;
  readonly note: string;
  readonly script: Script;
}

/** Beside the sources: files are written from the project's root and committed. */
export const REGRESSION_FOLDER = 'test/sim/regressions';

export function writeRegression(regression: Regression, folder = REGRESSION_FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${regression.name}.json`);
  writeFileSync(path, `${JSON.stringify(regression, null, 2)}\n`);
  return path;
}

export function readRegressions(folder = REGRESSION_FOLDER): readonly Regression[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => completed(readFileSync(join(folder, name), 'utf8')));
}

/** Files of our own making, in the shape of their day: what they do not name is as it was then. */
function completed(text: string): Regression {
  const regression = JSON.parse(text) as Regression;
  const { script } = regression;
  const ops = script.ops.map((op) => ({ ...op, kind: op.kind ?? 'propose' }) as ClientOp);
  return { ...regression, script: { ...script, profile: completeProfile(script.profile), ops } };
}
