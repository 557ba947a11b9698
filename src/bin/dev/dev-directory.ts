/**
 * The directory of a local cluster: its record, whether somebody runs it, and wiping. Only what
 * `mq-raft dev` makes is ever deleted, by name.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  DEV_RECORD_FILE,
  type DevRecord,
  formatDevRecord,
  parseDevRecord,
} from '../../cli/dev-record.ts';

const LOGS = 'logs';
const NODE_FOLDER = /^n[1-9]$/;
/** What a user can mend by naming another directory. */
const UNUSABLE = [
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EEXIST',
  'ENOENT',
  'ENAMETOOLONG',
  'ELOOP',
];

export class DevDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes it when it is missing. @returns why nothing can be kept there; null: all is well */
  make(): string | null {
    try {
      mkdirSync(this.path, { recursive: true });
      accessSync(this.path, constants.R_OK | constants.W_OK | constants.X_OK);
      return null;
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (!UNUSABLE.includes(code)) throw error;
      return message;
    }
  }

  get logFolder(): string {
    return join(this.path, LOGS);
  }

  /** null: no cluster was here, or its record is unreadable. */
  record(): DevRecord | null {
    const path = join(this.path, DEV_RECORD_FILE);
    return existsSync(path) ? parseDevRecord(readFileSync(path, 'utf8')) : null;
  }

  /** Whole or not at all: commands read it at any time. */
  save(record: DevRecord): void {
    mkdirSync(this.path, { recursive: true });
    const path = join(this.path, DEV_RECORD_FILE);
    writeFileSync(`${path}.new`, formatDevRecord(record));
    renameSync(`${path}.new`, path);
  }

  /** Folders of nodes: their number is the size of the group for ever. */
  nodeFolders(): readonly string[] {
    if (!existsSync(this.path)) return [];
    return readdirSync(this.path).filter((name) => NODE_FOLDER.test(name));
  }

  wipe(): void {
    for (const name of [...this.nodeFolders(), LOGS, DEV_RECORD_FILE]) {
      rmSync(join(this.path, name), { recursive: true, force: true });
    }
  }
}

/** The process that runs the cluster; null: nobody does. */
export function runningSupervisor(record: DevRecord | null): number | null {
  const pid = record?.pid ?? null;
  if (pid === null || pid === process.pid || !isAlive(pid)) return null;
  return isSomethingElse(pid) ? null : pid;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** After a crash the number may have gone to another program; Linux can tell. */
function isSomethingElse(pid: number): boolean {
  const path = `/proc/${pid}/cmdline`;
  if (!existsSync(path)) return false;
  const words = readFileSync(path, 'utf8').split('\0');
  return !words.includes('dev');
}
