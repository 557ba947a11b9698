/**
 * The world of a command, as ports: bin/ gives the real one, tests one in memory. Data goes to
 * stdout, everything else to stderr.
 */
import type { AdminClient } from '../client/admin-client.ts';
import type { BackupNodeClient } from '../client/backup-client.ts';
import type { MqClient } from '../client/mq-client.ts';
import type { VerifyClient } from '../client/verify-client.ts';
import type { Clock } from '../io/clock.ts';
import type { Disk } from '../io/disk.ts';
import type { KvStore } from '../store/derived/kv-store.ts';
import type { ReadDisk } from '../store/inspect/read-disk.ts';
import type { DevOptions } from './dev-options.ts';
import type { DevRecord } from './dev-record.ts';
import type { Target } from './target.ts';

export interface Output {
  write(text: string): void;
  readonly isTty: boolean;
  readonly columns: number;
  /** Resolves when what was written has left, so that a slow reader holds up who writes a lot. */
  drained(): Promise<void>;
}

/** A process that has a directory open. */
export interface LockHolder {
  /** null: it has left no process id. */
  readonly pid: number | null;
}

/** Directories of nodes on this machine. */
export interface StoreAccess {
  readonly disk: ReadDisk;
  /** The same, for the few commands that change a directory: offline, and under its lock. */
  readonly writable: Disk;
  /** A database that is thrown away, among the temporary files of this machine. Empty; `work` does not close it. */
  scratch<T>(work: (store: KvStore) => Promise<T>): Promise<T>;
  /** Who has the directory open; null: nobody. */
  lockHolder(directory: string): Promise<LockHolder | null>;
}

/** Small files of the user: configuration, contexts, reports. */
export interface UserFiles {
  /** null: no such file. @throws UserFileError */
  read(path: string): string | null;
  /** Whole or not at all; makes the directories above. @throws UserFileError */
  write(path: string, text: string, mode: number): void;
}

/** `message` is a clause with the path and the code of the system. */
export class UserFileError extends Error {
  override readonly name = 'UserFileError';
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
  openAdmin(target: Target, timeoutMs: number, group: string | null): AdminClient;
  /** @param raftAddress of a node; the caller closes it */
  openBackupNode(raftAddress: string, name: string): BackupNodeClient;
  /** Who gives the orders, for locks and audit trails: `alice@bastion`. */
  readonly actor: string;
  readonly files: UserFiles;
  /** `~/.config/mq-raft` */
  readonly configDirectory: string;
  /** What the user types; null: there is nobody to ask. */
  ask(question: string): Promise<string | null>;
  /**
   * Runs a program of the user, its output beside ours.
   * @returns how it failed, in a clause; null: it did not
   */
  runCommand(words: readonly string[], signal: AbortSignal): Promise<string | null>;
  openVerifier(): VerifyClient;
  readonly stores: StoreAccess;
  /** The local cluster of the current directory, running or not; null: there is none. */
  devRecord(): DevRecord | null;
  /** @returns the exit code */
  runDev(options: DevOptions): Promise<number>;
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
