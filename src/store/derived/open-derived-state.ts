/**
 * Opens derived state, or starts it anew when what is there cannot be used: it is rebuilt by replay of
 * the log, which it never overrules.
 *
 * The database lives in `derived/<number>/`, the highest number being the current one. One that cannot be
 * used is left where it is, for whoever wants to know why, and the next number begins empty. Whether the log
 * still has the next entry that it needs is not asked here: see derived-home.ts.
 */
import { assert } from '../../base/assert.ts';
import { FatalError } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import type { ApplyRules } from './apply-rules.ts';
import { DatabaseGuard } from './database-guard.ts';
import { DEDUP_WINDOW_BOUNDS, type DedupWindowBounds } from './dedup-window.ts';
import { DerivedDirectory } from './derived-directory.ts';
import type { DerivedState } from './derived-state.ts';
import { END_KEY, FIRST_KEY, TABLE } from './key-codec.ts';
import type { KvStore } from './kv-store.ts';
import { LmdbKvStore } from './lmdb-kv-store.ts';
import { decodeMeta, FRESH_META, type Meta } from './meta-row.ts';
import { type RoomWait, StateMachine } from './state-machine.ts';

export type SetAsideReason =
  /** LMDB or our own rows do not make sense. */
  | 'unreadable'
  /** Written by another version of this program. */
  | 'otherFormat'
  /** Knows more entries than the log: the log lost some, or this is another log's database. */
  | 'aheadOfLog'
  /** It was found to differ from that of the other replicas. */
  | 'diverged';

export type DerivedEvent =
  | {
      readonly kind: 'databaseSetAside';
      readonly why: SetAsideReason;
      readonly details: string;
      /** null for a store that was handed in: it was cleared. */
      readonly directory: string | null;
    }
  /** The disk is full: tried again until there is room. What is applied stays readable. */
  | { readonly kind: 'commitWaitsForRoom' }
  /** Nothing can be committed any more; the next flush throws. */
  | { readonly kind: 'commitFailed'; readonly error: Error };

interface CommonOptions {
  readonly onEvent: (event: DerivedEvent) => void;
  /** Last entry that the log holds durably. */
  readonly durableIndexMax: LogIndex;
  /** For tests: the defaults are part of the format. */
  readonly windowBounds?: DedupWindowBounds;
  /** Left out: a commit that finds no room has failed. */
  readonly roomWait?: RoomWait;
  /** For tests: production leaves it out. */
  readonly rules?: ApplyRules;
}

export type OpenDerivedStateOptions = CommonOptions &
  (
    | {
        /** Directory of the replica; `derived/` is created in it. */
        readonly directory: string;
        readonly disk: Disk;
      }
    | { readonly kv: KvStore }
  );

/** @throws FatalError when not even an empty database can be opened */
export async function openDerivedState(options: OpenDerivedStateOptions): Promise<DerivedState> {
  if ('kv' in options) return openOnStore(options, options.kv);
  const directory = new DerivedDirectory(options.disk, options.directory);
  await directory.create();
  const number = await directory.current();
  const current = directory.pathOf(number);
  const condemned = await directory.whyCondemned(number);
  const opened: Opened =
    condemned === null
      ? await openIn(options, options.disk, current)
      : { kind: 'unusable', why: 'diverged', details: condemned, store: null };
  if (opened.kind === 'ready') return opened.state;
  const { why, details } = opened;
  options.onEvent({ kind: 'databaseSetAside', why, details, directory: current });

  const nextNumber = await directory.next();
  const next = directory.pathOf(nextNumber);
  const fresh = await openIn(options, options.disk, next);
  if (fresh.kind === 'ready') return fresh.state;
  throw new FatalError('diskFailed', `Cannot create a database in ${next}: ${fresh.details}`);
}

async function openIn(options: CommonOptions, disk: Disk, directory: string): Promise<Opened> {
  const guard = new DatabaseGuard(disk, directory);
  const refusal = await guard.begin();
  if (refusal !== null)
    return { kind: 'unusable', why: 'unreadable', details: refusal, store: null };
  const opened = tryOpen(
    options,
    () => new LmdbKvStore(directory, { durableCommits: false, disk }),
  );
  await guard.end();
  if (opened.kind === 'unusable') await opened.store?.close();
  return opened;
}

async function openOnStore(options: CommonOptions, store: KvStore): Promise<DerivedState> {
  const opened = tryOpen(options, () => store);
  if (opened.kind === 'ready') return opened.state;
  await store.clear();
  const { why, details } = opened;
  options.onEvent({ kind: 'databaseSetAside', why, details, directory: null });
  const meta = metaOf(store);
  assert(!('foreignVersion' in meta), 'what was just made is of our format');
  return stateOn(options, store, meta);
}

type Opened =
  | { readonly kind: 'ready'; readonly state: DerivedState }
  | {
      readonly kind: 'unusable';
      readonly why: SetAsideReason;
      readonly details: string;
      readonly store: KvStore | null;
    };

function tryOpen(options: CommonOptions, openStore: () => KvStore): Opened {
  let store: KvStore | null = null;
  try {
    store = openStore();
    const meta = metaOf(store);
    if ('foreignVersion' in meta) {
      const details = `format ${meta.foreignVersion}`;
      return { kind: 'unusable', why: 'otherFormat', details, store };
    }
    if (meta.appliedIndex > options.durableIndexMax) {
      const details = `applied ${meta.appliedIndex}, log ends at ${options.durableIndexMax}`;
      return { kind: 'unusable', why: 'aheadOfLog', details, store };
    }
    return { kind: 'ready', state: stateOn(options, store, meta) };
  } catch (error) {
    // LMDB reports damage as a plain Error; rows that make no sense are RangeError or InvariantError.
    // Whatever it is, the answer is the same: the rows can be made again, so they are not argued with.
    if (!(error instanceof Error)) throw error;
    return { kind: 'unusable', why: 'unreadable', details: error.message, store };
  }
}

/** An empty store is fresh; one with rows but without the meta row is of nobody's format. */
function metaOf(store: KvStore): Meta | { readonly foreignVersion: number } {
  const value = store.get(TABLE.meta);
  if (value !== null) return decodeMeta(value);
  for (const _row of store.range(FIRST_KEY, END_KEY)) return { foreignVersion: 0 };
  return FRESH_META;
}

function stateOn(options: CommonOptions, store: KvStore, meta: Meta): DerivedState {
  return new StateMachine({
    store,
    meta,
    windowBounds: options.windowBounds ?? DEDUP_WINDOW_BOUNDS,
    onCommitFailed: (error) => options.onEvent({ kind: 'commitFailed', error }),
    roomWait: options.roomWait ?? null,
    rules: options.rules,
    onCommitWaits: () => options.onEvent({ kind: 'commitWaitsForRoom' }),
  });
}
