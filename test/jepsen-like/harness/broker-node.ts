/**
 * One broker as its operator sees it: a directory, an address, and a process that is started, killed,
 * paused, and started again when it has ended unasked. Every start and end is recorded, with the reason
 * why the end was expected, if it was.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recorder } from '../history/recorder.ts';
import {
  DISK_RESERVE_BYTES,
  EXIT_TIMEOUT_MS,
  READY_TIMEOUT_MS,
  RESTART_DELAY_MS,
  UNASKED_RESTARTS_MAX,
} from '../limits.ts';
import type { Network } from './network.ts';
import { type Program, understoodBy } from './program.ts';
import type { Slot } from './slot.ts';
import type { Storage } from './storage.ts';
import type { Volume } from './volume.ts';

const LAST_WORDS_LENGTH = 600;

export const CLUSTER_ID = 'jepsen';
export const GROUP_ID = 'broker-a';

export interface BrokerNodeOptions {
  readonly nodeId: string;
  readonly members: readonly string[];
  readonly nameServers: readonly string[];
  readonly network: Network;
  readonly slot: Slot;
  readonly volume: Volume;
  readonly recorder: Recorder;
  readonly storage: Storage;
  /** Until it is upgraded. */
  readonly program: Program;
  /** Of the process, beside its own: the fake clock. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What a node is told that does not found the group but joins it. */
export interface Ticket {
  readonly join: string;
  readonly token: string;
}

export type StartOutcome =
  | { readonly kind: 'ready' }
  | { readonly kind: 'ended'; readonly how: number | string }
  /** It lives and is not ready: it may be waiting for its peers. */
  | { readonly kind: 'slow' };

export class BrokerNode {
  readonly nodeId: string;
  readonly volume: Volume;
  readonly #options: BrokerNodeOptions;
  #child: ChildProcess | null = null;
  #isPaused = false;
  /** Why the next end is no surprise. */
  #expected: string | null = null;
  #unaskedCount = 0;
  #restart: NodeJS.Timeout | null = null;
  #isRetired = false;

  /** Which it is started with from now on. */
  program: Program;
  /** Of the process, beside those of its program and of the run: a clock that runs at another rate. */
  environment: Readonly<Record<string, string>> = {};
  /** null: it is one of the founders. */
  ticket: Ticket | null = null;

  constructor(options: BrokerNodeOptions) {
    this.nodeId = options.nodeId;
    this.volume = options.volume;
    this.program = options.program;
    this.#options = options;
  }

