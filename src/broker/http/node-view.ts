/** What the HTTP endpoint needs to see of a replica; every Replica has it. */
import type { Replica, ReplicaStatus } from '../../replica/replica.ts';
import type { DiskStats } from '../../store/commit-log.ts';

export interface NodeView extends Pick<Replica, 'onRoleChange'> {
  readonly log: { readonly diskStats: DiskStats };
  status(): ReplicaStatus;
}
