/**
 * Makes a group of one out of a directory whose log lacks entries that nobody has, under another cluster id, with a
 * log that begins behind the loss (ADR-9).
 *
 * What is written before the decision changes nothing of the store: the messages that are given up, as text, and the
 * new snapshot under a name that no start reads. Then in this order, each step durable before the next one, each
 * harmless when it is done again:
 * 1. `recovery-report.json` says what is about to happen, and what it needs from then on is in the directory.
 * 2. The superblock is kept under another name and removed. From here on the directory starts as nobody: a
 *    store with segments and without a superblock is refused (H22). A new log may have no segment: so the database
 *    and the segments of the old one are set aside only behind this, and the superblock comes last.
 * 3. Segments before the new base get another name. They are kept, and no start looks at them.
 * 4. The base says where the log begins; the one before is kept under another name.
 * 5. The segments that stay, and the file `founding` if there is one, get the new cluster id.
 * 6. The database of before is condemned, and the snapshot gets its name: a start makes the state from it.
 * 7. The new superblock appears whole: the new cluster id, a new term, no vote, no peers.
 * 8. The log is opened as a start would open it, and the entries are appended that the snapshot stands on.
 * 9. The report says that it is done.
 */
import { assert } from '../../base/assert.ts';
import { FatalError } from '../../base/errors.ts';
import type { LogIndex } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { headerCrcOf } from '../../protocol/entry-codec.ts';
import type { StoredEntry } from '../commit-log.ts';
import { DerivedDirectory } from '../derived/derived-directory.ts';
import { encodeBaseFile, sameBase } from '../log-base.ts';
import type { LogPaths } from '../log-paths.ts';
import type { Tip } from '../repair/region.ts';
import { parseSegmentFileName } from '../segment.ts';
import { readOrEmpty } from '../store-directory.ts';
import { type NewBase, oldBaseOf } from './loss-base.ts';
import type { LossPlan } from './loss-plan.ts';
import { type AppendedPayload, entriesBehind } from './membership-entries.ts';
import {
  appendAlone,
  BEFORE_RECOVERY,
  executeRebirth,
  type RebirthTask,
  type RecoveryWorld,
} from './rebirth.ts';
import { unfinishedOf } from './recovery-report.ts';

/** What is kept of a plan to carry it out, also by another process. */
export interface AcceptTask extends RebirthTask {
  readonly segmentSizeBytes: number;
  readonly base: NewBase;
  readonly tip: Tip;
  /** Behind the tip; payloads in hex digits. */
  readonly appended: readonly {
    readonly type: AppendedPayload['type'];
    readonly payload: string;
  }[];
  /** Index of the last one: that of the snapshot. */
  readonly snapshotIndex: LogIndex;
  /** For the report: what was lost, what was given up, who decided. */
  readonly findings: object;
}

export function acceptTaskOf(
  plan: LossPlan,
  appended: readonly AppendedPayload[],
  findings: object,
): AcceptTask {
  const { winner, base, tip, newClusterId, newTerm } = plan;
  const { names } = winner.view;
  assert(names !== null, 'a directory with a log has a name');
  const { segmentSizeBytes } = names;
  const entries = entriesBehind({ tip, term: newTerm, segmentSizeBytes }, appended);
  return {
    directory: winner.survivor.directory,
    ...{ newClusterId, newTerm, segmentSizeBytes, base, tip, findings },
    appended: appended.map(({ type, payload }) => ({
      type,
      payload: Buffer.from(payload).toString('hex'),
    })),
    snapshotIndex: entries.at(-1)?.desc.index ?? tip.index,
  };
}

/** Where the snapshot waits until the directory belongs to nobody. */
export function stagedSnapshotOf({
  directory,
  snapshotIndex,
}: Pick<AcceptTask, 'directory' | 'snapshotIndex'>): string {
  return `${snapshotPath(directory, snapshotIndex)}.recovery`;
}

/** Of one that was begun here and not finished; null: there is none. */
export function unfinishedAcceptance(
  disk: Pick<Disk, 'sizeOf' | 'read'>,
  directory: string,
): Promise<AcceptTask | null> {
  return unfinishedOf<AcceptTask>(disk, directory, 'acceptLoss');
}

