/**
 * `mq-raft recover --accept-loss A-B`: says, offline, whether entries that no start can read are lost for good, and
 * goes on without them, with a log that begins behind the loss (ADR-9). A dry run unless told otherwise.
 */
import type { Command } from 'commander';
import { CorruptionError, FatalError } from '../../base/errors.ts';
import { LogIndex, type NodeId } from '../../base/units.ts';
import { isOutOfSpace } from '../../io/disk.ts';
import { unfinishedAcceptance } from '../../store/recover/accept-loss.ts';
import { type DirectoryLog, readDirectoryLog } from '../../store/recover/directory-log.ts';
import type { EntryRange } from '../../store/recover/entry-marks.ts';
import { newestSnapshotFrom } from '../../store/recover/found-snapshot.ts';
import { deriveAcceptedLoss } from '../../store/recover/loss-derivation.ts';
import { type LossPlan, planLoss } from '../../store/recover/loss-plan.ts';
import { holdingOf, judgeLoss, type LossVerdict } from '../../store/recover/lost-range.ts';
import { surveySurvivor } from '../../store/recover/survivor.ts';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import { lossPlanJson, lossPlanText } from '../render/accepted-loss.ts';
import { holdingsText, lossJsonLine, lossText, rangesText } from '../render/lost-range.ts';
import { parseAddresses } from '../target.ts';
import { directoryOf, openStoreDirectory, readingTrouble } from './log-directory.ts';
import { nodeIdOf } from './member.ts';
import { acceptLoss, confirmLoss, finishAcceptance, recoverTrouble } from './recover-execute.ts';

interface RecoverOptions {
  readonly acceptLoss: EntryRange;
  readonly lost?: readonly string[];
  readonly lostAt?: Date;
  readonly newClusterId?: string;
  readonly addr?: string;
  readonly execute?: true;
  readonly confirm?: string;
}

const HELP = `
For a group whose nodes all refuse to start because the same entries are damaged
on every one of them. Give the directory of every member that is left, and name
with --lost those that will never come back. Without --execute nothing is
changed: it says whether the entries are lost, what goes with them, and what of
it which consumer group has not consumed.

With --execute one directory goes on alone, under another cluster id, with a log
that begins behind the loss. It needs a whole snapshot at or behind the last of
the entries. What goes and can be read is written to a file first, one JSON
object a line, to be looked at and sent again. The other members are never
started again; add new ones under new names.

A database that does not fit into the directory for temporary files needs
TMPDIR to name another one.

Examples:
  mq-raft recover --accept-loss 1200-1203 /data/n1 /data/n2 /data/n3
  mq-raft recover --accept-loss 1200-1203 /data/n1 --lost n2,n3 -o json
  mq-raft recover --accept-loss 1200-1203 /data/n1 /data/n2 /data/n3 --execute`;

export function addRecoverCommand(program: Command, run: Run): Command {
  return program
    .command('recover')
    .description('whether damaged entries are lost for good, offline, and going on without them')
    .argument('<dir...>', 'directories of nodes that are left; none of them may run')
    .requiredOption('--accept-loss <range>', 'first and last entry, as 1200-1203', parseRange)
    .option('--lost <nodes>', 'members that never come back: n2,n3', (text) => text.split(','))
    .option('--lost-at <time>', 'when they were lost, as 2026-11-20T10:03:00Z', parseTime)
    .option('--new-cluster-id <id>', 'instead of the old one with -r1')
    .option(
      '--addr <host:port>',
      'of the node that goes on, if no entry left says it',
      parseAddress,
    )
    .option('--execute', 'do it')
    .option('--confirm <words>', 'what would be typed: the group and the number')
    .addHelpText('after', HELP)
    .action((names: readonly string[], options: RecoverOptions, self: Command) => {
      const work = (invocation: Invocation) => recover(invocation, names, options);
      return run(self, work, 'write');
    });
}

