/**
 * Takes a backup: a metadata snapshot and the committed log it goes with, from any node that serves, into a
 * directory (docs/format/backup.md).
 *
 * In this order, each step harmless when it is done again:
 * 1. `UNFINISHED.json` says what is being copied.
 * 2. The snapshot, chunk by chunk, then the entries up to the last one, segment by segment. What is whole and
 *    durable gets its name.
 * 3. Everything is read again and verified, from the first byte to the last.
 * 4. `MANIFEST.json` appears, whole; the note of step 1 goes.
 *
 * When a node is lost, another one goes on: entries are the same bytes everywhere, and each is chained to what is
 * here. When the group has given up entries that were not copied yet, the copy is begun anew from where the log
 * begins now.
 */
import { assert } from '../../base/assert.ts';
import { CorruptionError } from '../../base/errors.ts';
import { advance, LogIndex, PhysicalOffset } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import type { Disk } from '../../io/disk.ts';
import { type BackupNode, BackupNodeFailure, type BackupOffer } from '../../protocol/backup.ts';
import { tipOfBase } from '../log-base.ts';
import type { Tip } from '../repair/region.ts';
import { isSameSnapshot } from '../snapshots/snapshot-info.ts';
import { readOrEmpty } from '../store-directory.ts';
import { BackupPaths, partOf } from './backup-paths.ts';
import { BACKUP_RETRY_MS, BACKUP_STARTS_MAX } from './limits.ts';
import { BackupLogWriter } from './log-writer.ts';
import { encodeManifest, type Manifest } from './manifest.ts';
import { checkSnapshot, SnapshotWriter } from './snapshot-file.ts';
import { decodeUnfinished, encodeUnfinished, type UnfinishedBackup } from './unfinished.ts';
import { pastCache, surveyBackup, type VerifiedBackup } from './verify-backup.ts';
import { walkLog } from './walk-log.ts';

export interface TakeBackupOptions {
  readonly disk: Disk;
  readonly directory: string;
  /** Preferred ones first; asked for again in each round. */
  readonly nodes: () => Promise<readonly BackupNode[]>;
  /** Up to here everything was acknowledged when the backup began. */
  readonly markedIndex: LogIndex;
  /** Names this backup towards the nodes. */
  readonly holder: string;
  /** 0: as fast as the nodes give. */
  readonly bytesPerSecond: number;
  /** Without a single byte from any node for so long it is given up. */
  readonly standstillMsMax: number;
  readonly version: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEvent: (event: BackupEvent) => void;
}

export type BackupEvent =
  | { readonly kind: 'begun'; readonly node: string; readonly firstIndex: LogIndex }
  | { readonly kind: 'resumed'; readonly node: string; readonly nextIndex: LogIndex }
  /** Entries that were not copied yet are gone everywhere, or the note of what was begun is damaged. */
  | { readonly kind: 'begunAnew'; readonly why: string }
  | { readonly kind: 'nodeFailed'; readonly node: string; readonly why: string }
  | {
      readonly kind: 'copied';
      readonly sizeBytes: number;
      readonly at: LogIndex;
      readonly of: LogIndex;
    }
  | { readonly kind: 'verifying' }
  | { readonly kind: 'verified'; readonly sizeBytes: number };

/** It cannot go on now. What was copied is kept: the next attempt goes on with it. */
export class BackupStopped extends Error {
  override readonly name = 'BackupStopped';
}

/** @throws BackupStopped, CorruptionError, DiskError, or what the signal was aborted with */
export async function takeBackup(options: TakeBackupOptions): Promise<Manifest> {
  const taking = new Taking(options);
  return taking.run();
}

/** What a directory holds, before anything is done to it. */
export async function backupStateOf(
  disk: Pick<Disk, 'sizeOf' | 'list' | 'read'>,
  directory: string,
): Promise<'nothing' | 'unfinished' | 'finished' | 'other'> {
  const paths = new BackupPaths(directory);
  if ((await disk.sizeOf(paths.manifest)) !== null) return 'finished';
  if ((await disk.sizeOf(paths.unfinished)) !== null) return 'unfinished';
  return (await disk.list(directory)).length === 0 ? 'nothing' : 'other';
}

