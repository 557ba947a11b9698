/** What one run shall do: from the command line, or from a cell of the grid. Written before it starts. */
import type { FaultRow } from './nemesis/rows.ts';
import type { ScheduledStep } from './nemesis/step.ts';

export const WORKLOADS = [
  'queue',
  'ordered',
  'idempotent',
  'offsets',
  'large',
  'admin',
  'official',
  'laggard',
] as const;
export type WorkloadName = (typeof WORKLOADS)[number];

export interface RunOptions {
  readonly rows: readonly FaultRow[];
  readonly workloads: readonly WorkloadName[];
  readonly nodeCount: 1 | 3 | 5;
  readonly seconds: number;
  readonly seed: number;
  readonly network: 'auto' | 'namespaces' | 'proxies';
  /** A planted bug; null in every run that is to say something about the product. */
  readonly canary: string | null;
  /** A built checkout of an earlier commit, with which all nodes begin; null: they begin with this build. */
  readonly upgradeFrom: string | null;
  /** Instead of a schedule drawn from the seed. */
  readonly script?: readonly ScheduledStep[];
}

export interface RunPlan extends RunOptions {
  readonly nodes: readonly string[];
  /** Who may take the place of a member that is dead for ever. */
  readonly spares: readonly string[];
  readonly schedule: readonly ScheduledStep[];
}