/**
 * Requires the staged snapshot. May be called again after a crash, with the task that `unfinishedAcceptance` reads.
 * @returns the last entry of the new log
 */
export function executeAcceptance(task: AcceptTask, world: RecoveryWorld): Promise<LogIndex> {
  const { disk } = world;
  return executeRebirth(
    {
      kind: 'acceptLoss',
      task,
      prepare: async (paths, old) => {
        await setFrontAside(disk, paths, task);
        await moveBase(disk, paths, task, old.identity.storeUuid);
      },
      complete: async () => {
        await condemnDatabase(disk, task);
        await publishSnapshot(disk, task);
      },
      append: () => appendAlone(task, world, (log) => missingOf(task, log)),
    },
    world,
  );
}

/** Front to back, as a compaction goes. */
async function setFrontAside(disk: Disk, paths: LogPaths, { base }: AcceptTask): Promise<void> {
  const at = paths.at(base.generation);
  for (const name of await disk.list(at.data)) {
    const start = parseSegmentFileName(name);
    if (start === null || start >= base.desc.endOffset) continue;
    const path = at.segment(start);
    await disk.publish(path, `${path}${BEFORE_RECOVERY}`);
  }
}

async function moveBase(
  disk: Disk,
  paths: LogPaths,
  { base }: AcceptTask,
  storeUuid: string,
): Promise<void> {
  const file = await readOrEmpty(disk, paths.base);
  const aside = `${paths.base}${BEFORE_RECOVERY}`;
  const isMoved = sameBase(oldBaseOf(file), base);
  if (isMoved) return;
  await disk.writeFile(aside, file);
  const { generation, firstNote } = base;
  await disk.writeFile(paths.base, encodeBaseFile({ storeUuid, generation, firstNote, base }));
}

/** It knows entries that nobody else will: the state is that of the snapshot, here as everywhere. */
async function condemnDatabase(disk: Disk, { directory, newClusterId }: AcceptTask): Promise<void> {
  const databases = new DerivedDirectory(disk, directory);
  await databases.create();
  const why = `It is of the log before the cluster became ${newClusterId}`;
  await databases.condemn(await databases.current(), why);
}

async function publishSnapshot(disk: Disk, task: AcceptTask): Promise<void> {
  const path = snapshotPath(task.directory, task.snapshotIndex);
  const staged = stagedSnapshotOf(task);
  if ((await disk.sizeOf(staged)) !== null) return disk.publish(staged, path);
  if ((await disk.sizeOf(path)) !== null) return;
  throw new FatalError('logDamaged', `${staged} is missing: nothing can be started without it`);
}

function snapshotPath(directory: string, appliedIndex: LogIndex): string {
  return `${directory}/snapshots/${String(appliedIndex).padStart(20, '0')}.snap`;
}

/** Of what is to be appended; a crash may have left the first part of it. */
function missingOf(
  task: AcceptTask,
  log: {
    readonly recovered: { readonly entries: readonly { readonly index: LogIndex }[] };
    readonly lastHeaderCrc: number;
  },
): readonly StoredEntry[] {
  const { tip, newTerm: term, segmentSizeBytes } = task;
  const payloads = task.appended.map(({ type, payload }) => ({
    type,
    payload: new Uint8Array(Buffer.from(payload, 'hex')),
  }));
  const wanted = entriesBehind({ tip, term, segmentSizeBytes }, payloads);
  const lastIndex = log.recovered.entries.at(-1)?.index ?? tip.index;
  const last = wanted.find(({ desc }) => desc.index === lastIndex);
  const expectedCrc = last === undefined ? tip.headerCrc : headerCrcOf(last.bytes);
  if (log.lastHeaderCrc !== expectedCrc) {
    throw new FatalError(
      'logDamaged',
      `${task.directory} ends with entry ${lastIndex}, which is not the one that was decided upon`,
    );
  }
  return wanted.filter(({ desc }) => desc.index > lastIndex);
}
