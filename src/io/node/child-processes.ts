/**
 * Server processes as children: their log goes to a file, their first line on standard output says
 * that they are ready, and the end of their standard input (ours to hold) tells them that we died.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log that has grown beyond this starts anew with the next start. */
export const LOG_SIZE_BYTES_MAX = 64 * 1024 * 1024;
const READY_LINE_LENGTH_MAX = 64 * 1024;

export interface ChildPlan {
  readonly name: string;
  /** A JavaScript file. */
  readonly script: string;
  readonly args: readonly string[];
  readonly logPath: string;
}

export type ChildExit =
  | { readonly kind: 'code'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals };

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** Its first line; null when it ended without one. */
  readonly readyLine: Promise<string | null>;
  readonly exited: Promise<ChildExit>;
  readonly isRunning: boolean;
  kill(signal: NodeJS.Signals): void;
}

/** Rejects when the process cannot be started at all. */
export async function startChild(plan: ChildPlan): Promise<Child> {
  const log = openLog(plan.logPath);
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [plan.script, ...plan.args], {
      stdio: ['pipe', 'pipe', log],
      // A group of its own: Ctrl-C in the terminal is for us, who then stop it in order.
      detached: true,
    });
  } finally {
    closeSync(log);
  }
  const exited = exitOf(child);
  const readyLine = firstLineOf(child);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  // The pipe breaks when the child dies first: its exit says more.
  child.stdin?.on('error', () => {});
  let isRunning = true;
  void exited.then(() => {
    isRunning = false;
  });
  return {
    name: plan.name,
    pid: child.pid ?? 0,
    logPath: plan.logPath,
    readyLine,
    exited,
    get isRunning() {
      return isRunning;
    },
    kill: (signal) => void child.kill(signal),
  };
}

/** The end of a log, for the message that a child failed. */
export function logTail(logPath: string, lineCount: number): readonly string[] {
  return readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-lineCount);
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (sizeBytes > LOG_SIZE_BYTES_MAX) truncateSync(path);
  return openSync(path, 'a');
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      if (signal !== null) resolve({ kind: 'signal', signal });
      else resolve({ kind: 'code', code: code ?? -1 });
    });
  });
}

function firstLineOf(child: ChildProcess): Promise<string | null> {
  const { stdout } = child;
  if (stdout === null) return Promise.resolve(null);
  return new Promise((resolve) => {
    let text = '';
    stdout.setEncoding('utf8');
    // Later output is read as well, and dropped: a full pipe would stop the child.
    stdout.on('data', (part: string) => {
      if (text.length > READY_LINE_LENGTH_MAX) return;
      text += part;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
    stdout.once('close', () => resolve(null));
  });
}
