/** `mq-raft status`: what every node says of itself. */
import type { Command } from 'commander';
import { clusterStatus } from '../../client/cluster-status.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation } from '../invocation.ts';
import { Progress } from '../progress.ts';
import { isHealthy, isReachable, statusJson, statusText } from '../render/status.ts';
import type { Verb } from '../verb.ts';

export const statusVerb: Verb = {
  name: 'status',
  short: 'status',
  description: 'show the nodes: roles, log positions, lag, disk',
  help: `lag: entries that the leader has and the disk of this node has not.
Exit code 8 while a group has no leader, 6 when no node answers at all.

Examples:
  mq-raft status
  mq-raft status -o json | jq '.groups[].nodes[] | {id, role, lag}'`,
  build: (command, run) => void command.action((_options, self: Command) => run(self, showStatus)),
};

async function showStatus(invocation: Invocation): Promise<CliExit> {
  const { environment, output, paint, signal } = invocation;
  const asking = new Progress(environment.stderr, environment.clock, () => 'asking the nodes ...');
  const status = await clusterStatus(invocation.client(), signal).finally(() => asking.stop());
  const { columns } = environment.stdout;
  invocation.print(output === 'json' ? statusJson(status) : statusText(status, columns, paint));
  if (!isReachable(status)) return CLI_EXIT.unknown;
  return isHealthy(status) ? CLI_EXIT.ok : CLI_EXIT.unhealthy;
}
