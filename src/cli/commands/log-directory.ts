/** Which store a log command reads, and that nobody writes to it meanwhile. */
import { DiskError } from '../../io/disk.ts';
import { generationOf } from '../../store/log-paths.ts';
import { CliError } from '../cli-error.ts';
import type { LockHolder } from '../environment.ts';
import { CLI_EXIT } from '../exit-codes.ts';
import type { Invocation } from '../invocation.ts';

export interface StoreDirectory {
  /** Without a slash at its end. */
  readonly directory: string;
  /** @throws CliError when somebody has opened it since: what was read may be of two times. */
  readonly stillUnused: () => Promise<void>;
}

/** Without a slash at its end. */
export function directoryOf(name: string): string {
  return name.replace(/(?<=.)\/+$/, '');
}

export async function openStoreDirectory(
  { environment, note }: Invocation,
  name: string,
  isLive: boolean,
): Promise<StoreDirectory> {
  const directory = directoryOf(name);
  const { stores } = environment;
  try {
    if (!(await isStore(stores.disk, directory))) throw await noStore(stores.disk, directory);
    const holder = await stores.lockHolder(directory);
    if (holder === null) return { directory, stillUnused };
    if (!isLive) throw inUse(directory, holder, 'is in use');
    note(`${whoText(holder)} uses ${directory}: its newest entries may be half written`);
    return { directory, stillUnused: async () => {} };
  } catch (error) {
    throw readingTrouble(error, directory);
  }

  async function stillUnused(): Promise<void> {
    const holder = await stores.lockHolder(directory);
    if (holder !== null) throw inUse(directory, holder, 'was opened while it was read');
  }
}

type StoreDisk = Invocation['environment']['stores']['disk'];

async function isStore(disk: StoreDisk, directory: string): Promise<boolean> {
  if ((await disk.sizeOf(`${directory}/superblock`)) !== null) return true;
  for (const name of await disk.list(directory)) {
    if (generationOf(name) === null) continue;
    const names = await disk.list(`${directory}/${name}`);
    if (names.some((each) => each.endsWith('.seg'))) return true;
  }
  return false;
}

const HINTS_MAX = 5;

/** The directory of a cluster is an easy mistake for that of a node. */
async function noStore(disk: StoreDisk, directory: string): Promise<CliError> {
  const names = await disk.list(directory);
  const stores: string[] = [];
  for (const each of names) {
    if (stores.length === HINTS_MAX) break;
    if (await isStoreBelow(disk, `${directory}/${each}`)) stores.push(`${directory}/${each}`);
  }
  const isEmpty = names.length === 0;
  return new CliError({
    exit: CLI_EXIT.notFound,
    what: `${directory} holds no commit log`,
    why: isEmpty ? 'it is empty, or not there' : 'neither superblock nor data/*.seg is in it',
    todo:
      stores.length > 0
        ? `give the directory of one node: ${stores.join(', ')}`
        : 'give what the broker was given as --dir',
  });
}

/** Of anything that lies in a directory: files too, and what may not be read. */
async function isStoreBelow(disk: StoreDisk, path: string): Promise<boolean> {
  try {
    return await isStore(disk, path);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return false;
  }
}

function inUse(directory: string, holder: LockHolder, what: string): CliError {
  return new CliError({
    exit: CLI_EXIT.refused,
    what: `${directory} ${what}`,
    why: `${whoText(holder)} holds its lock`,
    todo: 'stop the broker, or read beside it with --live',
  });
}

function whoText({ pid }: LockHolder): string {
  return pid === null ? 'a process' : `process ${pid}`;
}

/** A disk that cannot be read, as a sentence; everything else as it is. */
export function readingTrouble(error: unknown, directory: string): unknown {
  if (!(error instanceof DiskError)) return error;
  const isDenied = error.code === 'EACCES' || error.code === 'EPERM';
  return new CliError(
    {
      exit: CLI_EXIT.failure,
      what: `${directory} cannot be read`,
      why: error.message,
      todo: isDenied ? 'run it as the user that runs the broker' : null,
    },
    { cause: error },
  );
}
