/** What a machine that others use as well does to a test that measures time. */
import { existsSync, readFileSync } from 'node:fs';

const NS_PER_MS = 1e6;

/**
 * How long the main thread of a process has been ready to run while the machine had no core for it, since it
 * began; 0 where the kernel does not tell.
 */
export function queuedMs(pid: number): number {
  const path = `/proc/${pid}/task/${pid}/schedstat`;
  if (!existsSync(path)) return 0;
  const [, queuedNs] = readFileSync(path, 'utf8').split(' ');
  return Number(queuedNs) / NS_PER_MS;
}
