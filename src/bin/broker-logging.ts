/** Turns the events of the layers into log lines: one per decision, `area.noun_verb` as the name. */

import { unreachable } from '../base/assert.ts';
import type { RegistrationEvent } from '../broker/registration.ts';
import type { BackupServiceEvent } from '../replica/backup/backup-event.ts';
import type { CheckpointEvent } from '../replica/checkpoints/checkpoint-judge.ts';
import type { DamageEvent } from '../replica/damage-response.ts';
import type { PeerEvent } from '../replica/peer-transport.ts';
import type { RepairEvent } from '../replica/repair/repair-log.ts';
import type { RepairServiceEvent } from '../replica/repair/repair-service.ts';
import type { Replica } from '../replica/replica.ts';
import type { ReplicaEvent } from '../replica/replica-options.ts';
import type { SnapshotEvent } from '../replica/snapshot/snapshot-event.ts';
import type { DerivedEvent } from '../store/derived/open-derived-state.ts';
import type { RoomEvent } from '../store/disk-space.ts';
import type { ScrubEvent } from '../store/scrub/scrubber.ts';
import type { SnapshotFileEvent } from '../store/snapshots/snapshot-files.ts';
import type { Logger } from './logger.ts';

export function logRoles(logger: Logger, replica: Replica): void {
  replica.onRoleChange(({ role, term, leader }) => {
    logger.info({ event: 'raft.role_changed', role, term, leader }, 'The role changed');
  });
  replica.onLeadership((leadership) => {
    if (leadership === null) logger.warn({ event: 'raft.leadership_lost' }, 'No longer serving');
    else logger.info({ event: 'raft.leadership_gained', ...leadership }, 'Serving as leader');
  });
}

export function logReplicaEvent(logger: Logger, event: ReplicaEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'alarm':
      logger.error({ event: 'raft.alarm', ...fields }, 'The core raised an alarm');
      return;
    case 'chainBroken':
      logger.error({ event: 'raft.chain_broken', ...fields }, 'A log copy is damaged or foreign');
      return;
    case 'membershipChanged':
      logger.info(
        { event: 'raft.membership_changed', ...fields },
        'Another membership is in force',
      );
      return;
    case 'snapshotIgnored':
      logger.warn(
        { event: 'snapshot.ignored', ...fields },
        'Was told to install a snapshot that is not here: it will be offered again',
      );
      return;
    case 'snapshotTaken':
    case 'snapshotNotTaken':
    case 'snapshotOffered':
    case 'snapshotGiven':
    case 'snapshotNotGiven':
    case 'snapshotPulling':
    case 'snapshotPulled':
    case 'snapshotInstalled':
    case 'stateRebuilt':
    case 'snapshotMissing':
    case 'logCompacted':
    case 'membersOverridden':
      logSnapshotEvent(logger, event);
      return;
    case 'backupBegun':
    case 'backupGiven':
    case 'backupPinEnded':
    case 'backupSourceRotten':
      logBackupEvent(logger, event);
      return;
    case 'refusedByGroup':
      logger.error(
        { event: 'raft.refused_by_group', ...fields },
        'Most members refuse this node: it gives up unless that changes soon',
      );
      return;
    case 'removedFromGroup':
      logger.error(
        { event: 'raft.removed_from_group', ...fields },
        'This node was removed from its group and stops',
      );
      return;
    case 'storesNotPinned':
      logger.error(
        { event: 'raft.stores_not_pinned', ...fields },
        'The stores of the members cannot be brought into the membership',
      );
      return;
    case 'diskStalled':
      logger.error({ event: 'store.disk_stalled', ...fields }, 'The disk does not finish a write');
      return;
    case 'diskRecovered':
      logger.warn({ event: 'store.disk_recovered' }, 'The disk finishes writes again');
      return;
    default:
      unreachable(kind);
  }
}

export function logSnapshotFileEvent(logger: Logger, { path, problem }: SnapshotFileEvent): void {
  const fields = { event: 'snapshot.damaged', path, problem };
  logger.error(fields, 'A snapshot is damaged; it was put aside');
}

/** Of snapshots, and of the beginning of the log. */
export function logSnapshotEvent(logger: Logger, event: SnapshotEvent): void {
  const { kind, ...fields } = event;
  const [level, name, sentence] = SNAPSHOT_LINES[kind];
  logger[level]({ event: name, ...fields }, sentence);
}

