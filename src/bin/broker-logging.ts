/** Turns the events of the layers into log lines: one per decision, `area.noun_verb` as the name. */

import { unreachable } from '../base/assert.ts';
import type { RegistrationEvent } from '../broker/registration.ts';
import type { PeerEvent } from '../replica/peer-transport.ts';
import type { Replica } from '../replica/replica.ts';
import type { ReplicaEvent } from '../replica/replica-options.ts';
import type { DerivedEvent } from '../store/derived/open-derived-state.ts';
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
