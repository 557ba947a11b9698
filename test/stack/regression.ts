/** Shrunk scripts that once failed, kept as files; the code must survive all of them for ever. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CheckId } from './check-id.ts';
import type { StackScript } from './script.ts';

export interface StackRegression {
  readonly name: string;
  /** What failed when it was found. */
  readonly check: CheckId;
  /** The planted bug it was found with; null for a bug of ours. */
  readonly canary: string | null;
  readonly note: string;
  readonly script: StackScript;
}

/** Beside the sources: files are written from the project's root and committed. */
export const STACK_REGRESSION_FOLDER = 'test/stack/regressions';

export function writeRegression(regression: StackRegression): string {
  mkdirSync(STACK_REGRESSION_FOLDER, { recursive: true });
  const path = join(STACK_REGRESSION_FOLDER, `${regression.name}.json`);
  writeFileSync(path, `${JSON.stringify(regression, null, 2)}\n`);
  return path;
}

export function readRegressions(): readonly StackRegression[] {
  const names = readdirSync(STACK_REGRESSION_FOLDER).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => readRegression(join(STACK_REGRESSION_FOLDER, name)));
}

/** A file of our own making: its shape is what writeRegression wrote. */
export function readRegression(path: string): StackRegression {
  return JSON.parse(readFileSync(path, 'utf8')) as StackRegression;
}
