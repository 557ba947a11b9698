/** Faults that operators make: leadership handed round, and members that come and go under load. */
import type { FaultContext } from './fault.ts';
import { Change, DEAD_MS, MACHINE_IS_SLOW } from './membership-change.ts';

/** Two in a second, as the reference has it. */
const TRANSFER_PERIOD_MS = 500;

export async function transferStorm({
  cluster,
  step,
  lasting,
}: FaultContext<'transferStorm'>): Promise<string> {
  const endAtMs = cluster.recorder.nowMs() + step.lastsMs;
  const ends = new Map<string, number>();
  const leaders = new Set<string>();
  while (cluster.recorder.nowMs() < endAtMs) {
    const beginMs = cluster.recorder.nowMs();
    const how = await cluster.operator.transfer();
    ends.set(how, (ends.get(how) ?? 0) + 1);
    const leader = cluster.watch.leader();
    if (leader !== null) leaders.add(leader);
    const leftMs = beginMs + TRANSFER_PERIOD_MS - cluster.recorder.nowMs();
    await lasting(Math.max(1, leftMs));
    // Everything is to be healed: no time passes any more.
    if (cluster.recorder.nowMs() - beginMs < TRANSFER_PERIOD_MS / 2) break;
  }
  const words = [...ends].map(([how, count]) => `${how}: ${count} times`);
  return `${words.join(', ')}; led by ${[...leaders].join(', ')}`;
}

/** A new node joins, becomes a voter, and is removed for ever; sometimes two operators are at it at once. */
export async function membership({
  cluster,
  step,
  lasting,
}: FaultContext<'membership'>): Promise<string> {
  const work = await Change.begin(cluster);
  const spare = await work.join();
  if (spare === null) return work.notes;
  try {
    await work.untilCaughtUp(spare, lasting);
    await lasting(step.learnerMs);
    const allowed = ['--allow-even', ...MACHINE_IS_SLOW];
    await work.command(step.operators, 'promote', spare.name, ...allowed);
    await lasting(step.voterMs);
  } finally {
    await work.remove(spare, step.operators);
  }
  return work.notes;
}

/**
 * A voter dies and its directory with it; another node takes its place, by one command. The voter is one
 * that came for this: the members that the run is about stay, and with them what a majority of disks means.
 */
export async function replaceDead({
  cluster,
  step,
  lasting,
}: FaultContext<'replaceDead'>): Promise<string> {
  const work = await Change.begin(cluster);
  const dying = await work.join();
  if (dying === null) return work.notes;
  try {
    await work.untilCaughtUp(dying, lasting);
    const allowed = ['--allow-even', ...MACHINE_IS_SLOW];
    const isVoter = await work.command(1, 'promote', dying.name, ...allowed);
    await dying.stop();
    dying.forget();
    if (!isVoter) return `${work.notes}: it never had a vote`;
    await lasting(DEAD_MS);
    const coming = await work.join();
    if (coming === null) return work.notes;
    try {
      await work.command(step.operators, 'replace', dying.name, coming.name, ...MACHINE_IS_SLOW);
    } finally {
      await work.remove(coming, 1);
    }
  } finally {
    await work.remove(dying, 1);
  }
  return work.notes;
}