const SNAPSHOT_LINES: Readonly<
  Record<SnapshotEvent['kind'], readonly ['info' | 'warn' | 'error', string, string]>
> = {
  snapshotTaken: ['info', 'snapshot.taken', 'Took a snapshot of derived state'],
  snapshotNotTaken: ['error', 'snapshot.not_taken', 'Cannot take a snapshot: trying again later'],
  snapshotOffered: ['info', 'snapshot.offered', 'A node is too far behind: offered it a snapshot'],
  snapshotGiven: ['info', 'snapshot.given', 'The node has the snapshot, and is told to install it'],
  snapshotNotGiven: ['warn', 'snapshot.not_given', 'The node did not get the snapshot'],
  snapshotPulling: ['info', 'snapshot.pulling', 'Getting a snapshot, from where it was left'],
  snapshotPulled: ['info', 'snapshot.pulled', 'The snapshot is here, verified and durable'],
  snapshotInstalled: [
    'warn',
    'snapshot.installed',
    'The log begins anew with a snapshot; not of use before its entries are here',
  ],
  stateRebuilt: ['info', 'snapshot.state_rebuilt', 'Derived state was made from a snapshot'],
  snapshotMissing: [
    'error',
    'snapshot.missing',
    'The log needs a snapshot, and nobody gives one: asking again',
  ],
  logCompacted: ['info', 'log.compacted', 'Removed the beginning of the log'],
  membersOverridden: [
    'error',
    'retention.members_overridden',
    'The disk is nearly full: retention waits no longer for members that are behind',
  ],
};

export function logPeerEvent(logger: Logger, event: PeerEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'peerUp':
      logger.info({ event: 'peer.up', ...fields }, 'A stream to or from a peer is up');
      return;
    case 'peerDown':
      logger.warn({ event: 'peer.down', ...fields }, 'A stream to or from a peer ended');
      return;
    case 'refusedPeer':
      logger.error({ event: 'peer.refused', ...fields }, 'Refused a peer');
      return;
    case 'refusedByPeer':
      logger.error({ event: 'peer.refused_by', ...fields }, 'A peer refused us');
      return;
    case 'strangerAdmitted':
      logger.warn(
        { event: 'peer.stranger_admitted', ...fields },
        'A node talks to us that our membership does not name: ours may be old',
      );
      return;
    case 'unprovenStart':
      logger.warn(
        { event: 'peer.unproven_start', ...fields },
        'A peer was started too often since it was seen to tell whether its directory is an old image',
      );
      return;
    case 'unusableAddress':
      logger.error({ event: 'peer.unusable_address', ...fields }, 'A peer has no usable address');
      return;
    case 'corruptFrame':
      logger.error({ event: 'peer.corrupt_frame', ...fields }, 'A frame of a peer was damaged');
      return;
    default:
      unreachable(kind);
  }
}

export function logDerivedEvent(logger: Logger, event: DerivedEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'databaseSetAside':
      logger.warn(
        { event: 'derived.set_aside', ...fields },
        'Derived state is rebuilt from the log',
      );
      return;
    case 'commitWaitsForRoom':
      logger.error(
        { event: 'derived.commit_waits' },
        'The disk has no room for derived state; committed when there is',
      );
      return;
    case 'commitFailed':
      logger.error(
        { event: 'derived.commit_failed', ...fields },
        'Derived state cannot be committed',
      );
      return;
    default:
      unreachable(kind);
  }
}

export function logRoomEvent(logger: Logger, event: RoomEvent): void {
  if (event.kind === 'roomUnknown') {
    const fields = { event: 'store.room_unknown', error: event.error.message };
    logger.error(fields, 'Cannot see how much room the disk has');
    return;
  }
  const { from, room } = event;
  const fields = { event: 'store.room_changed', from, ...room };
  switch (room.level) {
    case 'full':
      logger.error(
        fields,
        'The disk is full: as leader, this node refuses messages until there is room',
      );
      return;
    case 'low':
      logger.warn(fields, 'The disk is nearly full');
      return;
    case 'ok':
      logger.info(fields, 'The disk has room again');
      return;
    default:
      unreachable(room.level);
  }
}

