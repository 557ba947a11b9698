/** Faults that operators make: leadership handed round, and members that come and go under load. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SpareNode } from '../harness/spare-node.ts';
import { type FaultContext, FaultImpossible } from './fault.ts';

/** Two in a second, as the reference has it. */
const TRANSFER_PERIOD_MS = 500;

export async function transferStorm({
  cluster,
  step,
  lasting,
}: FaultContext<'transferStorm'>): Promise<string> {
  const { operator } = cluster;
  if (!(await operator.knows('member', 'transfer'))) {
    throw new FaultImpossible('this build has no command to transfer leadership');
  }
  const endAtMs = cluster.recorder.nowMs() + step.lastsMs;
  const codes = new Map<number | null, number>();
  while (cluster.recorder.nowMs() < endAtMs) {
    const { code } = await operator.command('member', 'transfer', '--yes', '--no-wait');
    codes.set(code, (codes.get(code) ?? 0) + 1);
    await lasting(TRANSFER_PERIOD_MS);
  }
  return [...codes].map(([code, count]) => `exit code ${code}: ${count} times`).join(', ');
}

/** A new node joins, becomes a voter, and is removed for ever; sometimes two operators are at it at once. */
export async function membership({
  cluster,
  step,
  lasting,
}: FaultContext<'membership'>): Promise<string> {
  const { operator } = cluster;
  if (!(await operator.knows('member', 'add'))) {
    throw new FaultImpossible('this build has no command to change the membership');
  }
  const name = cluster.nextSpareName();
  const directory = join(cluster.slot.folder, `spare-${name}`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  const spare = await SpareNode.plan(cluster, name, directory);
  const notes: string[] = [];
  const change = async (...words: readonly string[]): Promise<boolean> => {
    const rivals = step.operators === 2 ? [operator.command(...words)] : [];
    const ends = await Promise.all([operator.command(...words), ...rivals]);
    notes.push(`${words[1]} ${ends.map(({ code }) => code).join(' and ')}`);
    return ends.some(({ code }) => code === 0);
  };
  const added = await operator.command('member', 'add', name, '--addr', spare.raft, '--yes');
  const ticket = /--join (\S+) --token (\S+)/.exec(added.output);
  notes.push(`add ${added.code}`);
  if (ticket === null) return `${notes.join(', ')}: ${added.output.slice(-200)}`;
  try {
    await spare.start(ticket[1] ?? '', ticket[2] ?? '');
    await lasting(step.learnerMs);
    await change('member', 'promote', name, '--allow-even', '--yes');
    await lasting(step.voterMs);
  } finally {
    // Whatever it has become: it must not be left a member that is never there again.
    await cluster.untilRemoved(name, () =>
      change('member', 'remove', name, '--allow-even', '--allow-less-tolerance', '--yes'),
    );
    await spare.stop();
  }
  return notes.join(', ');
}
