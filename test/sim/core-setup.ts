/** What the cores of a run are made from: the group as it is founded, and its limits. */
import { crc32 } from '../../src/base/crc32.ts';
import type { NodeId } from '../../src/base/units.ts';
import type { CoreConfig, MembershipPayload } from '../../src/raft/core-types.ts';
import { logOrigin, type SnapshotDesc } from '../../src/raft/entry.ts';
import { foundingMembership, type Membership } from '../../src/raft/membership.ts';
import { nodeIdAt } from './host.ts';
import { addressOf } from './operator.ts';
import type { Profile } from './profiles.ts';
import {
  ELECTION_TICKS_MAX,
  ELECTION_TICKS_MIN,
  EXTENT_POLL_TICKS,
  HEARTBEAT_TICKS,
  PREFERENCE_TICKS,
  PROGRESS_TIMEOUT_TICKS,
} from './timing.ts';

/** Two full messages: far less than a node falls behind in a partition. */
const HANDOVER_LAG_MESSAGES = 2;

/** Where every directory of the group begins, a spare node's too. */
export function originOf({ nodeCount }: Pick<Profile, 'nodeCount'>): SnapshotDesc {
  const founders = Array.from({ length: nodeCount }, (_, place) => {
    const nodeId = nodeIdAt(place);
    return { nodeId, raftAddress: addressOf(nodeId) };
  });
  return logOrigin(foundingMembership(founders));
}

export function coreConfigOf(profile: Profile, self: NodeId): CoreConfig {
  const { segmentSizeBytes, appendSizeBytesMax, inflightCountMax } = profile;
  return {
    self,
    segmentSizeBytes,
    heartbeatTicks: HEARTBEAT_TICKS,
    electionTimeoutTicksMin: ELECTION_TICKS_MIN,
    electionTimeoutTicksMax: ELECTION_TICKS_MAX,
    appendSizeBytesMax,
    inflightSizeBytesMax: appendSizeBytesMax * inflightCountMax,
    inflightCountMax,
    uncommittedSizeBytesMax: profile.uncommittedSizeBytesMax,
    describeMembership,
    progressTimeoutTicks: PROGRESS_TIMEOUT_TICKS,
    extentPollTicks: EXTENT_POLL_TICKS,
    handoverLagBytesMax: Math.max(HANDOVER_LAG_MESSAGES * appendSizeBytesMax, 4096),
    preferenceTicks: PREFERENCE_TICKS,
  };
}

/** The encoding of the model is JSON; only its size and checksum matter. */
export function describeMembership(membership: Membership): MembershipPayload {
  const payload = Buffer.from(JSON.stringify(membership));
  return { payloadSizeBytes: payload.length, payloadCrc: crc32(payload) };
}
