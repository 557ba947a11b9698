/** A group of three, each node's data on a disk of its own whose power can be cut. */
import type { Owner } from './owner.ts';
import { CuttableDisk, powerCutObstacle } from './power-cut.ts';
import { TestCluster } from './test-cluster.ts';

export const NODE_IDS = ['n1', 'n2', 'n3'] as const;

const obstacle = powerCutObstacle();
export const skipPowerCut = obstacle === null ? false : `power cut: ${obstacle}`;

export interface CuttableCluster {
  readonly cluster: TestCluster;
  /** Kills the nodes and cuts the power of their disks, then gives the power back. */
  cut(nodeIds: readonly string[]): Promise<void>;
}

export async function startCuttableCluster(owner: Owner): Promise<CuttableCluster> {
  const disks = new Map<string, CuttableDisk>();
  for (const nodeId of NODE_IDS) {
    const disk = new CuttableDisk(nodeId);
    owner.after(async () => disk.destroy());
    disks.set(nodeId, disk);
  }
  const directoryOf = (nodeId: string): string => `${disks.get(nodeId)!.mountPoint}/data`;
  const cluster = await TestCluster.start({ directoryOf });
  owner.after(() => cluster.close());
  return {
    cluster,
    cut: async (nodeIds) => {
      const kills = nodeIds.map((nodeId) => cluster.kill(nodeId));
      for (const nodeId of nodeIds) disks.get(nodeId)!.cut();
      await Promise.all(kills);
      for (const nodeId of nodeIds) disks.get(nodeId)!.remount();
    },
  };
}
