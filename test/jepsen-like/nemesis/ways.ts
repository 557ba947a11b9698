/** Faults of the network. One at a time, so that healing one does not heal another. */
import { CLIENTS } from '../harness/network.ts';
import { cutsOf, type Direction, oneWayCutsOf } from './cuts.ts';
import { type FaultContext, requireFeature, type Scene } from './fault.ts';

async function cutFor(
  context: Scene,
  cuts: readonly Direction[],
  lastsMs: number,
): Promise<string> {
  const { network } = context.cluster;
  try {
    await Promise.all(cuts.map(([from, to]) => network.block(from, to)));
    await context.lasting(lastsMs);
  } finally {
    await Promise.all(cuts.map(([from, to]) => network.heal(from, to)));
  }
  return cuts.map(([from, to]) => `${from}>${to}`).join(' ');
}

const namesOf = ({ cluster }: Scene): readonly string[] =>
  cluster.nodes.map(({ nodeId }) => nodeId);
const firstOf = ({ targets }: Scene): string => targets[0]!.nodeId; // never empty

export function partition(context: FaultContext<'partition'>): Promise<string> {
  const { shape, lastsMs } = context.step;
  return cutFor(context, cutsOf(shape, namesOf(context), firstOf(context)), lastsMs);
}

export function oneWay(context: FaultContext<'oneWay'>): Promise<string> {
  const { shape, lastsMs } = context.step;
  return cutFor(context, oneWayCutsOf(shape, namesOf(context), firstOf(context)), lastsMs);
}

export async function flap(context: FaultContext<'flap'>): Promise<string> {
  const { periodMs, lastsMs } = context.step;
  const cuts = cutsOf('isolate', namesOf(context), firstOf(context));
  const roundCount = Math.ceil(lastsMs / (2 * periodMs));
  for (let round = 0; round < roundCount; round++) {
    await cutFor(context, cuts, periodMs);
    await context.lasting(periodMs);
  }
  return `${roundCount} times`;
}

export function clientCut(context: FaultContext<'clientCut'>): Promise<string> {
  const node = firstOf(context);
  return cutFor(
    context,
    [
      [CLIENTS, node],
      [node, CLIENTS],
    ],
    context.step.lastsMs,
  );
}

export async function slowLinks(context: FaultContext<'slowLinks'>): Promise<string> {
  const { network } = context.cluster;
  const { lossPercent, bytesPerSecond, delayMs, lastsMs } = context.step;
  const badness = { lossPercent, bytesPerSecond, delayMs };
  requireFeature(network.lacks(badness));
  const ways = cutsOf('isolate', namesOf(context), firstOf(context));
  try {
    await Promise.all(ways.map(([from, to]) => network.worsen(from, to, badness)));
    await context.lasting(lastsMs);
  } finally {
    await Promise.all(ways.map(([from, to]) => network.heal(from, to)));
  }
  return `${lossPercent} % lost, ${bytesPerSecond} bytes/s, ${delayMs} ms`;
}