interface Copy extends UnfinishedBackup {
  /** What is here of the log. */
  readonly tip: Tip;
  readonly hasSnapshot: boolean;
}

class Taking {
  readonly #options: TakeBackupOptions;
  readonly #paths: BackupPaths;
  #copy: Copy | null = null;
  #startCount = 0;
  /** What the nodes said last. */
  #whyNot = 'no node is known';
  #movedAtMs: number;

  constructor(options: TakeBackupOptions) {
    this.#options = options;
    this.#paths = new BackupPaths(options.directory);
    this.#movedAtMs = options.clock.monotonicMs();
  }

  async run(): Promise<Manifest> {
    const { disk, clock, version, onEvent, signal, directory } = this.#options;
    await disk.makeDirectory(this.#paths.data);
    await disk.makeDirectory(this.#paths.snapshots);
    this.#copy = await this.#found();
    // Ends when all is here, or when nothing has come for too long.
    while (!(await this.#round())) await this.#pause();
    onEvent({ kind: 'verifying' });
    const copy = this.#copy;
    assert(copy !== null, 'what was copied is known');
    const onBytes = (sizeBytes: number): void => onEvent({ kind: 'verified', sizeBytes });
    const what = { directory, signal, onBytes, subject: copy };
    const verified = await surveyBackup({ ...what, disk: pastCache(disk) });
    const takenAt = new Date(clock.wallMs()).toISOString();
    const manifest = manifestOf(verified, copy, { takenAt, mqRaftVersion: version });
    await disk.writeFile(this.#paths.manifest, encodeManifest(manifest));
    await disk.remove(this.#paths.unfinished);
    return manifest;
  }

  /** @returns whether all of it is here */
  async #round(): Promise<boolean> {
    const { signal, onEvent, nodes } = this.#options;
    let whyGone: string | null = null;
    let othersMayHelp = false;
    for (const node of await nodes()) {
      signal.throwIfAborted();
      try {
        await this.#copyFrom(node);
        return true;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof BackupNodeFailure) && !(error instanceof CorruptionError))
          throw error;
        this.#whyNot = `${node.name}: ${error.message}`;
        onEvent({ kind: 'nodeFailed', node: node.name, why: error.message });
        const isGone = error instanceof BackupNodeFailure && error.reason === 'gone';
        if (isGone) whyGone = `${node.name}: ${error.message}`;
        else othersMayHelp = true;
      }
    }
    if (whyGone !== null && !othersMayHelp) await this.#startOver(whyGone);
    return false;
  }

  async #copyFrom(node: BackupNode): Promise<void> {
    const { holder, signal, onEvent } = this.#options;
    const known = this.#copy;
    const offer = await node.begin(
      {
        holder,
        firstIndex: known === null ? 0 : known.tip.index + 1,
        snapshot: known === null || known.hasSnapshot ? null : known.snapshot,
      },
      signal,
    );
    const copy = known === null ? await this.#begin(offer) : await this.#continue(known, offer);
    const nextIndex = advance(copy.tip.index, 1);
    if (known === null) onEvent({ kind: 'begun', node: node.name, firstIndex: nextIndex });
    else onEvent({ kind: 'resumed', node: node.name, nextIndex });
    await this.#pullSnapshot(node);
    await this.#pullEntries(node);
  }

  async #begin(offer: BackupOffer): Promise<Copy> {
    const { clusterId, groupId, segmentSizeBytes, base, snapshot, foundation } = offer;
    const lastIndex = LogIndex(Math.max(this.#options.markedIndex, snapshot.appliedIndex));
    const identity = { clusterId, groupId, segmentSizeBytes };
    await this.#clear();
    const what = { identity, base, snapshot, foundation, lastIndex };
    return this.#note(what, tipOfBase(base), false);
  }

  async #continue(known: Copy, offer: BackupOffer): Promise<Copy> {
    const { identity } = known;
    const isSame =
      offer.clusterId === identity.clusterId &&
      offer.groupId === identity.groupId &&
      offer.segmentSizeBytes === identity.segmentSizeBytes;
    if (!isSame) {
      throw new BackupStopped(
        `${this.#options.directory} holds an unfinished backup of ${identity.clusterId}/${identity.groupId}, ` +
          `not of ${offer.clusterId}/${offer.groupId}`,
      );
    }
    // Nothing but the note is here: whatever is newest will do.
    const isUntouched = !known.hasSnapshot && known.tip.index === tipOfBase(known.base).index;
    if (isUntouched && !isSameSnapshot(offer.snapshot, known.snapshot)) return this.#begin(offer);
    const lastIndex = LogIndex(Math.max(known.lastIndex, this.#options.markedIndex));
    return this.#note({ ...known, lastIndex }, known.tip, known.hasSnapshot);
  }

  async #note(what: UnfinishedBackup, tip: Tip, hasSnapshot: boolean): Promise<Copy> {
    await this.#options.disk.writeFile(this.#paths.unfinished, encodeUnfinished(what));
    this.#copy = { ...what, tip, hasSnapshot };
    return this.#copy;
  }

  async #pullSnapshot(node: BackupNode): Promise<void> {
    const copy = this.#current();
    if (copy.hasSnapshot) return;
    const { disk, holder, bytesPerSecond, signal } = this.#options;
    const { snapshot } = copy;
    const writer = new SnapshotWriter(disk, this.#paths, snapshot);
    let number = await writer.chunksHere();
    if (number < snapshot.chunkCount) {
      const pull = { holder, snapshot, number, bytesPerSecond };
      for await (const chunk of node.snapshotChunks(pull, signal)) {
        await writer.write(number, chunk);
        number += 1;
        this.#moved(chunk.length);
      }
    }
    if (number < snapshot.chunkCount) throw cutOff(node, `chunk ${number} of the snapshot`);
    await writer.finish();
    this.#copy = { ...copy, hasSnapshot: true };
  }

  async #pullEntries(node: BackupNode): Promise<void> {
    const { disk, holder, bytesPerSecond, signal } = this.#options;
    const { identity, lastIndex, tip } = this.#current();
    const writer = new BackupLogWriter({ disk, paths: this.#paths, identity, tip });
    try {
      if (tip.index < lastIndex) {
        const { index, headerCrc: prevHeaderCrc } = tip;
        const range = { firstIndex: index + 1, lastIndex, prevHeaderCrc };
        for await (const bytes of node.entries({ holder, bytesPerSecond, ...range }, signal)) {
          await writer.append(bytes);
          this.#copy = { ...this.#current(), tip: writer.tip };
          this.#moved(bytes.length);
        }
      }
    } finally {
      this.#copy = { ...this.#current(), tip: writer.tip };
    }
    if (writer.tip.index < lastIndex) throw cutOff(node, `entry ${writer.tip.index + 1}`);
    await writer.end();
  }

  #moved(sizeBytes: number): void {
    const { clock, onEvent } = this.#options;
    this.#movedAtMs = clock.monotonicMs();
    const { tip, lastIndex } = this.#current();
    onEvent({ kind: 'copied', sizeBytes, at: tip.index, of: lastIndex });
  }

  #current(): Copy {
    assert(this.#copy !== null, 'a backup is being taken');
    return this.#copy;
  }

  async #pause(): Promise<void> {
    const { clock, signal, standstillMsMax } = this.#options;
    if (clock.monotonicMs() - this.#movedAtMs > standstillMsMax) {
      throw new BackupStopped(`nothing has come for ${standstillMsMax / 1000} s; ${this.#whyNot}`);
    }
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(BACKUP_RETRY_MS, end);
      signal.addEventListener('abort', end, { once: true });
      function end(): void {
        timer.cancel();
        signal.removeEventListener('abort', end);
        resolve();
      }
    });
    signal.throwIfAborted();
  }