  get directory(): string {
    return this.volume.directory;
  }
  get isRunning(): boolean {
    return this.#child !== null;
  }
  get isPaused(): boolean {
    return this.#isPaused;
  }
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }
  get logPath(): string {
    return join(this.#options.recorder.folder, `${this.nodeId}.log`);
  }

  argumentsFor(overrides: { readonly directory?: string; readonly clusterId?: string } = {}) {
    const { nodeId, members, network, nameServers, storage } = this.#options;
    const { grpc, raft, http } = network.addressesOf(nodeId);
    const peers = members.map((each) => `${each}=${network.peerAddress(nodeId, each)}`);
    const { clusterId = CLUSTER_ID } = overrides;
    const founding = ['--cluster-id', clusterId, '--group-id', GROUP_ID];
    return [
      ...['--node-id', nodeId],
      ...(this.ticket === null
        ? [...founding, '--members', peers.join(',')]
        : ['--join', this.ticket.join, '--token', this.ticket.token]),
      ...['--dir', overrides.directory ?? this.directory],
      ...['--grpc', grpc, '--raft', raft, '--http', http],
      ...['--namesrv', nameServers.join(',')],
      ...['--segment-size-bytes', String(storage.segmentSizeBytes)],
      ...['--retention-bytes', String(storage.retentionBytes)],
      ...['--member-grace-seconds', String(storage.memberGraceSeconds)],
      ...['--disk-reserve-bytes', String(DISK_RESERVE_BYTES)],
      ...['--retention-hours', '0', '--auto-create-topics', '--supervised'],
    ];
  }

  /** Requires that no process of it runs. */
  async start(directory = this.directory): Promise<StartOutcome> {
    if (this.#child !== null) return { kind: 'ready' };
    this.#cancelRestart();
    mkdirSync(directory, { recursive: true });
    const { recorder, network } = this.#options;
    const { script, environment } = this.program;
    const args = understoodBy(this.program, this.argumentsFor({ directory }));
    const command = [...network.launcherOf(this.nodeId), process.execPath, script, ...args];
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#options.environment, ...environment, ...this.environment },
    });
    // Its end says more than a pipe that breaks.
    child.stdin.on('error', () => {});
    child.stderr.pipe(createWriteStream(this.logPath, { flags: 'a' }));
    this.#child = child;
    this.#isPaused = false;
    this.#expected = null;
    if (child.pid !== undefined) this.#options.slot.noteProcess(child.pid);
    recorder.node({
      kind: 'started',
      node: this.nodeId,
      atMs: recorder.nowMs(),
      pid: child.pid ?? 0,
    });
    child.once('exit', (code, signal) => this.#onExit(child, code ?? signal ?? 'unknown'));
    return this.#untilReady(child);
  }

  #untilReady(child: ChildProcess): Promise<StartOutcome> {
    const { recorder } = this.#options;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ kind: 'slow' }), READY_TIMEOUT_MS);
      child.stdout?.once('data', () => {
        clearTimeout(timer);
        recorder.node({ kind: 'ready', node: this.nodeId, atMs: recorder.nowMs() });
        resolve({ kind: 'ready' });
      });
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        resolve({ kind: 'ended', how: code ?? signal ?? 'unknown' });
      });
    });
  }

  /** Its process may end now; the reason goes into the record. */
  expectEnd(because: string): void {
    this.#expected = because;
  }

  /** From now on an end is a surprise again. */
  surprise(): void {
    this.#expected = null;
  }

  /** Resolves when the process is gone. */
  async kill(because: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#cancelRestart();
    const child = this.#child;
    if (child === null) return;
    this.#expected = because;
    if (this.#isPaused && signal !== 'SIGKILL') this.resume();
    child.kill(signal);
    await exitInTime(child);
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
    this.#isPaused = this.#child !== null;
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
    this.#isPaused = false;
  }

  /** Resolves when no process of the node is left, or after the time. @returns whether it is gone */
  async ended(timeoutMs: number): Promise<boolean> {
    const deadlineAtMs = performance.now() + timeoutMs;
    while (this.#child !== null && performance.now() < deadlineAtMs) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return this.#child === null;
  }

  /** Ends are no concern any more. */
  retire(): void {
    this.#isRetired = true;
    this.#cancelRestart();
  }

  /** It has ended unasked too often, and is not started again. */
  get isGivenUp(): boolean {
    return this.#child === null && this.#unaskedCount > UNASKED_RESTARTS_MAX;
  }

  /** While a fault holds the node it is not the supervisor's to start. */
  isHeld = false;

  #onExit(child: ChildProcess, how: number | string): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#isPaused = false;
    const { recorder } = this.#options;
    const because = this.#expected;
    const lastWords = because === null ? this.lastWords() : '';
    recorder.node({
      kind: 'ended',
      node: this.nodeId,
      atMs: recorder.nowMs(),
      how,
      because,
      lastWords,
    });
    if (because !== null || this.#isRetired) return;
    this.#unaskedCount++;
    if (this.#unaskedCount > UNASKED_RESTARTS_MAX || this.isHeld) return;
    this.#restart = setTimeout(() => {
      this.#restart = null;
      void this.start(); // It never rejects: a failed start is an end, and recorded as one.
    }, RESTART_DELAY_MS);
  }

  #cancelRestart(): void {
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#restart = null;
  }

  lastWords(): string {
    return this.log().slice(-LAST_WORDS_LENGTH);
  }

  /** All that its processes have written, one after the other. */
  log(): string {
    try {
      return readFileSync(this.logPath, 'utf8');
    } catch (error) {
      // It said nothing.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
      throw error;
    }
  }
}

/** A process that ignores a signal for too long is killed. */
export async function exitInTime(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), EXIT_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