function parseRange(text: string): EntryRange {
  const [, first = '', last = first] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first !== '' && from >= 1 && to >= from) return { from: LogIndex(from), to: LogIndex(to) };
  throw usageError(`--accept-loss '${text}' is no range of entries`, 'for example 1200-1203');
}

function parseAddress(text: string): string {
  const [address, ...others] = parseAddresses('--addr', text);
  if (address !== undefined && others.length === 0) return address;
  throw usageError(`--addr '${text}' is more than one address`, 'give that of one node');
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw usageError(`--lost-at '${text}' is not a time`, 'for example 2026-11-20T10:03:00Z');
}

async function recover(
  invocation: Invocation,
  names: readonly string[],
  options: RecoverOptions,
): Promise<CliExit> {
  for (const name of names) {
    const task = await unfinishedIn(invocation, directoryOf(name));
    if (task !== null) return finishAcceptance(invocation, task, options.execute === true);
  }
  const { acceptLoss: range, lost = [] } = options;
  const logs: DirectoryLog[] = [];
  for (const name of names) logs.push(await logIn(invocation, name, range));
  requireOneGroup(logs);
  const { output, print, paint } = invocation;
  const holdings = logs.map((log) => holdingOf(log, range));
  const declaredLost = lost.map(nodeIdOf);
  const verdict = judgeLoss(holdings, declaredLost);
  if (output === 'table') print(holdingsText(holdings, paint));
  if (verdict.kind !== 'lost') {
    if (output === 'json') print(lossJsonLine(holdings, verdict, null));
    throw notLost(verdict, range);
  }
  const plan = await planFor(invocation, logs, declaredLost, options);
  if (typeof plan !== 'string') return goOn(invocation, plan, options, { holdings, verdict });
  if (output === 'json') print(lossJsonLine(holdings, verdict, null));
  else print(lossText(verdict, invocation.environment.stdout.columns));
  if (options.execute === true) throw notExecuted(plan);
  invocation.note(`Nothing was changed, and --execute would be refused: ${plan}`);
  invocation.note(WAY_ON);
  return CLI_EXIT.ok;
}

async function unfinishedIn({ environment }: Invocation, directory: string) {
  try {
    return await unfinishedAcceptance(environment.stores.disk, directory);
  } catch (error) {
    throw recoverTrouble(error, directory);
  }
}

async function logIn(
  invocation: Invocation,
  name: string,
  range: EntryRange,
): Promise<DirectoryLog> {
  const { environment, signal } = invocation;
  const { stores, clock, stderr } = environment;
  const { directory, stillUnused } = await openStoreDirectory(invocation, name, false);
  const progress = new Progress(stderr, clock, () => `reading ${directory} ...`);
  const survey = { disk: stores.disk, directory, signal };
  try {
    const survivor = await surveySurvivor(survey);
    if (typeof survivor === 'string') throw refused(survivor, 'leave the directory out');
    const log = await readDirectoryLog(survey, survivor, range.to);
    await stillUnused();
    return log;
  } catch (error) {
    throw readingTrouble(error, directory);
  } finally {
    progress.stop();
  }
}

function requireOneGroup(logs: readonly DirectoryLog[]): void {
  const groups = logs.map(({ survivor }) => `${survivor.clusterId}/${survivor.groupId}`);
  const nodes = logs.map(({ survivor }) => survivor.nodeId);
  if (new Set(groups).size > 1) {
    const names = [...new Set(groups)].join(', ');
    throw refused(`The directories are of several groups: ${names}`, null);
  }
  if (new Set(nodes).size < nodes.length) {
    throw refused(`A node was given twice: ${nodes.join(', ')}`, 'give each directory once');
  }
}

