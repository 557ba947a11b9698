/** The part of `mq-raft recover` that changes a directory: asked for, typed, and then finished whatever happens. */
import { CorruptionError, FatalError } from '../../base/errors.ts';
import { type DirectoryLock, DiskError } from '../../io/disk.ts';
import {
  type AcceptTask,
  acceptTaskOf,
  executeAcceptance,
  stagedSnapshotOf,
} from '../../store/recover/accept-loss.ts';
import type { LossAccount } from '../../store/recover/loss-account.ts';
import type { DerivedLoss } from '../../store/recover/loss-derivation.ts';
import { writeGivenUp, writeStagedSnapshot } from '../../store/recover/loss-files.ts';
import type { LossPlan } from '../../store/recover/loss-plan.ts';
import { RECOVERY_REPORT_FILE } from '../../store/recover/recovery-report.ts';
import { readOrEmpty } from '../../store/store-directory.ts';
import { newestSuperblock } from '../../store/superblock.ts';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation } from '../invocation.ts';
import {
  givenUpFileOf,
  givenUpLine,
  goneCountOf,
  lossPlanJson,
  lostEntriesLine,
} from '../render/accepted-loss.ts';
import { jsonLine } from '../render/json.ts';

export async function confirmLoss(
  { environment }: Invocation,
  { winner }: LossPlan,
  account: LossAccount,
  given: string | undefined,
): Promise<void> {
  const words = `${winner.survivor.groupId} ${goneCountOf(account)}`;
  const answer = given ?? (await environment.ask(`Type ${words} to give them up: `));
  if (answer === words) return;
  if (answer === null) {
    throw usageError('Nobody is there to be asked', `give --confirm '${words}'`);
  }
  throw new CliError({
    exit: CLI_EXIT.declined,
    what: 'recover: declined, nothing was changed',
    why: `'${answer}' is not '${words}'`,
    todo: null,
  });
}

/** Nobody else has any of the directories meanwhile. */
export async function acceptLoss(
  invocation: Invocation,
  plan: LossPlan,
  derived: DerivedLoss,
): Promise<CliExit> {
  const { actor, stores } = invocation.environment;
  const { winner, union } = plan;
  const findings = { ...lossPlanJson(plan, derived.account), decidedBy: actor };
  const task = acceptTaskOf(plan, derived.appended, findings);
  const { directory } = task;
  const locks = new Map<string, DirectoryLock>();
  try {
    for (const { survivor, view } of union.logs) {
      locks.set(survivor.directory, await stores.writable.lock(survivor.directory));
      await requireUnchanged(invocation, survivor.directory, view.superblock.newest?.sequence);
    }
    await writeFiles(invocation, plan, derived, task);
    // The steps take it themselves.
    await locks.get(winner.survivor.directory)?.release();
    return await carryOut(invocation, task);
  } catch (error) {
    throw recoverTrouble(error, directory);
  } finally {
    for (const lock of locks.values()) await lock.release();
  }
}

/** Somebody may have started a broker between what was shown and what was typed. */
async function requireUnchanged(
  { environment }: Invocation,
  directory: string,
  sequence: number | undefined,
): Promise<void> {
  const bytes = await readOrEmpty(environment.stores.disk, `${directory}/superblock`);
  if (newestSuperblock(bytes)?.sequence === sequence) return;
  throw new CliError({
    exit: CLI_EXIT.conflict,
    what: 'recover: refused, nothing was changed',
    why: `${directory} was opened since it was read`,
    todo: 'stop the broker, and begin again',
  });
}

async function writeFiles(
  { environment, signal }: Invocation,
  plan: LossPlan,
  { state }: DerivedLoss,
  task: AcceptTask,
): Promise<void> {
  const { writable: disk } = environment.stores;
  const path = givenUpFileOf(plan);
  await writeGivenUp({
    ...{ disk, plan, path, signal },
    lineOf: givenUpLine,
    lostLineOf: lostEntriesLine,
  });
  const snapshot = await state.takeSnapshot();
  try {
    await writeStagedSnapshot(disk, stagedSnapshotOf(task), snapshot);
  } finally {
    snapshot.close();
  }
}

/** The decision was made and typed already. */
export async function finishAcceptance(
  invocation: Invocation,
  task: AcceptTask,
  isExecuted: boolean,
): Promise<CliExit> {
  const { directory, newClusterId } = task;
  invocation.note(`A recovery of ${directory} as ${newClusterId} was begun and not finished.`);
  if (!isExecuted) {
    invocation.note('With --execute it is finished. Until then the directory does not start.');
    return CLI_EXIT.pending;
  }
  try {
    return await carryOut(invocation, task);
  } catch (error) {
    throw recoverTrouble(error, directory);
  }
}

async function carryOut(invocation: Invocation, task: AcceptTask): Promise<CliExit> {
  const { environment, output, print, note } = invocation;
  const { clock, newId, stores } = environment;
  const { directory, newClusterId } = task;
  const mintBootId = (): string => newId().slice(-16).toLowerCase();
  const lastIndex = await executeAcceptance(task, { disk: stores.writable, clock, mintBootId });
  const report = `${directory}/${RECOVERY_REPORT_FILE}`;
  const facts = { directory, newClusterId, lastIndex: String(lastIndex), report };
  if (output === 'json') print(jsonLine({ kind: 'lossAccepted', ...facts }));
  else print(`done: ${directory} is cluster ${newClusterId} from entry ${lastIndex} on\n`);
  note(`The report is ${report}. Now set cluster-id to ${newClusterId} in the configuration`);
  note('of this node and of new ones, start it, and add members: mq-raft member add');
  return CLI_EXIT.ok;
}

export function recoverTrouble(error: unknown, directory: string): unknown {
  const isKnown =
    error instanceof FatalError || error instanceof DiskError || error instanceof CorruptionError;
  if (!isKnown) return error;
  if (error instanceof FatalError && error.reason === 'directoryLocked') {
    return new CliError(
      {
        exit: CLI_EXIT.refused,
        what: 'recover: refused, nothing was changed',
        why: error.message,
        todo: 'stop the broker, and begin again',
      },
      { cause: error },
    );
  }
  return new CliError(
    {
      exit: CLI_EXIT.failure,
      what: `recover: ${directory}`,
      why: error.message,
      todo: 'the same command goes on where it was; *.before-recovery is what was',
    },
    { cause: error },
  );
}