  async #startOver(why: string): Promise<void> {
    const { disk, onEvent } = this.#options;
    this.#startCount += 1;
    if (this.#startCount >= BACKUP_STARTS_MAX) {
      throw new BackupStopped(`The log is retained faster than it is copied: ${why}`);
    }
    if (this.#copy === null) return;
    onEvent({ kind: 'begunAnew', why });
    this.#copy = null;
    await this.#clear();
    await disk.remove(this.#paths.unfinished);
  }

  async #clear(): Promise<void> {
    const { disk } = this.#options;
    for (const directory of [this.#paths.data, this.#paths.snapshots]) {
      for (const name of await disk.list(directory)) await disk.remove(`${directory}/${name}`);
    }
  }

  /** What an earlier attempt has left: only what is read again and verified counts. */
  async #found(): Promise<Copy | null> {
    const { disk, signal, onEvent } = this.#options;
    const what = await this.#noted();
    if (what === null) {
      await this.#clear();
      return null;
    }
    const hasSnapshot = await this.#hasSnapshot(what);
    onEvent({ kind: 'verifying' });
    const { tip } = await walkLog({
      ...{ disk, signal, ...what },
      pathOf: async (start) => {
        const path = this.#paths.segment(start);
        return (await disk.sizeOf(path)) === null ? partOf(path) : path;
      },
      onPiece: async ({ bytes: piece }) => onEvent({ kind: 'verified', sizeBytes: piece.length }),
    });
    await this.#setNames(tip, what);
    return { ...what, tip, hasSnapshot };
  }

