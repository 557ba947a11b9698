/**
 * The world of a command, as ports: bin/ gives the real one, tests one in memory. Data goes to
 * stdout, everything else to stderr.
 */
import type { MqClient } from '../client/mq-client.ts';
import type { Clock } from '../io/clock.ts';
import type { DevOptions } from './dev-options.ts';
import type { DevRecord } from './dev-record.ts';
import type { Target } from './target.ts';

export interface Output {
  write(text: string): void;
  readonly isTty: boolean;
  readonly columns: number;
}

export interface CliEnvironment {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Environment variables. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborted with {@link Interrupted} by Ctrl-C. */
  readonly interrupted: AbortSignal;
  readonly version: { readonly mqRaft: string; readonly node: string };
  /** Names this process towards brokers. */
  readonly clientId: string;
  newId(): string;
  openClient(target: Target, timeoutMs: number): MqClient;
  /** The local cluster of the current directory, running or not; null: there is none. */
  devRecord(): DevRecord | null;
  /** @returns the exit code */
  runDev(options: DevOptions): Promise<number>;
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
