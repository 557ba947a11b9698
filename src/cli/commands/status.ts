/** `mq-raft status`: what every node says of itself. */
import type { Command } from 'commander';
import { type ClusterStatus, clusterStatus } from '../../client/cluster-status.ts';
import { STATUS_TIMEOUT_MS } from '../../client/limits.ts';
import { NoNodesKnown } from '../../client/node-directory.ts';
import { AdminError } from '../../protocol/admin.ts';
import type { MembersReport } from '../../protocol/admin-report.ts';
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
  const members = await membersOf(invocation, status);
  invocation.print(
    output === 'json' ? statusJson(status, members) : statusText(status, members, columns, paint),
  );
  if (!isReachable(status)) return CLI_EXIT.unknown;
  return isHealthy(status) ? CLI_EXIT.ok : CLI_EXIT.unhealthy;
}

/** What only the leader knows: how many failures the group survives now. Of one group, when there is one. */
async function membersOf(
  invocation: Invocation,
  { groups }: ClusterStatus,
): Promise<MembersReport | null> {
  const [group, ...others] = groups;
  if (group === undefined || group.leader === null || others.length > 0) return null;
  const { signal } = invocation;
  const options = { signal, timeoutMs: STATUS_TIMEOUT_MS };
  try {
    const answer = await invocation.admin().question({ kind: 'members' }, options);
    return answer.kind === 'members' ? answer.report : null;
  } catch (error) {
    // Without administration, or in an election: the nodes have said what they know by themselves.
    if (!(error instanceof AdminError) && !(error instanceof NoNodesKnown)) throw error;
    return null;
  }
}