export function logRegistrationEvent(logger: Logger, event: RegistrationEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'nameServerReached':
      logger.info({ event: 'namesrv.reached', ...fields }, 'Registered with a name server');
      return;
    case 'nameServerLost':
      logger.warn({ event: 'namesrv.lost', ...fields }, 'A name server does not answer');
      return;
    case 'claimRefused':
      logger.warn(
        { event: 'namesrv.claim_refused', ...fields },
        'A name server knows a newer leader',
      );
      return;
    default:
      unreachable(kind);
  }
}

/** A log that is repaired before the node takes part. */
export function logRepairEvent(logger: Logger, event: RepairEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'repairStarted':
      logger.error({ event: 'repair.started', ...fields }, 'The log is damaged: under repair');
      return;
    case 'repairProgress':
      logger.info({ event: 'repair.entries_fetched', ...fields }, 'Entries were put back');
      return;
    case 'repairContradicted':
      logger.warn(
        { event: 'repair.entries_void', ...fields },
        'The group has committed other entries than this node had',
      );
      return;
    case 'repairCutInFront':
      logger.warn(
        { event: 'repair.log_begins_later', ...fields },
        'The group has removed what is missing: the log begins later, as that of the others',
      );
      return;
    case 'repairGivenUp':
      logger.warn({ event: 'repair.tail_cut', ...fields }, 'Nobody has them: cut off as torn');
      return;
    case 'repairWaits':
      logger.warn(
        { event: 'repair.waiting', ...fields },
        event.kind === 'repairWaits' && event.needsSnapshot
          ? 'The group has removed what is missing: this node needs a snapshot'
          : 'Nobody can help yet: asking again',
      );
      return;
    case 'repairDone':
      logger.info({ event: 'repair.done', ...fields }, 'The log is whole again');
      return;
    default:
      unreachable(kind);
  }
}

/** Help for others. */
export function logRepairServiceEvent(logger: Logger, event: RepairServiceEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'repairServed':
      logger.info({ event: 'repair.entries_given', ...fields }, 'Gave entries to another node');
      return;
    case 'repairRefused':
      logger.warn({ event: 'repair.refused', ...fields }, 'Refused to give entries');
      return;
    case 'repairSourceRotten':
      logger.error({ event: 'repair.source_rotten', ...fields }, 'This log is damaged, too');
      return;
    default:
      unreachable(kind);
  }
}

export type SoundnessEvent = ScrubEvent | DamageEvent | CheckpointEvent;

export function logSoundnessEvent(logger: Logger, event: SoundnessEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'scrubFound':
      logger.error({ event: 'scrub.damage_found', ...fields }, 'The log on disk is damaged');
      return;
    case 'scrubReadFlaky':
      logger.warn(
        { event: 'scrub.read_flaky', ...fields },
        'A first read was bad and the second was not: cable, memory or controller',
      );
      return;
    case 'scrubPassed':
      logger.info({ event: 'scrub.passed', ...fields }, 'The whole log was read again');
      return;
    case 'damageKept':
      logger.error(
        { event: 'scrub.damage_kept', ...fields },
        'The log on disk is damaged, and the group needs this node as it is',
      );
      return;
    case 'handingOver':
      logger.warn({ event: 'scrub.handing_over', ...fields }, 'Hands over before it ends');
      return;
    case 'checkpointAgreed':
      logger.info({ event: 'checkpoint.agreed', ...fields }, 'As the group says that it should be');
      return;
    case 'stateDiverged':
      logger.error(
        { event: 'state.diverged', ...fields },
        'This replica is not what the leader says that it should be',
      );
      return;
    case 'othersDiffer':
      logger.error(
        { event: 'state.others_differ', ...fields },
        'Other replicas are not as this one',
      );
      return;
    default:
      unreachable(kind);
  }
}

function logBackupEvent(logger: Logger, event: BackupServiceEvent): void {
  const { kind, ...fields } = event;
  switch (kind) {
    case 'backupBegun':
      logger.info({ event: 'backup.begun', ...fields }, 'A backup is taken from this node');
      return;
    case 'backupGiven':
      logger.info({ event: 'backup.given', ...fields }, 'A backup has got all it wanted');
      return;
    case 'backupPinEnded':
      logger.warn({ event: 'backup.pin_ended', ...fields }, 'The log is held for a backup no more');
      return;
    case 'backupSourceRotten':
      logger.error(
        { event: 'backup.source_rotten', ...fields },
        'Read damage in the own log or snapshot; the backup goes on with another node',
      );
      return;
    default:
      unreachable(kind);
  }
}
