/**
 * The time of day of one node: it jumps, or runs at another rate, while what measures durations stays true. Or the
 * clock of its machine is wrong: then everything is.
 */
import { writeFileSync } from 'node:fs';
import { fakeClockLibrary } from '../harness/machine.ts';
import { type FaultContext, FaultImpossible, requireFeature, type Scene } from './fault.ts';

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

/**
 * The library counts from the start of the process, so the rate must hold for all its life: set later, it would make
 * the clock jump, which no quartz does.
 */
export async function clockDrift(context: FaultContext<'clockDrift'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  requireFeature(cluster.machine.fakeClock);
  const library = fakeClockLibrary();
  if (library === null) throw new FaultImpossible('needs libfaketime');
  const restart = async (why: string, environment: Readonly<Record<string, string>>) => {
    await Promise.all(targets.map((node) => node.kill(why)));
    for (const node of targets) node.environment = environment;
    await Promise.all(targets.map((node) => node.start()));
  };
  await restart('killed, to give it another quartz', {
    LD_PRELOAD: library,
    FAKETIME: `+0 x${step.rate}`,
    FAKETIME_TIMESTAMP_FILE: '',
    FAKETIME_DONT_FAKE_MONOTONIC: '0',
  });
  await lasting(step.lastsMs);
  await restart('killed, to give it its quartz back', {});
  return '';
}
