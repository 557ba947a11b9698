/**
 * A membership as the payload of a config entry: docs/format/membership.md, schema in
 * proto/mqraft/membership.proto.
 *
 * Invariant: one membership has one encoding, and only that one is read. The core knows a payload by
 * size and CRC, and any node must be able to write the same bytes again from the value alone.
 *
 * Bytes come from a disk or a peer: whatever they say, decoding answers with a membership that makes
 * sense or with a problem in words, and does not throw.
 */
import { assert } from '../base/assert.ts';
import { crc32 } from '../base/crc32.ts';
import { KIB } from '../base/sizes.ts';
import type { MembershipPayload } from '../raft/core-types.ts';
import { ENTRY_HEADER_SIZE_BYTES, type EntryDesc } from '../raft/entry.ts';
import {
  type LoggedMembership,
  MEMBER_COUNT_MAX,
  type Member,
  type Membership,
  NODE_IDS_REMOVED_MAX,
} from '../raft/membership.ts';
import { problemOf } from '../raft/membership-change.ts';
import { CodecError, messageCodec } from './schema.ts';
import { checkedNodeId } from './verb-wire.ts';

export const MEMBERSHIP_FORMAT_VERSION = 1;
/** Above the largest membership that makes sense; what is larger is not even parsed. */
export const MEMBERSHIP_SIZE_BYTES_MAX = 128 * KIB;

export type DecodedMembership =
  | { readonly kind: 'membership'; readonly membership: Membership }
  | { readonly kind: 'problem'; readonly problem: string };

export type DecodedMemberships =
  | { readonly kind: 'memberships'; readonly memberships: readonly LoggedMembership[] }
  | { readonly kind: 'problem'; readonly problem: string };

/** An entry with its bytes, as stores and peer frames have it. */
export interface EntryBytes {
  readonly desc: EntryDesc;
  /** Header, payload, padding. */
  readonly bytes: Uint8Array;
}

/** Absent is the default: a field that has it is not written. */
interface WireMember {
  readonly nodeId: string;
  readonly storeUuid?: string;
  readonly raftAddress: string;
  readonly priority?: number;
}

interface WireMembership {
  readonly formatVersion: number;
  readonly members: readonly WireMember[];
  readonly voters: readonly string[];
  readonly outgoing: readonly string[];
  readonly learners: readonly string[];
  readonly removed: readonly string[];
}

const codec = messageCodec<WireMembership>('mqraft.MembershipRecord');

export function encodeMembership(membership: Membership): Uint8Array {
  const problem = problemOf(membership);
  assert(problem === null, 'only a membership that makes sense is written', () => ({ problem }));
  return encode(membership);
}

export function decodeMembership(bytes: Uint8Array): DecodedMembership {
  if (bytes.length > MEMBERSHIP_SIZE_BYTES_MAX) {
    return wrong(`it has ${bytes.length} bytes, at most ${MEMBERSHIP_SIZE_BYTES_MAX}`);
  }
  try {
    const wire = codec.decode(bytes);
    if (wire.formatVersion !== MEMBERSHIP_FORMAT_VERSION) {
      return wrong(`its format version is ${wire.formatVersion}, not ${MEMBERSHIP_FORMAT_VERSION}`);
    }
    const membership = membershipOf(wire);
    const problem = problemOf(membership);
    if (problem !== null) return wrong(problem);
    // Unknown fields, another order, a default spelled out: not what we would write again.
    const isCanonical = Buffer.compare(encode(membership), bytes) === 0;
    return isCanonical ? { kind: 'membership', membership } : wrong('it is not canonical');
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return wrong(error.message);
  }
}

/** What the core wants to know of a payload: for CoreConfig. */
export function describeMembership(membership: Membership): MembershipPayload {
  const payload = encodeMembership(membership);
  return { payloadSizeBytes: payload.length, payloadCrc: crc32(payload) };
}

/** What the config entries among `entries`, whose checksums are verified, say. */
export function membershipsIn(entries: readonly EntryBytes[]): DecodedMemberships {
  const memberships: LoggedMembership[] = [];
  for (const { desc, bytes } of entries) {
    if (desc.type !== 'config') continue;
    const payloadEnd = ENTRY_HEADER_SIZE_BYTES + desc.payloadSizeBytes;
    const decoded = decodeMembership(bytes.subarray(ENTRY_HEADER_SIZE_BYTES, payloadEnd));
    if (decoded.kind === 'problem') {
      return wrong(`the membership of entry ${desc.index} is bad: ${decoded.problem}`);
    }
    memberships.push({ index: desc.index, membership: decoded.membership });
  }
  return { kind: 'memberships', memberships };
}

function encode({ members, voters, outgoing, learners, removed }: Membership): Uint8Array {
  return codec.encode({
    formatVersion: MEMBERSHIP_FORMAT_VERSION,
    members: members.map(wireMember),
    ...{ voters, outgoing, learners, removed },
  });
}

function wireMember({ nodeId, storeUuid, raftAddress, priority }: Member): WireMember {
  return {
    nodeId,
    ...(storeUuid === null ? {} : { storeUuid }),
    raftAddress,
    ...(priority === 0 ? {} : { priority }),
  };
}

/** Counts are checked here, because what follows compares everything with everything. */
function membershipOf({
  members,
  voters,
  outgoing,
  learners,
  removed,
}: WireMembership): Membership {
  for (const list of [members, voters, outgoing, learners]) {
    if (list.length > MEMBER_COUNT_MAX) {
      throw new CodecError(`a list of it names ${list.length} nodes, at most ${MEMBER_COUNT_MAX}`);
    }
  }
  if (removed.length > NODE_IDS_REMOVED_MAX) {
    throw new CodecError(`it removes ${removed.length} nodes, at most ${NODE_IDS_REMOVED_MAX}`);
  }
  const nodeIds = (list: readonly string[], name: string) =>
    list.map((id) => checkedNodeId(id, name));
  return {
    members: members.map(({ nodeId, storeUuid, raftAddress, priority = 0 }) => ({
      nodeId: checkedNodeId(nodeId, 'a member'),
      storeUuid: storeUuid === undefined || storeUuid === '' ? null : storeUuid,
      raftAddress,
      priority,
    })),
    voters: nodeIds(voters, 'a voter'),
    outgoing: nodeIds(outgoing, 'an outgoing voter'),
    learners: nodeIds(learners, 'a learner'),
    removed: nodeIds(removed, 'a removed node'),
  };
}

function wrong(problem: string): { readonly kind: 'problem'; readonly problem: string } {
  return { kind: 'problem', problem };
}
