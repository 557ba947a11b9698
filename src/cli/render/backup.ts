/** Backups and restores, as text and as JSON; and how far one has come. */
import type { Clock } from '../../io/clock.ts';
import type { Manifest } from '../../store/backup/manifest.ts';
import { type RestoredMember, type RestorePlan, usedIds } from '../../store/backup/restore-plan.ts';
import type { BackupEvent } from '../../store/backup/take-backup.ts';
import { progressText, rateText } from './log-verify.ts';
import { labelled, sizeText } from './log-words.ts';
import { durationText, plural } from './text.ts';

const LABELS_AT = 11;

/** Bytes and entries as they come, and the line that shows them. */
export class CopyMeter {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #phase: 'asking' | 'copying' | 'verifying' = 'asking';
  #phaseSinceMs: number;
  #phaseSizeBytes = 0;
  #copiedSizeBytes = 0;
  /** Of the entries, where this run began, where it is, and where it ends. */
  #entries: { readonly from: number; readonly at: number; readonly of: number } | null = null;
  #expectedSizeBytes: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.monotonicMs();
    this.#phaseSinceMs = this.#startedAtMs;
  }

  get tookMs(): number {
    return this.#clock.monotonicMs() - this.#startedAtMs;
  }

  /** So many bytes will be read. */
  expect(sizeBytes: number): void {
    this.#expectedSizeBytes = sizeBytes;
  }

  on(event: BackupEvent): void {
    if (event.kind === 'copied') {
      this.#enter('copying');
      this.#phaseSizeBytes += event.sizeBytes;
      this.#copiedSizeBytes += event.sizeBytes;
      this.#entries = { from: this.#entries?.from ?? event.at, at: event.at, of: event.of };
    }
    if (event.kind === 'verifying') this.#enter('verifying');
    if (event.kind === 'verified') {
      this.#enter('verifying');
      this.#phaseSizeBytes += event.sizeBytes;
    }
  }

  text(): string {
    const tookMs = this.#clock.monotonicMs() - this.#phaseSinceMs;
    switch (this.#phase) {
      case 'asking':
        return 'asking the nodes ...';
      case 'copying':
        return this.#copyText(tookMs);
      case 'verifying': {
        const expected = this.#expectedSizeBytes;
        if (expected !== null) return progressText(this.#phaseSizeBytes, expected, tookMs);
        return `verifying: ${sizeText(this.#phaseSizeBytes)}, ${rateText(this.#phaseSizeBytes, tookMs)}`;
      }
    }
  }

  #copyText(tookMs: number): string {
    const parts = [`copying: ${sizeText(this.#copiedSizeBytes)}`];
    if (this.#entries !== null) {
      const { from, at, of } = this.#entries;
      parts.push(`entry ${at} of ${of}`, rateText(this.#phaseSizeBytes, tookMs));
      // Entries are of different sizes: this is as good as it gets before they are seen.
      if (at > from) parts.push(`${durationText(((of - at) * tookMs) / (at - from))} left`);
    }
    return parts.join(', ');
  }

  #enter(phase: 'copying' | 'verifying'): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.#phaseSinceMs = this.#clock.monotonicMs();
    this.#phaseSizeBytes = 0;
  }
}

export function sizeOf({ files }: Manifest): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

export function manifestText(
  manifest: Manifest,
  { directory, tookMs, columns }: { directory: string; tookMs: number; columns: number },
): string {
  const sizeBytes = sizeOf(manifest);
  const took = `${durationText(tookMs)}, ${rateText(sizeBytes, tookMs)}`;
  const facts: readonly (readonly [string, string])[] = [
    ...factsOf(manifest),
    ['verified', `${sizeText(sizeBytes)} in ${plural(manifest.files.length, 'file')}, ${took}`],
    ['backup', `${directory} is whole`],
  ];
  return textOf(facts, columns);
}

function factsOf(manifest: Manifest): readonly (readonly [string, string])[] {
  const { identity, contents, base, last, snapshot, takenAt } = manifest;
  const first = (base.desc?.last.index ?? 0) + 1;
  const { topicCount, groupCount, messageCount } = contents;
  const state = `${plural(topicCount, 'topic')} and ${plural(groupCount, 'group')} at entry ${snapshot.appliedIndex}`;
  return [
    ['of', `group ${identity.groupId} of ${identity.clusterId}, taken ${takenAt}`],
    ['log', `entries ${first} to ${last.index} with ${plural(messageCount, 'message')}`],
    ['state', state],
  ];
}

export function manifestJson(manifest: Manifest) {
  const { identity, contents, base, last, snapshot, takenAt, mqRaftVersion } = manifest;
  return {
    clusterId: identity.clusterId,
    groupId: identity.groupId,
    takenAt,
    mqRaftVersion,
    firstIndex: String((base.desc?.last.index ?? 0) + 1),
    lastIndex: String(last.index),
    lastTerm: String(last.term),
    snapshotIndex: String(snapshot.appliedIndex),
    stateDigest: manifest.stateDigest,
    entryCount: String(contents.entryCount),
    messageCount: String(contents.messageCount),
    topicCount: contents.topicCount,
    groupCount: contents.groupCount,
    sizeBytes: String(sizeOf(manifest)),
    fileCount: manifest.files.length,
  };
}

export function restoreText(plan: RestorePlan, columns: number): string {
  const { manifest, clusterId, term, members, made } = plan;
  const old = manifest.identity.clusterId;
  const directories = made.map(({ directory }) => directory).join(', ');
  const size = `${sizeText(sizeOf(manifest))} each, and the rest of the last segment`;
  const voters = members.map(({ nodeId, raftAddress }) => `${nodeId} at ${raftAddress}`).join(', ');
  return textOf(
    [
      ...factsOf(manifest),
      ['cluster', `${clusterId} instead of ${old}: neither takes the other's nodes for members`],
      ['members', `${voters}; with stores of their own`],
      ['removed', `${usedIds(manifest).join(', ')}: these names are never members of it`],
      ['added', `one config entry behind the log, in term ${term}; no other byte of it changes`],
      ['makes', `${directories}: ${size}`],
    ],
    columns,
  );
}

export function restoreJson(plan: RestorePlan) {
  const { manifest, clusterId, term, members, made } = plan;
  return {
    backup: manifestJson(manifest),
    clusterId,
    term: String(term),
    members: members.map(({ nodeId, raftAddress, storeUuid }) => ({
      ...{ nodeId, raftAddress, storeUuid },
    })),
    made: made.map(({ nodeId, directory }) => ({ nodeId, directory })),
    removed: usedIds(manifest),
  };
}

/** One line for each directory that was made. */
export function startLines(plan: RestorePlan): readonly string[] {
  const members = plan.members.map((each) => `${each.nodeId}=${each.raftAddress}`).join(',');
  return plan.made.map((member) => startLine(plan, member, members));
}

function startLine(
  { clusterId, manifest }: RestorePlan,
  { nodeId, raftAddress, directory }: RestoredMember,
  members: string,
): string {
  const { groupId, segmentSizeBytes } = manifest.identity;
  const identity = `--node-id ${nodeId} --cluster-id ${clusterId} --group-id ${groupId}`;
  const place = `--dir ${directory} --raft ${raftAddress}`;
  const size = `--segment-size-bytes ${segmentSizeBytes}`;
  return `mq-raft-broker ${identity} --members ${members} ${place} ${size}`;
}

function textOf(facts: readonly (readonly [string, string])[], columns: number): string {
  const lines = facts.flatMap(([label, text]) => labelled(label, text, LABELS_AT, columns));
  return `${lines.join('\n')}\n`;
}
