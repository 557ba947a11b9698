/** The time of day of one node: it jumps, or runs at another rate. What measures durations stays true. */
import { writeFileSync } from 'node:fs';
import { type FaultContext, requireFeature, type Scene } from './fault.ts';

const NO_OFFSET = '+0\n';

async function fakeFor(
  { cluster, targets, lasting }: Scene,
  text: string,
  lastsMs: number,
): Promise<string> {
  requireFeature(cluster.machine.fakeClock);
  for (const { nodeId } of targets) writeFileSync(cluster.clockFileOf(nodeId), `${text}\n`);
  await lasting(lastsMs);
  for (const { nodeId } of targets) writeFileSync(cluster.clockFileOf(nodeId), NO_OFFSET);
  return text;
}

export function clockJump(context: FaultContext<'clockJump'>): Promise<string> {
  const { jumpMs, lastsMs } = context.step;
  return fakeFor(context, `${jumpMs < 0 ? '' : '+'}${jumpMs / 1000}`, lastsMs);
}

export function clockRate(context: FaultContext<'clockRate'>): Promise<string> {
  const { rate, lastsMs } = context.step;
  return fakeFor(context, `+0 x${rate}`, lastsMs);
}
