/**
 * The group that is searched: three nodes and how their cores are configured. Everything that could
 * turn time into a number is made constant, so that no count of ticks is part of a state.
 */
import { assert } from '../../../src/base/assert.ts';
import type { RandomSource } from '../../../src/base/prng.ts';
import { KIB } from '../../../src/base/sizes.ts';
import { NodeId } from '../../../src/base/units.ts';
import type { CoreConfig } from '../../../src/raft/core-types.ts';
import type { Membership } from '../../../src/raft/membership.ts';
import type { SafetyRules } from '../../../src/raft/rules.ts';

/** A node of the group by its number. */
export type Place = 0 | 1 | 2;
export const PLACES: readonly Place[] = [0, 1, 2];

export const NODE_IDS: readonly [NodeId, NodeId, NodeId] = [
  NodeId('n1'),
  NodeId('n2'),
  NodeId('n3'),
];

export function placeOf(id: NodeId): Place {
  const place = NODE_IDS.indexOf(id);
  assert(place === 0 || place === 1 || place === 2, 'a message goes to the group', () => ({ id }));
  return place;
}

/** One tick is one heartbeat. */
export const BEAT_TICKS = 1;
/** What a follower must not have heard its leader for, before it helps another one. */
export const LAPSE_TICKS = 10;
const TIMEOUT_TICKS_MAX = 20;
/** The longest time without a campaign, whatever was drawn. */
export const FIRE_TICKS_MAX = TIMEOUT_TICKS_MAX + 1;
/** No timer that is meant to be off ever runs out. */
const NEVER_TICKS = 1_000_000;

/** Always draws the longest timeout: a lapse never ends in a campaign. */
export const longestTimeouts: RandomSource = {
  nextU32: () => TIMEOUT_TICKS_MAX - LAPSE_TICKS - 1,
};

const SEGMENT_SIZE_BYTES = 64 * KIB;
export const PAYLOAD_SIZE_BYTES = 8;

/** What the nodes of one search have in common. */
export interface GroupSetup {
  readonly founding: Membership;
  readonly rules: SafetyRules;
  /** Entries of an append message: as many as there are, or each by itself. */
  readonly isOneEntryPerMessage: boolean;
}

export function configOf(self: NodeId, setup: GroupSetup): CoreConfig {
  return {
    self,
    segmentSizeBytes: SEGMENT_SIZE_BYTES,
    heartbeatTicks: BEAT_TICKS,
    electionTimeoutTicksMin: LAPSE_TICKS,
    electionTimeoutTicksMax: TIMEOUT_TICKS_MAX,
    // One larger entry travels alone.
    appendSizeBytesMax: setup.isOneEntryPerMessage ? 1 : SEGMENT_SIZE_BYTES,
    inflightSizeBytesMax: 4 * SEGMENT_SIZE_BYTES,
    inflightCountMax: 16,
    uncommittedSizeBytesMax: SEGMENT_SIZE_BYTES,
    describeMembership: () => ({ payloadSizeBytes: PAYLOAD_SIZE_BYTES, payloadCrc: 0 }),
    progressTimeoutTicks: NEVER_TICKS,
    extentPollTicks: NEVER_TICKS,
    handoverLagBytesMax: SEGMENT_SIZE_BYTES,
    preferenceTicks: NEVER_TICKS,
  };
}

export function groupOf(voters: readonly Place[], learners: readonly Place[]): Membership {
  const idsOf = (places: readonly Place[]): NodeId[] => places.map((place) => NODE_IDS[place]);
  const members = [...voters, ...learners].toSorted().map((place) => ({
    nodeId: NODE_IDS[place],
    storeUuid: null,
    raftAddress: `${NODE_IDS[place]}:1`,
    priority: 0,
  }));
  return { members, voters: idsOf(voters), outgoing: [], learners: idsOf(learners), removed: [] };
}
