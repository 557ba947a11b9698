/** All workloads by name, and the reading to the end that closes a run. */
import type { WorkloadName } from '../plan.ts';
import { adminWorkload } from './admin.ts';
import { largeWorkload } from './large.ts';
import { officialWorkload } from './official.ts';
import { offsetsWorkload } from './offsets.ts';
import { idempotentWorkload, laggardWorkload, orderedWorkload, queueWorkload } from './queues.ts';
import type { Workload } from './workload.ts';

const ALL: readonly Workload[] = [
  ...[queueWorkload, orderedWorkload, idempotentWorkload, offsetsWorkload],
  ...[largeWorkload, adminWorkload, officialWorkload, laggardWorkload],
];

export function workloadNamed(name: WorkloadName): Workload {
  const found = ALL.find((each) => each.name === name);
  if (found === undefined) throw new Error(`No workload is called ${name}`);
  return found;
}
