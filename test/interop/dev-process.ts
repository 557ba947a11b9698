/**
 * `mq-raft dev` and the other commands as a user runs them: processes of their own in an empty
 * directory, found by their exit codes and by what they print.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPortFree } from '../../src/io/node/ports.ts';
import type { Owner } from './owner.ts';
import { waitFor } from './test-cluster.ts';

const program = fileURLToPath(new URL('../../src/bin/mq-raft.js', import.meta.url));
const COMMAND_TIMEOUT_MS = 60_000;
const GONE_TIMEOUT_MS = 15_000;
/** Below the ports that the kernel hands out to connections. */
const BASE_PORT_MIN = 12_000;
const BASE_PORT_MAX = 31_000;
/** Of five nodes and two name servers. */
const PORT_COUNT = 17;

/** The line that `dev --json` promises. */
export interface DevLine {
  readonly apiVersion: string;
  readonly nodes: readonly {
    readonly id: string;
    readonly pid: number;
    readonly role: string;
    readonly grpc: string;
    readonly remoting: string | null;
    readonly raft: string;
    readonly http: string;
    readonly dir: string;
  }[];
  readonly namesrv: readonly { readonly pid: number; readonly address: string }[];
  readonly grpcEndpoints: string;
}

export interface CommandEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An empty working directory; `.mq-raft` in it is where commands look by themselves. */
export function aWorkingDirectory(owner: Owner): string {
  const directory = mkdtempSync(join(tmpdir(), 'mq-raft-user-'));
  owner.after(async () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A program and its first arguments. */
type Launcher = readonly [string, ...(readonly string[])];
const DIRECTLY: Launcher = [process.execPath, program];
/** As npx does where its shell stays between npm and the program. */
export const BELOW_NPM: Launcher = ['sh', '-c', '"$0" "$@"; exit', process.execPath, program];

/** One run of `mq-raft`, killed when it lasts too long or outlives its owner. */
export class CommandProcess {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #isRunning = true;

  constructor(
    owner: Owner,
    cwd: string,
    args: readonly string[],
    [file, ...before]: Launcher = DIRECTLY,
  ) {
    const { PATH } = process.env;
    this.#child = spawn(file, [...before, ...args], {
      cwd,
      env: file === DIRECTLY[0] ? { PATH } : { PATH, npm_execpath: 'npm' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => {
        this.#isRunning = false;
        resolve(code);
      });
    });
    owner.after(async () => {
      if (this.#isRunning) this.kill('SIGKILL');
      await this.#ended;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits for what it writes; fails at once when it ends before. */
  async written(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<string> {
    return waitFor(`${pattern} on ${stream}`, async () => {
      if (pattern.test(this[stream])) return this[stream];
      if (!this.#isRunning) throw new Error(`It ended and wrote: ${this.stdout}${this.stderr}`);
      return null;
    });
  }

  async end(timeoutMs = COMMAND_TIMEOUT_MS): Promise<CommandEnd> {
    await waitFor(
      `the end of process ${this.pid}, which wrote: ${this.stdout}${this.stderr}`,
      async () => (this.#isRunning ? null : true),
      timeoutMs,
    );
    return { code: await this.#ended, stdout: this.stdout, stderr: this.stderr };
  }
}

export function mqRaft(owner: Owner, cwd: string, ...args: readonly string[]): Promise<CommandEnd> {
  return new CommandProcess(owner, cwd, args).end();
}

/** Started as `mq-raft dev --json`, ready, and gone with all its processes when its owner is done. */
export class DevProcess {
  readonly command: CommandProcess;
  readonly line: DevLine;

  private constructor(command: CommandProcess, line: DevLine) {
    this.command = command;
    this.line = line;
  }

  static start(owner: Owner, cwd: string, ...args: readonly string[]): Promise<DevProcess> {
    return DevProcess.of(owner, new CommandProcess(owner, cwd, ['dev', '--json', ...args]));
  }

  /** Waits for the line. */
  static async of(owner: Owner, command: CommandProcess): Promise<DevProcess> {
    const text = await command.written('stdout', /\n$/);
    const dev = new DevProcess(command, JSON.parse(text) as DevLine);
    // Also where a test fails half-way: children follow their supervisor, whatever ended it.
    owner.after(() => dev.stopped('SIGTERM').then(() => undefined));
    return dev;
  }

  /** Process ids of brokers and name servers. */
  get pids(): readonly number[] {
    return [...this.line.nodes, ...this.line.namesrv].map(({ pid }) => pid);
  }

  get leader(): DevLine['nodes'][number] {
    const leader = this.line.nodes.find(({ role }) => role === 'leader');
    if (leader === undefined) throw new Error('No leader in the line of dev --json');
    return leader;
  }

  /** Ends it and waits until none of the processes it named is left. */
  async stopped(signal: NodeJS.Signals): Promise<CommandEnd> {
    if (this.command.isRunning) this.command.kill(signal);
    const end = await this.command.end();
    await gone(this.pids);
    return end;
  }
}

export async function gone(pids: readonly number[]): Promise<void> {
  await waitFor(
    `the end of processes ${pids.join(', ')}`,
    async () => (pids.some(isAlive) ? null : true),
    GONE_TIMEOUT_MS,
  );
}

/** For what a test expects to be gone and is not. */
export function killIfAlive(pid: number): void {
  if (isAlive(pid)) process.kill(pid, 'SIGKILL');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** A port that begins a run of free ones, enough for any cluster. */
export async function aBasePort(): Promise<number> {
  return waitFor('a run of free ports', async () => {
    const base = randomInt(BASE_PORT_MIN, BASE_PORT_MAX);
    for (let port = base; port < base + PORT_COUNT; port++) {
      if (!(await isPortFree('127.0.0.1', port))) return null;
    }
    return base;
  });
}

/** The objects of an output of JSON lines. */
export function jsonLines<T>(text: string): readonly T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
