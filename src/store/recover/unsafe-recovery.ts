/**
 * Makes a group of one out of a surviving directory, under another cluster id, so that nobody of the old group
 * is ever taken for a member of the new one, and the other way round.
 *
 * In this order, each step durable before the next one, each harmless when it is done again:
 * 1. `recovery-report.json` says what is about to happen.
 * 2. The superblock is kept under another name and removed. From here on the directory starts as nobody: a
 *    store with segments and without a superblock is refused (H22).
 * 3. The segment headers, and the file `founding` if there is one, get the new cluster id.
 * 4. The new superblock appears whole: the new cluster id, a new term, no vote, no peers.
 * 5. The log is opened as a start would open it, and a config entry is appended: this node alone.
 * 6. The report says that it is done.
 */
import type { LogIndex } from '../../base/units.ts';
import type { Disk } from '../../io/disk.ts';
import { tipOfBase } from '../log-base.ts';
import { membershipEntries, tipAfter } from './membership-entries.ts';
import { appendAlone, executeRebirth, type RebirthTask, type RecoveryWorld } from './rebirth.ts';
import type { RecoveryPlan } from './recovery-plan.ts';
import { unfinishedOf } from './recovery-report.ts';

/** May be called again after a crash, with the task that `unfinishedTask` reads. */
export function executeRecovery(task: RecoveryTask, world: RecoveryWorld): Promise<LogIndex> {
  const append = () => appendMembership(task, world);
  return executeRebirth({ kind: 'unsafeRecover', task, append }, world);
}

/** What is kept of a plan to carry it out, also by another process. */
export interface RecoveryTask extends RebirthTask {
  readonly membership: RecoveryPlan['membership'];
  /** For the report: what was seen, what may be lost, who decided. */
  readonly findings: object;
}

export function taskOf(plan: RecoveryPlan, findings: object): RecoveryTask {
  const { winner, newClusterId, newTerm, membership } = plan;
  return { directory: winner.directory, newClusterId, newTerm, membership, findings };
}

/** Of a recovery that was begun here and not finished; null: there is none. */
export function unfinishedTask(
  disk: Pick<Disk, 'sizeOf' | 'read'>,
  directory: string,
): Promise<RecoveryTask | null> {
  return unfinishedOf<RecoveryTask>(disk, directory, 'unsafeRecover');
}

/** As a leader of the new term would: it is alone, so what is durable here is committed. */
function appendMembership(task: RecoveryTask, world: RecoveryWorld): Promise<LogIndex> {
  const { newTerm: term, membership } = task;
  return appendAlone(task, world, (log) => {
    const last = log.recovered.entries.at(-1);
    if (last?.type === 'config' && last.term === term) return [];
    const tip = tipAfter(tipOfBase(log.recovered.base), last ?? null, log.lastHeaderCrc);
    const { segmentSizeBytes } = log.identity;
    return membershipEntries({ tip, term, membership, segmentSizeBytes });
  });
}
