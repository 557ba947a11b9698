/** `mq-raft dev`: its options. What it does is in bin/dev, which may start processes. */
import { type Command, Option } from 'commander';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT } from '../exit-codes.ts';
import { parseCount, type Run } from '../invocation.ts';

const PORT_MAX = 65_535;
/** Of five nodes with three ports each, and two name servers. */
const PORT_COUNT_MAX = 17;
const SEGMENT_SIZE_BYTES_DEFAULT = 64 * 1024 * 1024;
const SEGMENT_SIZE_BYTES_MIN = 64 * 1024;
const SEGMENT_SIZE_BYTES_MAX = 1024 * 1024 * 1024;

interface RawOptions {
  readonly dir: string;
  readonly nodes?: 1 | 3 | 5;
  readonly basePort?: number;
  readonly json?: true;
  readonly autoCreateTopics: boolean;
  readonly wipe?: true;
  readonly yes?: true;
  readonly restartNodes?: true;
  readonly segmentSizeBytes: number;
}

export function addDevCommand(program: Command, run: Run): Command {
  return program
    .command('dev')
    .description('run a real cluster on this machine until Ctrl-C')
    .option('--dir <directory>', 'where everything is kept', './.mq-raft')
    .option('--nodes <count>', '1, 3 or 5 (default: 3, or what the directory has)', parseNodeCount)
    .option(
      '--base-port <port>',
      'take all ports from here on (default: the well-known ones)',
      parseCount('--base-port', 1, PORT_MAX - PORT_COUNT_MAX),
    )
    .option('--json', 'print one line of JSON when ready')
    .option('--no-auto-create-topics', 'refuse topics that do not exist')
    .option('--wipe', 'delete what the directory holds first')
    .option('--yes', 'wipe without asking')
    .option('--restart-nodes', 'start a node again when it exits by itself')
    .addOption(
      new Option('--segment-size-bytes <bytes>', 'size of a commit log segment')
        .argParser(parseSegmentSize)
        .default(SEGMENT_SIZE_BYTES_DEFAULT, '64 MiB'),
    )
    .addHelpText('after', HELP)
    .action((options: RawOptions, command: Command) =>
      run(command, async ({ environment, output }) => {
        const { dir, nodes, basePort, autoCreateTopics, segmentSizeBytes } = options;
        return environment.runDev({
          directory: dir,
          nodeCount: nodes ?? null,
          basePort: basePort ?? null,
          json: options.json === true || output === 'json',
          autoCreateTopics,
          wipe: options.wipe === true,
          yes: options.yes === true,
          restartNodes: options.restartNodes === true,
          segmentSizeBytes,
        });
      }),
    );
}

function parseNodeCount(text: string): 1 | 3 | 5 {
  if (text === '1' || text === '3' || text === '5') return Number(text) as 1 | 3 | 5;
  throw new CliError({
    exit: CLI_EXIT.usage,
    what: `--nodes '${text}' is not 1, 3 or 5`,
    why: 'an even number of nodes survives no more failures than one node less',
    todo: null,
  });
}

function parseSegmentSize(text: string): number {
  const bytes = parseCount(
    '--segment-size-bytes',
    SEGMENT_SIZE_BYTES_MIN,
    SEGMENT_SIZE_BYTES_MAX,
  )(text);
  // Placement works in pages of 4 KiB.
  if (bytes % 4096 === 0) return bytes;
  throw usageError(`--segment-size-bytes ${bytes} is not a multiple of 4096`);
}

const HELP = `
Three brokers and two name servers as processes of their own, on loopback only.
Data is kept in the directory; the next start finds it again.

Commands in this directory find ./.mq-raft by themselves. With another --dir,
set MQ_RAFT_NAMESRV as the banner says, or give --namesrv.

Examples:
  mq-raft dev
  mq-raft dev --nodes 1 --dir /tmp/one --base-port 20000
  mq-raft dev --wipe --yes --json`;
