/** Where a bug can be planted around the code of production. Without one everything is what it is. */
import type { Admin } from '../../src/broker/admin/admin.ts';
import type { Gateway } from '../../src/broker/gateway.ts';
import type { RetentionLimits } from '../../src/broker/services/retention-decision.ts';
import type { SyncFate } from '../../src/io/memory/memory-disk.ts';
import type { LoggedMembership } from '../../src/raft/membership.ts';
import type { SafetyRules } from '../../src/raft/rules.ts';
import type { LocalRosterOptions } from '../../src/replica/handshake.ts';
import type { LogExtent, Replica } from '../../src/replica/replica.ts';
import type { CommitLog } from '../../src/store/commit-log.ts';
import type { RecoveryPlan } from '../../src/store/recover/recovery-plan.ts';
import type { Survivor } from '../../src/store/recover/survivor.ts';
import type { RecoveryTask } from '../../src/store/recover/unsafe-recovery.ts';
import { type StoreRules, standardStoreRules } from '../../src/store/store-rules.ts';

export interface StackBugs {
  readonly storeRules: StoreRules;
  /** What a sync of a file comes to. */
  readonly syncFate: (path: string) => SyncFate;
  readonly syncsDirectories: boolean;
  /** A failed sync is taken for a good one. */
  readonly ignoresSyncErrors: boolean;
  /** A store's uuid is its node's name, and so the same after a wipe. */
  readonly mintsUuidFromName: boolean;
  readonly wrapLog: (log: CommitLog) => CommitLog;
  /** What the handshake sees of the log. */
  readonly wrapPins: (log: LocalRosterOptions['log']) => LocalRosterOptions['log'];
  /** What the broker sees of the replica. */
  readonly wrapReplica: (replica: Replica) => Replica;
  readonly wrapGateway: (gateway: Gateway, replica: Replica) => Gateway;
  /** What retention is told of the log and of who needs it. */
  readonly wrapExtent: (extent: LogExtent, replica: Replica) => LogExtent;
  /** What the rest of a node believes of the members, as its handshakes see it. */
  readonly wrapRoster: (current: LoggedMembership) => LoggedMembership;
  /** What administration sees of the replica. */
  readonly wrapAdminReplica: (replica: Replica) => Replica;
  readonly wrapAdmin: (admin: Admin) => Admin;
  readonly wrapSurvivor: (survivor: Survivor) => Survivor;
  readonly wrapTask: (task: RecoveryTask, plan: RecoveryPlan) => RecoveryTask;
  /** Rules of the core that are other ones. */
  readonly coreRules: Partial<SafetyRules>;
  /** What retention is told to keep. */
  readonly wrapLimits: (limits: RetentionLimits) => RetentionLimits;
}

export const NO_BUGS: StackBugs = {
  storeRules: standardStoreRules,
  syncFate: () => 'durable',
  syncsDirectories: true,
  ignoresSyncErrors: false,
  mintsUuidFromName: false,
  wrapLog: (log) => log,
  wrapPins: (log) => log,
  wrapReplica: (replica) => replica,
  wrapGateway: (gateway) => gateway,
  wrapExtent: (extent) => extent,
  wrapLimits: (limits) => limits,
  wrapRoster: (current) => current,
  wrapAdminReplica: (replica) => replica,
  wrapAdmin: (admin) => admin,
  wrapSurvivor: (survivor) => survivor,
  wrapTask: (task) => task,
  coreRules: {},
};
