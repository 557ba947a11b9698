#!/usr/bin/env node
/** The command line: the real terminal, clock, files and connections for src/cli. */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { EXIT_CODE } from '../base/errors.ts';
import { DEV_RECORD_FILE, parseDevRecord } from '../cli/dev-record.ts';
import { type CliEnvironment, Interrupted, type Output } from '../cli/environment.ts';
import { CLI_EXIT } from '../cli/exit-codes.ts';
import { runCli } from '../cli/main.ts';
import type { Target } from '../cli/target.ts';
import { AdminClient, createAdminCallClient } from '../client/admin-client.ts';
import { createBackupNode } from '../client/backup-client.ts';
import { createBrokerCallClient } from '../client/broker-call-client.ts';
import { MqClient } from '../client/mq-client.ts';
import { NameServerClient } from '../client/name-server-client.ts';
import { type KnownNode, NodeDirectory } from '../client/node-directory.ts';
import { createVerifyClient } from '../client/verify-client.ts';
import { lockHolder } from '../io/node/lock-probe.ts';
import { NodeClock } from '../io/node/node-clock.ts';
import { NodeDisk } from '../io/node/node-disk.ts';
import { DerivedDirectory } from '../store/derived/derived-directory.ts';
import type { KvStore } from '../store/derived/kv-store.ts';
import { withScratchDatabase } from '../store/derived/scratch-database.ts';
import { type DevWorld, runDev } from './dev/run-dev.ts';
import { runCommand } from './run-command.ts';
import { userFiles } from './user-files.ts';
import { VERSION } from './version.ts';

const DEFAULT_COLUMNS = 80;
/** npm passes on the Ctrl-C that the terminal has sent us already: that is one, not two. */
const SAME_SIGNAL_MS = 500;
const ORPHAN_POLL_MS = 500;
/** Below this, text is better cut by the terminal than broken into words. */
const COLUMNS_MIN = 60;
const clock = new NodeClock();

function outputOf(stream: NodeJS.WriteStream): Output {
  // The reader of a pipe may leave early (`| head`): that is its right, and our end.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(CLI_EXIT.ok);
  });
  return {
    write: (text) => void stream.write(text),
    drained: () => drained(stream),
    isTty: stream.isTTY === true,
    get columns() {
      // A terminal may not know its size and say 0.
      return stream.columns > 0 ? Math.max(stream.columns, COLUMNS_MIN) : DEFAULT_COLUMNS;
    },
  };
}

function directoryOf({ kind, addresses }: Target): NodeDirectory {
  if (kind === 'nameServers') {
    const nameServers = addresses.map((address) => new NameServerClient(address));
    return new NodeDirectory({ nameServers, endpoints: [], clock });
  }
  const endpoints = addresses.map((raft) => ({ nodeId: null, raft, grpc: null, http: null }));
  return new NodeDirectory({ nameServers: [], endpoints, clock });
}

function openAdmin(target: Target, timeoutMs: number, group: string | null): AdminClient {
  const directory = directoryOf(target);
  return new AdminClient({ directory, connect: createAdminCallClient, clock, timeoutMs, group });
}

function openDevClient(endpoints: readonly KnownNode[]): MqClient {
  const directory = new NodeDirectory({ nameServers: [], endpoints, clock });
  const timeoutMs = DEV_TIMEOUT_MS;
  return new MqClient({ directory, connect: createBrokerCallClient, clock, timeoutMs });
}

