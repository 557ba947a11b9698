/** What is in `derived/`: which database is the current one, and how far it has applied the log. */
import { InvariantError } from '../../base/assert.ts';
import type { LogIndex, Term } from '../../base/units.ts';
import { DiskError } from '../../io/disk.ts';
import { TABLE } from '../derived/key-codec.ts';
import { decodeMeta } from '../derived/meta-row.ts';
import { type DatabaseRow, databaseRow } from './lmdb-file.ts';
import type { ReadDisk } from './read-disk.ts';

export type AppliedView =
  | { readonly kind: 'applied'; readonly index: LogIndex; readonly term: Term }
  /** The next start builds it from the log. */
  | { readonly kind: 'fresh' }
  | { readonly kind: 'unreadable'; readonly why: string };

export interface DerivedView {
  /** Of the current database; null: there is none yet. */
  readonly path: string | null;
  readonly sizeBytes: number;
  readonly applied: AppliedView;
  /** Databases with lower numbers, which were set aside. */
  readonly setAside: readonly string[];
  /** Attempts to open it that did not end: a start that was killed, or a damaged file. */
  readonly openAttempts: number;
}

export async function viewDerived(disk: ReadDisk, directory: string): Promise<DerivedView> {
  const parent = `${directory}/derived`;
  const numbers = (await disk.list(parent))
    .filter((name) => /^[1-9]\d{0,8}$/.test(name))
    .map(Number)
    .sort((a, b) => b - a);
  const [current] = numbers;
  if (current === undefined) {
    const applied = { kind: 'fresh' } as const;
    return { path: null, sizeBytes: 0, applied, setAside: [], openAttempts: 0 };
  }
  const path = `${parent}/${current}`;
  const sizeBytes = (await disk.sizeOf(`${path}/data.mdb`)) ?? 0;
  return {
    path,
    sizeBytes,
    applied: sizeBytes === 0 ? { kind: 'fresh' } : await appliedIn(disk, `${path}/data.mdb`),
    setAside: numbers.slice(1).map((number) => `${parent}/${number}`),
    openAttempts: (await disk.sizeOf(`${path}.opening`)) ?? 0,
  };
}

async function appliedIn(disk: ReadDisk, path: string): Promise<AppliedView> {
  const row = await metaRow(disk, path);
  if (row.kind === 'absent') return { kind: 'fresh' };
  if (row.kind === 'unreadable') return row;
  try {
    const meta = decodeMeta(row.value);
    if ('foreignVersion' in meta) {
      return { kind: 'unreadable', why: `it has format ${meta.foreignVersion}` };
    }
    return { kind: 'applied', index: meta.appliedIndex, term: meta.appliedTerm };
  } catch (error) {
    // A number beyond 2^53, in a file that has no checksums.
    if (!(error instanceof InvariantError)) throw error;
    return { kind: 'unreadable', why: 'its row of progress makes no sense' };
  }
}

async function metaRow(disk: ReadDisk, path: string): Promise<DatabaseRow> {
  try {
    return await databaseRow(disk, path, Buffer.from(TABLE.meta, 'latin1'));
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return { kind: 'unreadable', why: error.message };
  }
}
