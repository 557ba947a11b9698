/** `mq-raft verify`: every replica reads its whole log again and is compared with the others. */
import type { Command } from 'commander';
import type { LogIndex } from '../../base/units.ts';
import { clusterStatus, type MemberStatus } from '../../client/cluster-status.ts';
import type { VerifyProgress, VerifyRun } from '../../protocol/verify-codec.ts';
import { CliError, usageError } from '../cli-error.ts';
import { Interrupted } from '../environment.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import {
  comparisonOf,
  isSound,
  type NodeVerification,
  verifyJson,
  verifyProgressText,
  verifyText,
} from '../render/verify.ts';

interface VerifyOptions {
  readonly rate: number | null;
  readonly node?: readonly string[];
  readonly skip?: 'derived';
}

export function addVerifyCommand(program: Command, run: Run): Command {
  return program
    .command('verify')
    .description('check the log and state of all replicas, and compare them, while they serve')
    .option(
      '--rate <size>',
      'of reading, per node and second: 20M, 1G (default: unlimited)',
      rateOf,
    )
    .option('--node <ids>', 'only these: n1,n3', (text) => text.split(','))
    .option('--skip <part>', 'derived: do not derive the state again', skipOf)
    .addHelpText('after', HELP)
    .action((options: VerifyOptions, command: Command) =>
      run(command, (invocation) => verify(invocation, options)),
    );
}

async function verify(invocation: Invocation, options: VerifyOptions): Promise<CliExit> {
  const { environment, output, paint, signal, timeoutMs } = invocation;
  const { stdout, stderr, clock } = environment;
  const status = await clusterStatus(invocation.client(), signal);
  const [group, ...others] = status.groups;
  if (group === undefined || others.length > 0) {
    const names = status.groups.map((each) => each.group).join(', ');
    throw usageError(
      `The cluster has several groups: ${names}`,
      'name nodes of one by --endpoints',
    );
  }
  const nodes = wantedNodes(group.nodes, options.node);
  const verifier = environment.openVerifier();
  const leader = group.nodes.find(({ nodeId }) => nodeId === group.leader);
  const checkpoint =
    leader === undefined ? null : await verifier.checkpoint(leader.raft, timeoutMs);
  const checkpointIndex = typeof checkpoint === 'number' ? checkpoint : null;
  if (checkpointIndex === null) {
    invocation.note(
      'no leader made a checkpoint: replicas are compared at the last one they share',
    );
  }
  const startedAtMs = clock.monotonicMs();
  const seen = new Map<string, VerifyProgress>();
  const progress = new Progress(stderr, clock, () =>
    verifyProgressText(seen, clock.monotonicMs() - startedAtMs),
  );
  const run = runOf(options, checkpointIndex);
  const verifications = await Promise.all(
    nodes.map(async ({ nodeId, raft, why }): Promise<NodeVerification> => {
      if (raft === '') return { nodeId, outcome: why };
      const onProgress = (each: VerifyProgress) => void seen.set(nodeId, each);
      return { nodeId, outcome: await verifier.run(raft, run, onProgress, signal) };
    }),
  ).finally(() => progress.stop());
  if (signal.aborted) throw new Interrupted();
  const comparison = comparisonOf(verifications);
  const tookMs = clock.monotonicMs() - startedAtMs;
  invocation.print(
    output === 'json'
      ? verifyJson(verifications, comparison, tookMs)
      : verifyText(verifications, comparison, stdout.columns, paint),
  );
  if (verifications.every(({ outcome }) => typeof outcome === 'string')) return CLI_EXIT.unknown;
  return isSound(verifications, comparison) ? CLI_EXIT.ok : CLI_EXIT.unhealthy;
}

function runOf({ rate, skip }: VerifyOptions, checkpointIndex: LogIndex | null): VerifyRun {
  return { bytesPerSecond: rate ?? null, skipsDerived: skip === 'derived', checkpointIndex };
}

function wantedNodes(
  nodes: readonly MemberStatus[],
  ids: readonly string[] | undefined,
): readonly MemberStatus[] {
  if (ids === undefined) return nodes;
  const unknown = ids.find((id) => nodes.every(({ nodeId }) => nodeId !== id));
  if (unknown === undefined) return nodes.filter(({ nodeId }) => ids.includes(nodeId));
  const known = nodes.map(({ nodeId }) => nodeId).join(', ');
  throw new CliError({
    exit: CLI_EXIT.notFound,
    what: `There is no node ${unknown}`,
    why: `the nodes are ${known}`,
    todo: null,
  });
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
};

function rateOf(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,12})([KMG]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * (UNIT_BYTES[unit] ?? 0);
  if (digits !== '' && bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw usageError(`--rate '${text}' is not a size`, 'for example 500K, 20M or 1G');
}

function skipOf(text: string): 'derived' {
  if (text === 'derived') return text;
  throw usageError(`--skip '${text}' is not a part that can be left out`, 'it can be: derived');
}

const HELP = `
Asks the leader for a checkpoint, then all nodes at once: each reads its log
from the device to the end, says what chain and state it had at the checkpoint,
and derives its state from the log again, into a database beside, to compare the
rows. Sending and receiving go on. Damage that is found is repaired as always:
the node ends, and fetches the entries from the others when it starts again.

Exit code 0 when everything asked for is good and equal, 8 when anything is not,
or a node does not answer, 6 when none does. Offline: mq-raft log verify.

Examples:
  mq-raft verify
  mq-raft verify --rate 50M --skip derived
  mq-raft verify --node n3 -o json`;
