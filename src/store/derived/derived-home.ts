/**
 * Where the derived state of a replica lives, for whoever makes it anew from a snapshot and entries while
 * the present one is still open.
 */
import { DerivedDirectory } from './derived-directory.ts';
import { type InstallSource, installSnapshot } from './install-snapshot.ts';
import { END_KEY, FIRST_KEY } from './key-codec.ts';
import { MemoryKvStore } from './memory-kv-store.ts';
import { type OpenDerivedStateOptions, openDerivedState } from './open-derived-state.ts';
import { stageDatabase } from './stage-database.ts';
import type { SwitchableState } from './switchable-state.ts';

export interface StagedState {
  /**
   * From then on it is the present one, here and for the next start; here before this resolves. The one
   * before is closed, so nobody has a snapshot of it.
   */
  activate(state: SwitchableState): Promise<void>;
  /** It came to nothing. */
  discard(): Promise<void>;
}

export interface DerivedHome {
  /**
   * Whole and durable when it resolves, and nobody's yet.
   * @throws CorruptionError when the source is not what it says; nothing of it is left then
   */
  stage(source: InstallSource): Promise<StagedState>;
}

/** @param options as the present one was opened */
export function derivedHome(options: OpenDerivedStateOptions): DerivedHome {
  return { stage: 'kv' in options ? stagingInStore(options) : stagingInDirectory(options) };
}

function stagingInDirectory(
  options: Extract<OpenDerivedStateOptions, { directory: string }>,
): DerivedHome['stage'] {
  const { disk, directory } = options;
  return async (source) => {
    const staged = await stageDatabase(disk, directory, source);
    return {
      activate: async (state) => {
        await staged.activate();
        const durableIndexMax = staged.header.appliedIndex;
        const next = await openDerivedState({ ...options, durableIndexMax });
        await state.switchTo(next).close();
        await new DerivedDirectory(disk, directory).discardRetired();
      },
      discard: () => staged.discard(),
    };
  };
}

/** A store has no room for two: a crash between leaves it empty, which a start takes for lost. */
function stagingInStore(
  options: Extract<OpenDerivedStateOptions, { kv: unknown }>,
): DerivedHome['stage'] {
  return async (source) => {
    const staged = new MemoryKvStore();
    const { appliedIndex } = await installSnapshot(staged, source);
    return {
      activate: async (state) => {
        await state.close();
        await options.kv.clear();
        const rows = [...staged.range(FIRST_KEY, END_KEY)];
        await options.kv.commit(new Map(rows.map(({ key, value }) => [key, value])));
        state.switchTo(await openDerivedState({ ...options, durableIndexMax: appliedIndex }));
      },
      discard: async () => {},
    };
  };
}