/** @returns why there is none */
async function planFor(
  { environment }: Invocation,
  logs: readonly DirectoryLog[],
  declaredLost: readonly NodeId[],
  { acceptLoss: accepted, lostAt, newClusterId, addr }: RecoverOptions,
): Promise<LossPlan | string> {
  const { stores, clock } = environment;
  const directories = logs.map(({ survivor }) => survivor.directory);
  const snapshot = await newestSnapshotFrom(stores.disk, directories, accepted.to);
  if (snapshot === null) {
    return `no directory holds a whole snapshot at or behind entry ${accepted.to}, and without one ${WHY}`;
  }
  const lostAtMs = (lostAt ?? new Date(clock.wallMs())).getTime();
  const wish = { lostAtMs, newClusterId: newClusterId ?? null, raftAddress: addr ?? null };
  const verdict = planLoss({ logs, snapshot, accepted, declaredLost, wish });
  return verdict.kind === 'plan' ? verdict.plan : verdict.problems.join('\n');
}

/** The state is made in a dry run as well: what it says of the loss is exact, and it proves that it can be made. */
async function goOn(
  invocation: Invocation,
  plan: LossPlan,
  options: RecoverOptions,
  seen: {
    readonly holdings: Parameters<typeof lossJsonLine>[0];
    readonly verdict: LossVerdict & { readonly kind: 'lost' };
  },
): Promise<CliExit> {
  const { environment, signal, output, print, note } = invocation;
  const { stores, clock, stderr, stdout } = environment;
  return stores.scratch(async (store) => {
    let at: number = plan.snapshot.info.logStart.index;
    const text = (): string => `making the state, entry ${at} of ${plan.lastIndex} ...`;
    const progress = new Progress(stderr, clock, text);
    const onEntry = (index: LogIndex): void => {
      at = index;
    };
    const { disk } = stores;
    const atMs = clock.wallMs();
    const derived = await deriveAcceptedLoss({ plan, disk, store, atMs, signal, onEntry })
      .catch((error: unknown) => {
        throw derivationTrouble(error, plan);
      })
      .finally(() => progress.stop());
    try {
      const { account } = derived;
      if (output === 'table') print(lossPlanText(plan, account, stdout.columns, invocation.paint));
      else print(lossJsonLine(seen.holdings, seen.verdict, lossPlanJson(plan, account)));
      if (options.execute !== true) {
        note('Nothing was changed. With --execute it is done.');
        return CLI_EXIT.ok;
      }
      await confirmLoss(invocation, plan, account, options.confirm);
      return await acceptLoss(invocation, plan, derived);
    } finally {
      await derived.state.close();
    }
  });
}

function derivationTrouble(error: unknown, plan: LossPlan): unknown {
  if (error instanceof FatalError || isOutOfSpace(error)) {
    return new CliError(
      {
        exit: CLI_EXIT.failure,
        what: 'recover: the state cannot be made, nothing was changed',
        why: error.message,
        todo: 'let TMPDIR name a directory with room for a database of this log',
      },
      { cause: error },
    );
  }
  if (!(error instanceof CorruptionError)) return readingTrouble(error, plan.snapshot.path);
  return refused(`the state cannot be made from ${plan.snapshot.path}: ${error.message}`, WAY_ON);
}

function notLost(verdict: Exclude<LossVerdict, { kind: 'lost' }>, range: EntryRange): CliError {
  if (verdict.kind === 'held') {
    const by = verdict.by.join(', ');
    return refused(
      `entries ${rangesText([range])} are not lost: ${by} can read all of them`,
      `start ${by}: what one of them lacks it gets from the others`,
    );
  }
  const members = verdict.members.join(', ');
  return refused(
    `${members} may still hold what the others cannot read`,
    `give the directory of each as well, or start them all; who never comes back is named with --lost ${verdict.members.join(',')}`,
  );
}

const WHY =
  'nobody could tell what the lost entries did: queues, duplicates, offsets and deliveries ' +
  'would be wrong without a sign of it';
const WAY_ON =
  'The way on: `mq-raft restore` from a backup that holds the entries; or `mq-raft log dump` of what ' +
  'can be read, sent again into a new group';

function notExecuted(why: string): CliError {
  return refused(why, WAY_ON);
}

function refused(why: string, todo: string | null): CliError {
  const what = 'recover: refused, nothing was changed';
  return new CliError({ exit: CLI_EXIT.refused, what, why, todo });
}
