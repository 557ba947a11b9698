/**
 * The manifest of a backup: `MANIFEST.json`, written last (docs/format/backup.md). A directory without one is no
 * backup; one whose manifest differs from what its content encodes to, in any byte, is a damaged one.
 */
import { createHash } from 'node:crypto';
import { LogIndex, PhysicalOffset, Term } from '../../base/units.ts';
import type { BackupBase } from '../../protocol/backup.ts';
import type { OfferedSnapshot } from '../../protocol/snapshot-codec.ts';
import type { LoggedMembership } from '../../raft/membership.ts';
import type { Tip } from '../repair/region.ts';
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
import { count, digest, list, object, parsed, refuse, text } from './json-reader.ts';

export const BACKUP_FORMAT_VERSION = 1;

export interface BackupFile {
  /** Relative to the backup. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface Manifest {
  readonly identity: BackupIdentity;
  readonly takenAt: string;
  readonly mqRaftVersion: string;
  readonly base: BackupBase;
  /** The last entry: `headerCrc` chains to all before it. */
  readonly last: Tip;
  readonly snapshot: OfferedSnapshot;
  /** Of derived state at the snapshot. */
  readonly stateDigest: string;
  /** In force at the last entry. */
  readonly membership: LoggedMembership;
  readonly contents: BackupContents;
  /** Ascending by path. */
  readonly files: readonly BackupFile[];
}

export interface BackupContents {
  readonly entryCount: number;
  readonly messageCount: number;
  /** At the snapshot. */
  readonly topicCount: number;
  readonly groupCount: number;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const body = bodyOf(manifest);
  const sha256 = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  return new TextEncoder().encode(
    `${JSON.stringify({ ...body, manifestSha256: sha256 }, null, 2)}\n`,
  );
}

/** @throws CorruptionError unless it is exactly what the encoding of its content is */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const it = object(parsed(bytes), 'the manifest');
  const version = count(it['formatVersion'], 'formatVersion');
  if (version !== BACKUP_FORMAT_VERSION) {
    refuse(`format version ${version}, this program reads ${BACKUP_FORMAT_VERSION}`);
  }
  const last = object(it['last'], 'last');
  const contents = object(it['contents'], 'contents');
  const manifest: Manifest = {
    identity: identityOf(it['identity']),
    takenAt: text(it['takenAt'], 'takenAt'),
    mqRaftVersion: text(it['mqRaftVersion'], 'mqRaftVersion'),
    base: baseOf(it['base']),
    last: {
      index: LogIndex(count(last['index'], 'index')),
      term: Term(count(last['term'], 'term')),
      end: PhysicalOffset(count(last['endOffset'], 'endOffset')),
      headerCrc: count(last['headerCrc'], 'headerCrc'),
    },
    snapshot: snapshotOf(it['snapshot']),
    stateDigest: text(it['stateDigest'], 'stateDigest'),
    membership: membershipOf(it['membership']),
    contents: {
      entryCount: count(contents['entryCount'], 'entryCount'),
      messageCount: count(contents['messageCount'], 'messageCount'),
      topicCount: count(contents['topicCount'], 'topicCount'),
      groupCount: count(contents['groupCount'], 'groupCount'),
    },
    files: list(it['files'], 'files').map(fileOf),
  };
  if (Buffer.compare(encodeManifest(manifest), bytes) !== 0) refuse('a byte of it was changed');
  return manifest;
}

function fileOf(value: unknown): BackupFile {
  const it = object(value, 'a file');
  const path = text(it['path'], 'path');
  if (!/^(data|snapshot)\/\d{20}\.(seg|snap)$/.test(path)) refuse(`a file with the name ${path}`);
  return {
    path,
    sizeBytes: count(it['sizeBytes'], 'sizeBytes'),
    sha256: digest(it['sha256'], 'sha256'),
  };
}

function bodyOf(manifest: Manifest) {
  const { identity, last, contents } = manifest;
  const { clusterId, groupId, segmentSizeBytes } = identity;
  const { entryCount, messageCount, topicCount, groupCount } = contents;
  return {
    formatVersion: BACKUP_FORMAT_VERSION,
    identity: { clusterId, groupId, segmentSizeBytes },
    takenAt: manifest.takenAt,
    mqRaftVersion: manifest.mqRaftVersion,
    base: jsonOfBase(manifest.base),
    last: { index: last.index, term: last.term, endOffset: last.end, headerCrc: last.headerCrc },
    snapshot: jsonOfSnapshot(manifest.snapshot),
    stateDigest: manifest.stateDigest,
    membership: jsonOfMembership(manifest.membership),
    contents: { entryCount, messageCount, topicCount, groupCount },
    files: manifest.files.map(({ path, sizeBytes, sha256 }) => ({ path, sizeBytes, sha256 })),
  };
}