/** Containers run under numbers that no name belongs to. */
function userName(): string {
  try {
    return userInfo().username;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}

/** https://specifications.freedesktop.org/basedir-spec: an empty variable is not set. */
function configHome(): string {
  const given = process.env['XDG_CONFIG_HOME'];
  return given === undefined || given === '' ? join(homedir(), '.config') : given;
}

/** The shape of RocketMQ 5 ids: version byte and 16 random bytes, in upper-case hex. */
function newId(): string {
  return `01${randomBytes(16).toString('hex').toUpperCase()}`;
}

async function askLine(question: string, signal: AbortSignal): Promise<string | null> {
  if (!process.stdin.isTTY) return null;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // While a line is read, Ctrl-C comes to its reader.
  lines.on('SIGINT', () => process.emit('SIGINT'));
  try {
    return (await lines.question(question, { signal })).trim();
  } catch (error) {
    if (!(error instanceof Error && error.name === 'AbortError')) throw error;
    throw signal.reason;
  } finally {
    lines.close();
  }
}

async function ask(question: string): Promise<boolean | null> {
  const answer = await askLine(`${question} Type yes: `, new AbortController().signal);
  return answer === null ? null : answer === 'yes';
}

function onEnter(listener: () => void): (() => void) | null {
  const { stdin } = process;
  if (!stdin.isTTY) return null;
  stdin.on('data', listener);
  return () => {
    stdin.off('data', listener);
    stdin.pause();
  };
}

function environmentOf(first: AbortController, second: AbortController): CliEnvironment {
  const version = { mqRaft: VERSION, node: process.version };
  const disk = new NodeDisk();
  const [stdout, stderr] = [outputOf(process.stdout), outputOf(process.stderr)];
  const common = { stdout, stderr, clock, version, variables: process.env };
  const world: DevWorld = {
    ...common,
    workingDirectory: process.cwd(),
    interrupted: first.signal,
    interruptedAgain: second.signal,
    openClient: openDevClient,
    ask,
    onEnter,
  };
  return {
    ...common,
    interrupted: first.signal,
    clientId: `mq-raft-cli@${hostname()}@${process.pid}`,
    newId,
    openClient: (target, timeoutMs) => {
      const directory = directoryOf(target);
      return new MqClient({ directory, connect: createBrokerCallClient, clock, timeoutMs });
    },
    openAdmin: (target, timeoutMs, group) => openAdmin(target, timeoutMs, group),
    openBackupNode: (address, name) => createBackupNode(address, name, clock),
    actor: `${userName()}@${hostname()}`,
    files: userFiles,
    configDirectory: join(configHome(), 'mq-raft'),
    ask: (question) => askLine(question, first.signal),
    stores: { disk, writable: disk, lockHolder, scratch: (work) => withScratch(disk, work) },
    runCommand,
    openVerifier: createVerifyClient,
    devRecord: () => {
      const path = join('.mq-raft', DEV_RECORD_FILE);
      return existsSync(path) ? parseDevRecord(readFileSync(path, 'utf8')) : null;
    },
    runDev: (options) => runDev(options, world),
  };
}

/** Not in a store's directory: a dry run leaves that alone. */
async function withScratch<T>(disk: NodeDisk, work: (store: KvStore) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'mq-raft-'));
  try {
    await new DerivedDirectory(disk, directory).create();
    return await withScratchDatabase(disk, directory, work);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const DEV_TIMEOUT_MS = 5_000;
const ERASE_LINE = '\r\u001b[2K';

async function main(): Promise<void> {
  const [first, second] = [new AbortController(), new AbortController()];
  // One listener for each call under way, which `send --in-flight` bounds.
  setMaxListeners(0, first.signal, second.signal);
  let firstAtMs = 0;
  const onSignal = (): void => {
    const nowMs = clock.monotonicMs();
    if (!first.signal.aborted) {
      firstAtMs = nowMs;
      // The terminal has written ^C where the next line begins.
      if (process.stderr.isTTY) process.stderr.write(ERASE_LINE);
      first.abort(new Interrupted());
    } else if (nowMs - firstAtMs < SAME_SIGNAL_MS) return;
    else if (!second.signal.aborted) second.abort();
    else process.exit(CLI_EXIT.interrupted);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  onOrphaned(() => first.abort(new Interrupted()));
  process.exitCode = await runCli(process.argv.slice(2), environmentOf(first, second));
  // Output to a pipe is written asynchronously: wait for it, then end whatever still listens.
  await Promise.all([drained(process.stdout), drained(process.stderr)]);
  process.exit();
}

/**
 * Below npm a shell may stand between us and the one who signals, and die of the signal alone:
 * nobody would be left to stop us.
 */
function onOrphaned(listener: () => void): void {
  if (process.env['npm_execpath'] === undefined) return;
  const parent = process.ppid;
  const look = (): void => {
    if (process.ppid === parent) clock.setTimer(ORPHAN_POLL_MS, look);
    else listener();
  };
  clock.setTimer(ORPHAN_POLL_MS, look);
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}

main().catch((error: unknown) => {
  const text = error instanceof Error ? error.stack : String(error);
  process.stderr.write(`mq-raft stopped because of a bug of its own: ${text}\n`);
  process.exit(EXIT_CODE.invariantBroken);
});
