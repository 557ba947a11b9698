/**
 * `mq-raft cluster init`: a commented configuration for each founder. It makes no directory and no identity:
 * a broker does that at its first start, on its own machine.
 */
import type { Command } from 'commander';
import { portOf } from '../../config/broker-settings.ts';
import { CliError, usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation } from '../invocation.ts';
import { jsonLine } from '../render/json.ts';
import { parseAddresses } from '../target.ts';
import type { Verb } from '../verb.ts';
import { nodeIdOf } from './member.ts';

const VOTER_COUNT_MAX = 9;
const FILE_MODE = 0o644;

interface InitOptions {
  readonly voters: string;
  readonly clusterId: string;
  readonly groupId: string;
  readonly namesrv?: string;
  readonly dataDir: string;
  readonly out: string;
  readonly allowEven?: true;
  readonly overwrite?: true;
}

interface Voter {
  readonly nodeId: string;
  readonly raftAddress: string;
}

export const initVerb: Verb = {
  name: 'init',
  short: 'init',
  description: 'write a commented configuration for each founder of a new group',
  help: `Every founder lists all of them. Later members are not founders: add them with
mq-raft member add.

Examples:
  mq-raft init --voters n1=10.0.0.1:10912,n2=10.0.0.2:10912,n3=10.0.0.3:10912 \\
    --cluster-id payments --namesrv 10.0.0.1:9876,10.0.0.2:9876`,
  build: (command, run) =>
    void command
      .requiredOption('--voters <list>', 'the founders: n1=host:port,n2=host:port,...')
      .requiredOption('--cluster-id <id>', 'name of the cluster')
      .option('--group-id <id>', 'name of the broker group', 'broker-a')
      .option('--data-dir <path>', 'where nodes keep their data', '/var/lib/mq-raft')
      .option('--out <directory>', 'where the files go', '.')
      .option('--allow-even', 'also an even number of voters')
      .option('--overwrite', 'replace files that are there')
      .action((_options, self: Command) =>
        run(self, async (invocation) => init(invocation, self.optsWithGlobals<InitOptions>())),
      ),
};

function init(invocation: Invocation, options: InitOptions): CliExit {
  const { environment, output, print, note } = invocation;
  const { files } = environment;
  const voters = votersOf(options);
  for (const name of [options.clusterId, options.groupId]) nodeIdOf(name);
  const namesrv = options.namesrv === undefined ? [] : parseAddresses('--namesrv', options.namesrv);
  const planned = voters.map(({ nodeId }) => ({ nodeId, path: `${options.out}/${nodeId}.yaml` }));
  const taken = planned.filter(({ path }) => files.read(path) !== null).map(({ path }) => path);
  if (taken.length > 0 && options.overwrite !== true) {
    throw new CliError({
      exit: CLI_EXIT.refused,
      what: `init: refused, nothing was written`,
      why: `${taken.join(', ')} ${taken.length === 1 ? 'is' : 'are'} there already`,
      todo: 'give another --out, or --overwrite',
    });
  }
  for (const { nodeId, path } of planned) {
    files.write(path, configText(nodeId, voters, namesrv, options), FILE_MODE);
  }
  if (output === 'json') print(jsonLine({ kind: 'init', files: planned }));
  else print(planned.map(({ path }) => `${path}\n`).join(''));
  note(`\nCopy each file to its machine, then on each:\n  mq-raft-broker --config FILE`);
  note(`When all run:  mq-raft status --endpoints ${voters[0]?.raftAddress}`);
  return CLI_EXIT.ok;
}

function votersOf({ voters: text, allowEven }: InitOptions): readonly Voter[] {
  const voters = text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const cut = part.indexOf('=');
      if (cut < 1) throw usageError(`--voters: '${part}' is not name=host:port`);
      const [address = ''] = parseAddresses('--voters', part.slice(cut + 1));
      return { nodeId: nodeIdOf(part.slice(0, cut)), raftAddress: address };
    });
  const isTwice = (of: (voter: Voter) => string): boolean =>
    new Set(voters.map(of)).size !== voters.length;
  if (isTwice(({ nodeId }) => nodeId)) throw usageError('--voters names a node twice');
  if (isTwice(({ raftAddress }) => raftAddress)) throw usageError('--voters has an address twice');
  if (voters.length === 0 || voters.length > VOTER_COUNT_MAX) {
    throw usageError(`--voters names ${voters.length} nodes, 1 to ${VOTER_COUNT_MAX} make a group`);
  }
  if (voters.length % 2 === 0 && allowEven !== true) {
    throw new CliError({
      exit: CLI_EXIT.refused,
      what: `init: ${voters.length} voters`,
      why: 'an even number survives no more failures than one less, and needs one more to agree',
      todo: 'name an odd number, or give --allow-even',
    });
  }
  return voters;
}

function configText(
  nodeId: string,
  voters: readonly Voter[],
  namesrv: readonly string[],
  { clusterId, groupId, dataDir }: InitOptions,
): string {
  const own = voters.find((voter) => voter.nodeId === nodeId)?.raftAddress ?? '';
  const members = voters.map((voter) => `  ${voter.nodeId}: ${voter.raftAddress}\n`).join('');
  const servers = namesrv.map((address) => `\n  - ${address}`).join('');
  return `# mq-raft-broker --config ${nodeId}.yaml
# Every key: mq-raft config explain KEY. Check: mq-raft config validate ${nodeId}.yaml

# Who this is. The name is unique in the group for ever, also after the node has gone.
node-id: ${nodeId}
cluster-id: ${clusterId}
group-id: ${groupId}

# The founders, equal on each of them, and left as they are later on.
members:
${members}
# The log and the promises of this node alone. Never copied, never given to another node.
dir: ${dataDir}/${nodeId}

# What fails together with this node: warned of where one zone holds a majority of the voters.
# zone: eu-1a

# What is listened on: for RocketMQ 5 clients, for peers and administration, for monitoring.
grpc: 0.0.0.0:8081
raft: 0.0.0.0:${portOf(own)}
http: 0.0.0.0:9910

# What others are told, where it is not the address of this node in members:
# advertise-grpc: mq.example.com:8081
# advertise-raft: ${own}
# advertise-http: mq.example.com:9910

# All name servers: they know nothing of each other.
namesrv:${namesrv.length === 0 ? ' []' : servers}

# Fixed when the directory is made, equal in the group.
segment-size-bytes: 1073741824

# Keep messages so long; 0 is for ever. Refuse messages when less than the reserve is free.
retention-hours: 72
# disk-reserve-bytes: 1073741824
`;
}