  /** null: nothing was begun, or nobody can say any more what it was. */
  async #noted(): Promise<UnfinishedBackup | null> {
    const bytes = await readOrEmpty(this.#options.disk, this.#paths.unfinished);
    if (bytes.length === 0) return null;
    try {
      return decodeUnfinished(bytes);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.#options.onEvent({ kind: 'begunAnew', why: error.message });
      return null;
    }
  }

  /** One that is damaged is fetched again. */
  async #hasSnapshot({ snapshot }: UnfinishedBackup): Promise<boolean> {
    const { disk } = this.#options;
    const path = this.#paths.snapshot(snapshot.appliedIndex);
    if ((await disk.sizeOf(path)) === null) return false;
    try {
      await checkSnapshot(disk, path, snapshot);
      return true;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      await disk.remove(path);
      return false;
    }
  }

  /**
   * Names say what was read: a segment that is whole has its own, that of the tip goes on, and what lies behind
   * it is not there.
   */
  async #setNames({ end }: Tip, { identity }: UnfinishedBackup): Promise<void> {
    const { disk } = this.#options;
    const { segmentSizeBytes } = identity;
    const names = await disk.list(this.#paths.data);
    for (const name of names) {
      const [, digits] = /^(\d{20})\.seg(?:\.part)?$/.exec(name) ?? [];
      const path = `${this.#paths.data}/${name}`;
      const start = PhysicalOffset(Number(digits ?? 0));
      const whole = this.#paths.segment(start);
      const isPart = path !== whole;
      const isSecond = isPart && names.includes(name.slice(0, -partOf('').length));
      if (digits === undefined || start >= end || isSecond) await disk.remove(path);
      else if (isPart && start + segmentSizeBytes <= end) await disk.publish(path, whole);
      else if (!isPart && start + segmentSizeBytes > end) await disk.publish(path, partOf(whole));
    }
  }
}

function cutOff(node: BackupNode, what: string): BackupNodeFailure {
  return new BackupNodeFailure('lost', `${node.name} ended before ${what}`);
}

function manifestOf(
  verified: VerifiedBackup,
  { identity, base, snapshot, foundation }: UnfinishedBackup,
  when: Pick<Manifest, 'takenAt' | 'mqRaftVersion'>,
): Manifest {
  const { log, state } = verified;
  return {
    ...{ identity, base, snapshot, ...when },
    last: log.tip,
    stateDigest: state.stateDigest,
    membership: log.memberships.at(-1) ?? foundation,
    contents: {
      entryCount: log.entryCount,
      messageCount: log.messageCount,
      topicCount: state.topicCount,
      groupCount: state.groupCount,
    },
    files: [...log.files, state.file],
  };
}
