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
  /** Instead of a schedule drawn from the seed. */
  readonly script?: readonly ScheduledStep[];
}

export interface RunPlan extends RunOptions {
  readonly nodes: readonly string[];
  readonly schedule: readonly ScheduledStep[];
}
