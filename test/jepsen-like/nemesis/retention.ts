/** A node is away while the group removes the beginning of the log, and what the node would need with it. */
import { type FaultContext, untilWhole } from './fault.ts';
import { logFilesOf } from './log-files.ts';

/** How often the logs of the others are looked at. */
const LOOK_PERIOD_MS = 500;

export async function compactPast(context: FaultContext<'compactPast'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  const others = cluster.nodes.filter((node) => !targets.includes(node));
  await Promise.all(targets.map((node) => node.kill('killed, to miss a part of the log')));
  const logs = await Promise.all(targets.map(({ directory }) => logFilesOf(directory)));
  const needed = Math.min(...logs.map(({ end }) => end));
  const sinceMs = cluster.recorder.nowMs();
  const isOver = (): boolean => cluster.recorder.nowMs() - sinceMs >= step.lastsMs;
  let isPast = false;
  while (!isPast && !isOver()) {
    const before = cluster.recorder.nowMs();
    await lasting(LOOK_PERIOD_MS);
    const isHealing = cluster.recorder.nowMs() - before < LOOK_PERIOD_MS / 2;
    const begins = await Promise.all(others.map(({ directory }) => logFilesOf(directory)));
    isPast = begins.every(({ begin }) => begin >= needed);
    if (isHealing) break;
  }
  const seen = targets.map((node) => [node, snapshotsIn(node.log())] as const);
  await Promise.all(targets.map((node) => node.start()));
  const whole = await untilWhole(cluster, targets);
  const came = seen.map(
    ([node, before]) =>
      `${node.nodeId} ${snapshotsIn(node.log()) > before ? 'got a snapshot' : 'caught up by its log'}`,
  );
  const begin = isPast ? `the log begins behind ${needed}` : 'the log still has what it needs';
  return `${begin}: ${came.join(', ')} ${whole}`.trim();
}

function snapshotsIn(log: string): number {
  return log.split('"snapshot.installed"').length - 1;
}
