/**
 * `recovery-report.json`: what was decided about a directory, and whether it is done. It is written before anything
 * is changed, so that whoever was interrupted, or another process, goes on with the same decision.
 */
import { FatalError } from '../../base/errors.ts';
import type { Disk } from '../../io/disk.ts';

export const RECOVERY_REPORT_FILE = 'recovery-report.json';
const REPORT_VERSION = 'mq-raft/v1';

/** Which command. */
export type RecoveryKind = 'unsafeRecover' | 'acceptLoss';

const COMMANDS: Readonly<Record<RecoveryKind, string>> = {
  unsafeRecover: 'mq-raft unsafe-recover',
  acceptLoss: 'mq-raft recover --accept-loss',
};

interface Report {
  readonly apiVersion: string;
  readonly kind: RecoveryKind;
  readonly state: 'begun' | 'done';
  readonly task: object;
}

/**
 * Of a recovery that was begun here and not finished; null: there is none.
 * @throws FatalError when another command began it, or the file is no report
 */
export async function unfinishedOf<Task extends { readonly directory: string }>(
  disk: Pick<Disk, 'sizeOf' | 'read'>,
  directory: string,
  kind: RecoveryKind,
): Promise<Task | null> {
  const report = await reportIn(disk, directory);
  if (report === null || report.state === 'done') return null;
  if (report.kind !== kind) {
    throw new FatalError(
      'identityRefused',
      `${directory} is in the middle of another recovery: finish it with ${COMMANDS[report.kind]} --execute`,
    );
  }
  // Our own file, written whole; its version and its kind say that the fields are these.
  return { ...(report.task as Task), directory };
}

/** A directory in the middle of a recovery is nobody's: what a start makes of it would not be what was decided. */
export async function refuseUnfinishedRecovery(
  disk: Pick<Disk, 'sizeOf' | 'read'>,
  directory: string,
): Promise<void> {
  const report = await reportIn(disk, directory);
  if (report === null || report.state === 'done') return;
  throw new FatalError(
    'identityRefused',
    `Cannot open ${directory}: a recovery was begun here and not finished. Finish it with ${COMMANDS[report.kind]} --execute`,
  );
}

/** null: there is none. */
async function reportIn(
  disk: Pick<Disk, 'sizeOf' | 'read'>,
  directory: string,
): Promise<Report | null> {
  const path = `${directory}/${RECOVERY_REPORT_FILE}`;
  const sizeBytes = await disk.sizeOf(path);
  if (sizeBytes === null) return null;
  const text = new TextDecoder().decode(await disk.read(path, 0, sizeBytes));
  const report = parsedReport(text);
  if (report !== null) return report;
  throw new FatalError('logDamaged', `${path} is no report of a recovery: move it away`);
}

function parsedReport(text: string): Report | null {
  try {
    const value: unknown = JSON.parse(text);
    const isReport =
      typeof value === 'object' &&
      value !== null &&
      'apiVersion' in value &&
      value.apiVersion === REPORT_VERSION &&
      'task' in value;
    if (!isReport) return null;
    // Before there were two commands the file did not say which.
    return { kind: 'unsafeRecover', ...(value as Omit<Report, 'kind'>) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

/** Durable when it resolves. */
export function writeReport(
  disk: Disk,
  kind: RecoveryKind,
  state: Report['state'],
  { directory, ...task }: { readonly directory: string },
): Promise<void> {
  const report: Report = { apiVersion: REPORT_VERSION, kind, state, task };
  const text = `${JSON.stringify(report, null, 2)}\n`;
  return disk.writeFile(`${directory}/${RECOVERY_REPORT_FILE}`, new TextEncoder().encode(text));
}
