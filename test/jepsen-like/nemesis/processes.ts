/** Faults of processes: killed, paused, restarted one after another. */
import { HEAL_TIMEOUT_MS } from '../limits.ts';
import type { FaultContext } from './fault.ts';

export async function kill({ step, targets, lasting }: FaultContext<'kill'>): Promise<string> {
  await Promise.all(targets.map((node) => node.kill('killed')));
  await lasting(step.downMs);
  await Promise.all(targets.map((node) => node.start()));
  return '';
}

export async function pause({ step, targets, lasting }: FaultContext<'pause'>): Promise<string> {
  for (const node of targets) node.pause();
  await lasting(step.lastsMs);
  for (const node of targets) node.resume();
  return '';
}

/** As an upgrade does it: the next one when the last one is back and somebody leads. */
export async function rollingRestart({
  cluster,
  step,
  lasting,
}: FaultContext<'rollingRestart'>): Promise<string> {
  for (const node of cluster.nodes) {
    await node.kill('restarted in order', 'SIGTERM');
    await node.start();
    await cluster.untilLeader(HEAL_TIMEOUT_MS);
    await lasting(step.pauseMs);
  }
  return '';
}
