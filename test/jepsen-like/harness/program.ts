/** Which broker a node runs: the one of this build, one with a planted bug, or one of an older build. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Program {
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Settings that it has; null: all that there are. */
  readonly flags: ReadonlySet<string> | null;
}

const BROKER = fileURLToPath(new URL('../../../src/bin/broker.js', import.meta.url));
const CANARY_BROKER = fileURLToPath(new URL('../canary-broker.js', import.meta.url));

export function programOf(canary: string | null): Program {
  if (canary === null) return { script: BROKER, environment: {}, flags: null };
  return { script: CANARY_BROKER, environment: { MQ_RAFT_CANARY: canary }, flags: null };
}

/** @param checkout of an earlier commit, built */
export function olderProgram(checkout: string): Program {
  const script = join(checkout, 'dist/src/bin/broker.js');
  const help = execFileSync(process.execPath, [script, '--help'], { encoding: 'utf8' });
  return { script, environment: {}, flags: new Set(help.match(/--[a-z-]+/g) ?? []) };
}

/** A setting that the program does not have yet is left out, with its value. */
export function understoodBy({ flags }: Program, args: readonly string[]): readonly string[] {
  if (flags === null) return args;
  const isUnknown = (arg = ''): boolean => arg.startsWith('--') && !flags.has(arg);
  return args.filter((arg, i) => !isUnknown(arg.startsWith('--') ? arg : args[i - 1]));
}
