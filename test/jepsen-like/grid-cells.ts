/** The cells of the grid: pure. */
import { ROWS } from './nemesis/rows.ts';
import type { RunOptions, WorkloadName } from './plan.ts';

export interface GridCell {
  readonly name: string;
  readonly options: RunOptions;
}

/** Reference 4.5: the rows against these, on both sizes; the other workloads run in the combinations. */
const CORE: readonly WorkloadName[] = ['queue', 'ordered', 'offsets', 'large', 'idempotent'];
/** What is likely to meet in a real week. */
const COMBINATIONS: readonly (readonly [name: string, rows: readonly string[]])[] = [
  ['quiet', []],
  ['machine', ['kill', 'pause', 'clock', 'rolling']],
  ['network', ['partition', 'one-way', 'client-cut', 'slow']],
  ['disk', ['power-one', 'power-all', 'sync-error', 'stall', 'disk-full']],
  ['members', ['membership', 'replace', 'transfers', 'retention']],
  ['damage', ['rot', 'side-files', 'lost-directory', 'twins']],
  ['everything', rowsOfGrid()],
];
const MIXED: readonly WorkloadName[] = ['queue', 'offsets', 'idempotent', 'admin', 'official'];

/** All that need no older program. */
function rowsOfGrid(): readonly string[] {
  return ROWS.map(({ name }) => name).filter((name) => name !== 'upgrade');
}

export interface GridShape {
  readonly seed: number;
  readonly seconds: number;
  /** Each row meets all core workloads in one run: a fifth of the cells, for a night that is short. */
  readonly isTogether: boolean;
}

export function cellsOf({ seed, seconds, isTogether }: GridShape): readonly GridCell[] {
  const cells: GridCell[] = [];
  const add = (
    name: string,
    rows: readonly string[],
    workloads: readonly WorkloadName[],
    nodeCount: 3 | 5,
  ): void => {
    cells.push({
      name: `${name}-${nodeCount}-s${seed}`,
      // Each cell has a schedule of its own.
      options: {
        ...{ rows, workloads, nodeCount, seconds, seed: seed * 1_000 + cells.length },
        ...{ network: 'auto', canary: null, upgradeFrom: null },
      },
    });
  };
  for (const nodeCount of [3, 5] as const) {
    for (const [name, rows] of COMBINATIONS) add(`mix-${name}`, rows, MIXED, nodeCount);
  }
  for (const nodeCount of [3, 5] as const) {
    for (const name of rowsOfGrid()) {
      if (isTogether) add(`${name}-core`, [name], CORE, nodeCount);
      else for (const workload of CORE) add(`${name}-${workload}`, [name], [workload], nodeCount);
    }
  }
  // Behind all others, whose seeds stay as they were.
  for (const nodeCount of [3, 5] as const) {
    add('retention-laggard', ['retention'], ['laggard'], nodeCount);
  }
  return cells;
}
