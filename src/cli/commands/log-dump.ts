/** `mq-raft log dump`: entries one by one. */
import { type Command, Option } from 'commander';
import { LogIndex } from '../../base/units.ts';
import type { EntryType } from '../../raft/entry.ts';
import type { Damage } from '../../store/inspect/damage.ts';
import { dumpLog } from '../../store/inspect/dump-log.ts';
import type { WalkedEntry } from '../../store/inspect/walk-options.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import { type Invocation, parseCount, type Run } from '../invocation.ts';
import { jsonLine } from '../render/json.ts';
import { dumpTitle, entryJson, entryText } from '../render/log-dump.ts';
import { type BodyForm, decodedRecords, topicOf } from '../render/log-records.ts';
import { damageJson, damageText } from '../render/log-words.ts';
import { openStoreDirectory, readingTrouble } from './log-directory.ts';

const INDEX_MAX = Number.MAX_SAFE_INTEGER;
const TYPES: readonly EntryType[] = ['data', 'config', 'noop', 'filler'];
const BODY_FORMS: readonly BodyForm[] = ['none', 'text', 'hex'];

interface DumpOptions {
  readonly live?: true;
  readonly from: number;
  readonly to?: number;
  readonly limit?: number;
  readonly records?: true;
  readonly type?: EntryType;
  readonly topic?: string;
  readonly bodies: BodyForm;
}

export function addDumpOptions(command: Command, run: Run): void {
  command
    .option('--from <index>', 'first entry', parseCount('--from', 1, INDEX_MAX), 1)
    .option('--to <index>', 'last entry', parseCount('--to', 1, INDEX_MAX))
    .option('--limit <count>', 'print at most so many', parseCount('--limit', 1, INDEX_MAX))
    .option('--records', 'print the records of the entries: messages and commands')
    .addOption(new Option('--type <type>', 'entries of one type only').choices(TYPES))
    .option('--topic <name>', 'records of one topic only, and entries that hold some')
    .addOption(
      new Option('--bodies <form>', 'how message bodies are shown')
        .choices(BODY_FORMS)
        .default('none'),
    )
    .addHelpText('after', DUMP_HELP)
    .action((directory: string, options: DumpOptions, own: Command) =>
      run(own, (invocation) => dump(invocation, directory, options)),
    );
}

async function dump(invocation: Invocation, name: string, options: DumpOptions): Promise<CliExit> {
  const { environment, signal, output, paint } = invocation;
  const { stores, stdout } = environment;
  const isLive = options.live === true;
  const { directory, stillUnused } = await openStoreDirectory(invocation, name, isLive);
  const form = { directory, columns: stdout.columns, paint, bodies: options.bodies };
  let damageCount = 0;
  let printed = 0;
  const onDamage = async (damage: Damage): Promise<void> => {
    damageCount += 1;
    invocation.print(
      output === 'json'
        ? jsonLine(damageJson(damage, directory))
        : damageText(damage, damageCount, directory, stdout.columns, paint),
    );
  };
  const onEntry = async (entry: WalkedEntry): Promise<'goOn' | 'stop'> => {
    const { index } = entry.header.desc;
    if (options.to !== undefined && index > options.to) return 'stop';
    const decoded = chosenRecords(entry, options);
    if (decoded === 'none') return 'goOn';
    if (printed === 0 && output === 'table') invocation.print(dumpTitle(form));
    printed += 1;
    invocation.print((output === 'json' ? entryJson : entryText)(entry, decoded, form));
    await stdout.drained();
    return printed === options.limit || index === options.to ? 'stop' : 'goOn';
  };
  try {
    const from = LogIndex(options.from);
    const { disk } = stores;
    const last = await dumpLog({ disk, directory, from, isLive, onEntry, onDamage, signal });
    await stillUnused();
    if (printed === 0) noteNothing(invocation, options, last);
    if (damageCount > 0) return CLI_EXIT.unhealthy;
    return last === null || last < from ? CLI_EXIT.notFound : CLI_EXIT.ok;
  } catch (error) {
    throw readingTrouble(error, directory);
  }
}

/** `none`: the entry is not asked for. null: its records are not. */
function chosenRecords(
  { header, body }: WalkedEntry,
  { type, topic, records, bodies }: DumpOptions,
): ReturnType<typeof decodedRecords> | null | 'none' {
  if (type !== undefined && header.desc.type !== type) return 'none';
  const hasRecords = header.desc.type === 'data' && body.kind === 'good';
  if (topic === undefined && (!hasRecords || (records !== true && bodies === 'none'))) return null;
  if (!hasRecords) return 'none';
  const decoded = decodedRecords(body.payload);
  if (topic === undefined) return decoded;
  const ofTopic = decoded.records.filter((record) => topicOf(record) === topic);
  return ofTopic.length === 0 ? 'none' : { ...decoded, records: ofTopic };
}

function noteNothing(invocation: Invocation, { from }: DumpOptions, last: LogIndex | null): void {
  if (last === null) invocation.note('the log holds no entry');
  else if (last < from) {
    invocation.note(`--from ${from} is behind the end: the last entry is ${last}`);
  } else invocation.note('no entry is of that kind');
}

const DUMP_HELP = `
A line for each entry: index, type, term, physical offset, bytes with header,
what the leader knew as committed, CRC of the payload; on a terminal of 100
columns also the CRCs of chain and header. With -o json one object a line,
64-bit numbers as strings. Damage on the way is printed in its place, and the
exit code is then 8.

Examples:
  mq-raft log dump ./.mq-raft/n1 --from 100 --limit 10 --records
  mq-raft log dump ./.mq-raft/n1 --topic orders --bodies text
  mq-raft log dump ./.mq-raft/n1 --type config -o json`;
