/** Faults of processes: killed, paused, restarted one after another. */

import type { Program } from '../harness/program.ts';
import { HEAL_TIMEOUT_MS } from '../limits.ts';
import { type FaultContext, FaultImpossible } from './fault.ts';

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

export async function rollingUpgrade({
  cluster,
  step,
  lasting,
}: FaultContext<'rollingUpgrade'>): Promise<string> {
  const { older, program } = cluster;
  if (older === null) throw new FaultImpossible('no older program was given (--upgrade-from)');
  const roll = async (to: Program): Promise<void> => {
    const half = Math.ceil(cluster.nodes.length / 2);
    for (const [i, node] of cluster.nodes.entries()) {
      if (i === half) await lasting(step.mixedMs);
      await node.kill(to === older ? 'taken back' : 'upgraded', 'SIGTERM');
      node.program = to;
      const outcome = await node.start();
      if (outcome.kind === 'ended')
        throw new Error(`${node.nodeId} ended with ${outcome.how}: ${node.lastWords()}`);
      await cluster.untilLeader(HEAL_TIMEOUT_MS);
      await lasting(step.pauseMs);
    }
  };
  await roll(program);
  if (!step.goesBack) return 'upgraded';
  await roll(older);
  await roll(program);
  return 'upgraded, taken back, upgraded again';
}
