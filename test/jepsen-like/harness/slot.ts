/**
 * The place of one run on this machine: a number, from which all names follow that it leaves anywhere
 * (folder, bridge, namespaces, links, mounts). Whoever finds the number of a dead run can therefore
 * remove everything of it, also when that run was killed in the middle.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT_TIMEOUT_MS, UNMOUNT_ATTEMPTS_MAX } from '../limits.ts';
import { run, tryRun } from './shell.ts';

const ROOT = join(tmpdir(), 'mq-raft-jepsen');
const SLOT_COUNT = 64;

export class Slot {
  readonly number: number;
  readonly folder: string;

  private constructor(number: number) {
    this.number = number;
    this.folder = join(ROOT, `slot-${number}`);
  }

  /** Removes what dead runs have left, then takes the first free number. */
  static async claim(): Promise<Slot> {
    mkdirSync(ROOT, { recursive: true });
    await removeLeftovers();
    for (let number = 0; number < SLOT_COUNT; number++) {
      const slot = new Slot(number);
      if (!slot.#take()) continue;
      return slot;
    }
    throw new Error(`All ${SLOT_COUNT} places below ${ROOT} are taken by living runs`);
  }

  static all(): readonly Slot[] {
    if (!existsSync(ROOT)) return [];
    return readdirSync(ROOT)
      .map((name) => /^slot-(\d+)$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map((digits) => new Slot(Number(digits)));
  }

  get bridge(): string {
    return `mqrj${this.number}`;
  }
  get subnet(): string {
    return `10.213.${this.number}`;
  }
  namespaceOf(name: string): string {
    return `mqrj${this.number}-${name}`;
  }
  linkOf(name: string): string {
    return `mj${this.number}${name}`;
  }

  /** From now on the process is ours to end, if we should not live to do it. */
  noteProcess(pid: number): void {
    appendFileSync(this.#pids, `${pid} ${startOf(pid)}\n`);
  }

  get isAbandoned(): boolean {
    if (!existsSync(this.#owner)) return false; // Its owner is about to write it.
    const [pid, start] = readFileSync(this.#owner, 'utf8').trim().split(' ');
    return start !== startOf(Number(pid));
  }

  /** Everything with a name of this slot goes. Idempotent. */
  async remove(): Promise<void> {
    // A process that only shares the number started at another time.
    const living = this.#processes().filter(([pid, start]) => startOf(pid) === start);
    for (const [pid] of living) killNow(pid);
    for (const [pid, start] of living) await untilGone(pid, start);
    for (const mount of mountsBelow(this.folder)) await unmount(mount);
    const namespaces = (await run('ip', 'netns', 'list').catch(() => ''))
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '')
      .filter((name) => name.startsWith(this.namespaceOf('')));
    for (const name of namespaces) await tryRun('ip', 'netns', 'del', name);
    await tryRun('ip', 'link', 'del', this.bridge);
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #owner(): string {
    return join(this.folder, 'owner');
  }
  get #pids(): string {
    return join(this.folder, 'pids');
  }

  #take(): boolean {
    try {
      mkdirSync(this.folder);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
    writeFileSync(this.#owner, `${process.pid} ${startOf(process.pid)}\n`);
    return true;
  }

  #processes(): readonly (readonly [number, string])[] {
    if (!existsSync(this.#pids)) return [];
    const lines = readFileSync(this.#pids, 'utf8').split('\n');
    return lines
      .filter((line) => line !== '')
      .map((line) => line.split(' '))
      .map(([pid, start]) => [Number(pid), start ?? ''] as const);
  }
}

export async function removeLeftovers(): Promise<number> {
  const abandoned = Slot.all().filter((slot) => slot.isAbandoned);
  for (const slot of abandoned) await slot.remove();
  return abandoned.length;
}

/** Field 22 of its line: with the number it names a process for ever. Empty: no such process. */
function startOf(pid: number): string {
  const line = statOf(pid);
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** Empty: no such process. */
function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It was faster.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Until then it may hold files, ports and mounts. */
async function untilGone(pid: number, start: string): Promise<void> {
  const deadlineAtMs = performance.now() + EXIT_TIMEOUT_MS;
  while (startOf(pid) === start && !isZombie(pid) && performance.now() < deadlineAtMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Dead, and its parent has not noticed: it holds nothing any more. */
function isZombie(pid: number): boolean {
  return /\) Z /.test(statOf(pid));
}

/** The deepest first. */
function mountsBelow(folder: string): readonly string[] {
  if (!existsSync('/proc/mounts')) return [];
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .reverse();
}

/** A frozen file system cannot be unmounted, and the kernel holds one for a moment after a kill. */
export async function unmount(mountPoint: string): Promise<void> {
  await tryRun('fsfreeze', '-u', mountPoint);
  for (let attempt = 1; ; attempt++) {
    if (await tryRun('umount', mountPoint)) return;
    if (attempt === UNMOUNT_ATTEMPTS_MAX) throw new Error(`Cannot unmount ${mountPoint}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
