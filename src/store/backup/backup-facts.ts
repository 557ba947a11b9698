/** What a backup is of, as JSON: the part that its manifest and the note of an unfinished one share. */
import { LogIndex, PhysicalOffset, Term } from '../../base/units.ts';
import type { BackupBase } from '../../protocol/backup.ts';
import { CHAIN_SEED } from '../../protocol/entry-codec.ts';
import { decodeMembership, encodeMembership } from '../../protocol/membership-codec.ts';
import type { OfferedSnapshot } from '../../protocol/snapshot-codec.ts';
import type { LoggedMembership } from '../../raft/membership.ts';
import { count, digest, list, object, refuse, text } from './json-reader.ts';

/** Of which group, with segments of which size. */
export interface BackupIdentity {
  readonly clusterId: string;
  readonly groupId: string;
  readonly segmentSizeBytes: number;
}

export function identityOf(value: unknown): BackupIdentity {
  const it = object(value, 'identity');
  const segmentSizeBytes = count(it['segmentSizeBytes'], 'segmentSizeBytes');
  if (segmentSizeBytes === 0) refuse('segmentSizeBytes is 0');
  return {
    clusterId: text(it['clusterId'], 'clusterId'),
    groupId: text(it['groupId'], 'groupId'),
    segmentSizeBytes,
  };
}

export interface BaseJson {
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly endOffset: number;
  readonly headerCrc: number;
  readonly membership: MembershipJson | null;
}

export interface MembershipJson {
  readonly index: number;
  /** In the encoding of a config entry, in hex digits. */
  readonly record: string;
  /** For people. */
  readonly members: readonly string[];
}

export function jsonOfBase({ desc, headerCrc }: BackupBase): BaseJson {
  return {
    lastIndex: desc?.last.index ?? 0,
    lastTerm: desc?.last.term ?? 0,
    endOffset: desc?.endOffset ?? 0,
    headerCrc,
    membership: desc === null ? null : jsonOfMembership(desc.membership),
  };
}

export function baseOf(value: unknown): BackupBase {
  const it = object(value, 'base');
  const headerCrc = count(it['headerCrc'], 'headerCrc');
  const index = count(it['lastIndex'], 'lastIndex');
  if (index === 0) return { desc: null, headerCrc: CHAIN_SEED };
  return {
    desc: {
      last: { index: LogIndex(index), term: Term(count(it['lastTerm'], 'lastTerm')) },
      endOffset: PhysicalOffset(count(it['endOffset'], 'endOffset')),
      membership: membershipOf(it['membership']),
    },
    headerCrc,
  };
}

export function jsonOfMembership({ index, membership }: LoggedMembership): MembershipJson {
  const record = Buffer.from(encodeMembership(membership)).toString('hex');
  return { index, record, members: membership.members.map(({ nodeId }) => nodeId) };
}

export function membershipOf(value: unknown): LoggedMembership {
  const it = object(value, 'membership');
  list(it['members'], 'members');
  const record = Buffer.from(text(it['record'], 'record'), 'hex');
  const decoded = decodeMembership(record);
  if (decoded.kind === 'problem') refuse(`membership: ${decoded.problem}`);
  return { index: LogIndex(count(it['index'], 'index')), membership: decoded.membership };
}

export function jsonOfSnapshot(snapshot: OfferedSnapshot) {
  const { appliedIndex, appliedTerm, logStart, sha256, chunkCount } = snapshot;
  const { index: logStartIndex, offset: logStartOffset } = logStart;
  return { appliedIndex, appliedTerm, logStartIndex, logStartOffset, sha256, chunkCount };
}

export function snapshotOf(value: unknown): OfferedSnapshot {
  const it = object(value, 'snapshot');
  const number = (name: string): number => count(it[name], name);
  return {
    appliedIndex: LogIndex(number('appliedIndex')),
    appliedTerm: Term(number('appliedTerm')),
    logStart: {
      index: LogIndex(number('logStartIndex')),
      offset: PhysicalOffset(number('logStartOffset')),
    },
    sha256: digest(it['sha256'], 'sha256'),
    chunkCount: number('chunkCount'),
  };
}
