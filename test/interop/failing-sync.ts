/** A disk that refuses a sync, as the kernel tells it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { inTime } from './deadline.ts';
import type { Owner } from './owner.ts';
import type { TestCluster } from './test-cluster.ts';

/** From now on the first fdatasync of the node's first log segment returns EIO; it does not sync. */
export async function failNextSync(
  owner: Owner,
  cluster: TestCluster,
  nodeId: string,
): Promise<void> {
  const segment = `${cluster.node(nodeId).directory}/data/${'0'.repeat(20)}.seg`;
  const tracer: ChildProcess = spawn(
    'strace',
    [
      ...['-f', '-p', String(cluster.pidOf(nodeId)), '-P', segment, '-o', '/dev/null'],
      ...['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  owner.after(async () => void tracer.kill('SIGKILL'));
  // It says "Process N attached with M threads" when the fault is in place.
  const attached = new Promise<void>((resolve, reject) => {
    tracer.stderr?.once('data', () => resolve());
    tracer.once('exit', () => reject(new Error('strace ended before the process it traces')));
  });
  await inTime('strace to attach', attached);
}
