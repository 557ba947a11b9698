/** One run of one command: its global options, made into what a command needs. */
import type { Command } from 'commander';
import type { AdminClient } from '../client/admin-client.ts';
import type { MqClient } from '../client/mq-client.ts';
import { usageError } from './cli-error.ts';
import type { Context } from './contexts.ts';
import type { CliEnvironment, Output } from './environment.ts';
import { type Paint, paintFor, wrap } from './render/text.ts';
import { type ChosenTarget, chosenTarget } from './target.ts';

export const DEFAULT_TIMEOUT_MS = 5_000;
/** A change of the group is several entries, and an election may come between them. */
const ADMIN_TIMEOUT_MS = 15_000;

export interface Invocation {
  readonly environment: CliEnvironment;
  readonly output: 'table' | 'json';
  /** For stdout. */
  readonly paint: Paint;
  readonly timeoutMs: number;
  /** Whether the user gave --timeout. */
  readonly hasTimeout: boolean;
  readonly signal: AbortSignal;
  /** The context that the command goes to; null: it goes elsewhere. */
  readonly context: Context | null;
  /** Which cluster, in words: `context prod`. */
  readonly where: string;
  /** Opened when first asked for, closed at the end of the command. */
  client(): MqClient;
  admin(): AdminClient;
  print(text: string): void;
  note(text: string): void;
}

/**
 * What is left behind by a command that ends before its answer. `change`: of the group, which may be asked for
 * again as it is.
 */
export type Effect = 'none' | 'write' | 'change';

/** How a command hands its work over: its options, and what to do with them. */
export type Run = (
  command: Command,
  work: (invocation: Invocation) => Promise<number>,
  effect?: Effect,
) => Promise<void>;

interface GlobalOptions {
  readonly output: 'table' | 'json';
  readonly namesrv?: string;
  readonly endpoints?: string;
  readonly timeout?: number;
  readonly context?: string;
  /** Broker group, of commands that are about one. */
  readonly group?: string;
}

/** @returns the invocation and what closes it. */
export function openInvocation(
  command: Command,
  environment: CliEnvironment,
): { readonly invocation: Invocation; readonly close: () => void } {
  const options: GlobalOptions = command.optsWithGlobals();
  const timeoutMs = options.timeout ?? DEFAULT_TIMEOUT_MS;
  let client: MqClient | null = null;
  let admin: AdminClient | null = null;
  let chosen: ChosenTarget | null = null;
  // Only when it is needed: a command that goes to no cluster must not fail on a wrong address.
  const target = (): ChosenTarget => {
    chosen ??= chosenTarget(options, environment);
    return chosen;
  };
  const invocation: Invocation = {
    environment,
    get context() {
      return target().context;
    },
    get where() {
      return target().source;
    },
    output: options.output,
    paint: paintFor(environment.stdout, environment.variables),
    timeoutMs,
    hasTimeout: options.timeout !== undefined,
    signal: environment.interrupted,
    client: () => {
      client ??= environment.openClient(target().target, timeoutMs);
      return client;
    },
    admin: () => {
      const adminTimeoutMs = options.timeout ?? ADMIN_TIMEOUT_MS;
      const group = options.group ?? null;
      admin ??= environment.openAdmin(target().target, adminTimeoutMs, group);
      return admin;
    },
    print: (text) => environment.stdout.write(text),
    note: (text) => environment.stderr.write(`${brokenFor(environment.stderr, text)}\n`),
  };
  return { invocation, close };

  function close(): void {
    client?.close();
    admin?.close();
  }
}

/** Between words on a terminal; elsewhere a program may read it line by line. */
export function brokenFor({ isTty, columns }: Output, text: string): string {
  if (!isTty) return text;
  return text
    .split('\n')
    .flatMap((line) => (line.length <= columns ? [line] : hanging(line, columns)))
    .join('\n');
}

const HANGING = '  ';

function hanging(line: string, columns: number): readonly string[] {
  return wrap(line, columns - HANGING.length).map((part, i) => (i === 0 ? part : HANGING + part));
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  '': 1000,
};
const DURATION_MS_MAX = 24 * 3600 * 1000;

/** `500ms`, `5s`, `2m`, `1h`; a plain number is seconds. */
export function parseDurationMs(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? Number.NaN);
  if (digits !== '' && ms > 0 && ms <= DURATION_MS_MAX) return ms;
  throw usageError(`'${text}' is not a duration`, 'for example 500ms, 5s or 2m');
}

export function parseCount(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (count >= min && count <= max) return count;
    throw usageError(`${option} '${text}' is not a whole number from ${min} to ${max}`);
  };
}
