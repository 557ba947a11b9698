/** `UNFINISHED.json`: which backup was begun in a directory, so that the next attempt goes on with it. */
import { LogIndex } from '../../base/units.ts';
import type { BackupBase } from '../../protocol/backup.ts';
import type { OfferedSnapshot } from '../../protocol/snapshot-codec.ts';
import type { LoggedMembership } from '../../raft/membership.ts';
import {
  type BackupIdentity,
  baseOf,
  identityOf,
  jsonOfBase,
  jsonOfMembership,
  jsonOfSnapshot,
  membershipOf,
  snapshotOf,
} from './backup-facts.ts';
import { count, object, parsed, refuse } from './json-reader.ts';
import { BACKUP_FORMAT_VERSION } from './manifest.ts';

export interface UnfinishedBackup {
  readonly identity: BackupIdentity;
  readonly base: BackupBase;
  /** In force where the log begins. */
  readonly foundation: LoggedMembership;
  readonly snapshot: OfferedSnapshot;
  /** The last entry that the backup will hold. */
  readonly lastIndex: LogIndex;
}

export function encodeUnfinished(it: UnfinishedBackup): Uint8Array {
  const { clusterId, groupId, segmentSizeBytes } = it.identity;
  const json = {
    formatVersion: BACKUP_FORMAT_VERSION,
    identity: { clusterId, groupId, segmentSizeBytes },
    base: jsonOfBase(it.base),
    foundation: jsonOfMembership(it.foundation),
    snapshot: jsonOfSnapshot(it.snapshot),
    lastIndex: it.lastIndex,
  };
  return new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`);
}

/** @throws CorruptionError */
export function decodeUnfinished(bytes: Uint8Array): UnfinishedBackup {
  const it = object(parsed(bytes), 'the note of an unfinished backup');
  if (it['formatVersion'] !== BACKUP_FORMAT_VERSION) refuse('another format version');
  return {
    identity: identityOf(it['identity']),
    base: baseOf(it['base']),
    foundation: membershipOf(it['foundation']),
    snapshot: snapshotOf(it['snapshot']),
    lastIndex: LogIndex(count(it['lastIndex'], 'lastIndex')),
  };
}
