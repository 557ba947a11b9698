/**
 * A member of the run dies for ever, with its directory, and a node with an empty disk takes its place: in the group, in
 * the run, and in what "on a majority of disks" means.
 */
import { rmSync } from 'node:fs';
import { HEAL_TIMEOUT_MS } from '../limits.ts';
import { type FaultContext, FaultImpossible, untilWhole } from './fault.ts';
import { Change, DEAD_MS, MACHINE_IS_SLOW } from './membership-change.ts';

const RETRY_PAUSE_MS = 500;

export async function replaceMember(context: FaultContext<'replaceMember'>): Promise<string> {
  const { cluster, step, targets, lasting } = context;
  const { network, recorder } = cluster;
  // A group knows one address of each member, and relays give it as many as there are callers.
  if (network.kind !== 'namespaces') throw new FaultImpossible('needs network namespaces');
  const work = await Change.begin(cluster);
  const [dead] = targets;
  const successor = cluster.takeSpare();
  if (dead === undefined || successor === null) throw new FaultImpossible('no place is left');
  await dead.kill('it is dead for ever');
  rmSync(dead.directory, { recursive: true, force: true });
  await lasting(DEAD_MS);
  // There is no way back: other faults may be at work, so it is tried until it is done.
  const deadlineAtMs = recorder.nowMs() + HEAL_TIMEOUT_MS;
  const retry = async (what: () => Promise<boolean>): Promise<void> => {
    while (!(await what())) {
      if (recorder.nowMs() > deadlineAtMs)
        throw new Error(`${dead.nodeId} was not replaced: ${work.notes}`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    }
  };
  const { nodeId } = successor;
  await retry(async () => {
    successor.ticket = await work.add(nodeId, network.addressesOf(nodeId).raft);
    return successor.ticket !== null;
  });
  await successor.start();
  await retry(() =>
    work.command(step.operators, 'replace', dead.nodeId, nodeId, ...MACHINE_IS_SLOW),
  );
  cluster.substitute(dead, successor);
  return `${work.notes} ${await untilWhole(cluster, [successor])}`.trim();
}
