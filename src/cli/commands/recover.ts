/**
 * `mq-raft recover --accept-loss A-B`: says, offline, whether entries that no start can read are lost for good,
 * and what is the way on. It does not cut them out: what a log would be behind them is not sound (ADR-9).
 */
import type { Command } from 'commander';
import { LogIndex } from '../../base/units.ts';
import {
  type EntryRange,
  type Holding,
  holdingOf,
  judgeLoss,
  type LossVerdict,
} from '../../store/recover/lost-range.ts';
import { surveySurvivor } from '../../store/recover/survivor.ts';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import { holdingsText, lossJsonLine, lossText, rangesText } from '../render/lost-range.ts';
import { openStoreDirectory, readingTrouble } from './log-directory.ts';
import { nodeIdOf } from './member.ts';

interface RecoverOptions {
  readonly acceptLoss: EntryRange;
  readonly lost?: readonly string[];
  readonly execute?: true;
}

const HELP = `
For a group whose nodes all refuse to start because the same entries are damaged
on every one of them. Give the directory of every member that is left, and name
with --lost those that will never come back. Nothing is ever changed: it says
whether the entries are lost, what is proven of them, and the way on.

Examples:
  mq-raft recover --accept-loss 1200-1203 /data/n1 /data/n2 /data/n3
  mq-raft recover --accept-loss 1200-1203 /data/n1 --lost n2,n3 -o json`;

export function addRecoverCommand(program: Command, run: Run): Command {
  return program
    .command('recover')
    .description('whether damaged entries are lost for good, offline, and the way on')
    .argument('<dir...>', 'directories of nodes that are left; none of them may run')
    .requiredOption('--accept-loss <range>', 'first and last entry, as 1200-1203', parseRange)
    .option('--lost <nodes>', 'members that never come back: n2,n3', (text) => text.split(','))
    .option('--execute', 'refused, with the reason and the way on')
    .addHelpText('after', HELP)
    .action((names: readonly string[], options: RecoverOptions, self: Command) =>
      run(self, (invocation) => recover(invocation, names, options)),
    );
}

function parseRange(text: string): EntryRange {
  const [, first = '', last = first] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first !== '' && from >= 1 && to >= from) return { from: LogIndex(from), to: LogIndex(to) };
  throw usageError(`--accept-loss '${text}' is no range of entries`, 'for example 1200-1203');
}

async function recover(
  invocation: Invocation,
  names: readonly string[],
  { acceptLoss: range, lost = [], execute }: RecoverOptions,
): Promise<CliExit> {
  const { environment, output, paint, print, note } = invocation;
  const holdings: Holding[] = [];
  for (const name of names) holdings.push(await holdingIn(invocation, name, range));
  requireOneGroup(holdings);
  const verdict = judgeLoss(holdings, lost.map(nodeIdOf));
  if (output === 'json') print(lossJsonLine(holdings, verdict));
  else print(holdingsText(holdings, paint));
  if (verdict.kind !== 'lost') throw notLost(verdict, range);
  if (output === 'table') print(lossText(verdict, environment.stdout.columns));
  if (execute === true) throw notExecuted();
  note(`Nothing was changed, and --execute would be refused: ${WHY}`);
  note(WAY_ON);
  return CLI_EXIT.ok;
}

async function holdingIn(
  invocation: Invocation,
  name: string,
  range: EntryRange,
): Promise<Holding> {
  const { environment, signal } = invocation;
  const { stores, clock, stderr } = environment;
  const { directory, stillUnused } = await openStoreDirectory(invocation, name, false);
  const progress = new Progress(stderr, clock, () => `reading ${directory} ...`);
  const survey = { disk: stores.disk, directory, signal };
  try {
    const survivor = await surveySurvivor(survey);
    if (typeof survivor === 'string') throw refused(survivor, 'leave the directory out');
    const holding = await holdingOf(survey, survivor, range);
    await stillUnused();
    return holding;
  } catch (error) {
    throw readingTrouble(error, directory);
  } finally {
    progress.stop();
  }
}

function requireOneGroup(holdings: readonly Holding[]): void {
  const groups = holdings.map(({ survivor }) => `${survivor.clusterId}/${survivor.groupId}`);
  const nodes = holdings.map(({ survivor }) => survivor.nodeId);
  if (new Set(groups).size > 1) {
    throw refused(
      `The directories are of several groups: ${[...new Set(groups)].join(', ')}`,
      null,
    );
  }
  if (new Set(nodes).size < nodes.length) {
    throw refused(`A node was given twice: ${nodes.join(', ')}`, 'give each directory once');
  }
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
  'behind a gap nobody could tell a lost entry from one that was never there, and queues, ' +
  'duplicates and offsets that were made from it would be wrong without a sign of it';
const WAY_ON =
  'The way on: `mq-raft restore` from a backup that holds the entries; or `mq-raft log dump` of what ' +
  'can be read, sent again into a new group';

function notExecuted(): CliError {
  return refused(`a loss cannot be cut out of the log: ${WHY}`, WAY_ON);
}

function refused(why: string, todo: string | null): CliError {
  const what = 'recover: refused, nothing was changed';
  return new CliError({ exit: CLI_EXIT.refused, what, why, todo });
}
