/** `mq-raft node`: one node of the group. */
import type { Command } from 'commander';
import type { AdminChange } from '../../protocol/admin.ts';
import type { MemberHealth } from '../../protocol/admin-report.ts';
import { UNDER_REPAIR } from '../../protocol/repair-codec.ts';
import {
  addChangeOptions,
  brokerGroupOption,
  type ChangeFlags,
  runChange,
  WAIT_COPY_MS,
} from '../change.ts';
import { CliError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { healthLines, memberHealthJson } from '../render/doctor.ts';
import { jsonLine } from '../render/json.ts';
import { addNoun, type Verb } from '../verb.ts';
import { nodeArgument, nodeIdOf } from './member.ts';

const status: Verb = {
  name: 'status',
  short: null,
  description: 'what nodes say of themselves: state, log, disk, sync times; needs no leader',
  help: `Examples:
  mq-raft node status
  mq-raft node status n2 -o json`,
  build: (command, run) =>
    void command
      .argument('[node]', 'one of them; all by default')
      .addOption(brokerGroupOption())
      .action((name: string | undefined, _options, self: Command) =>
        run(self, (invocation) => showNodes(invocation, name ?? null, () => true)),
      ),
};

const repair: Verb = {
  name: 'repair',
  short: 'repair',
  description: 'which nodes repair their log, and how far they are; needs no leader',
  help: `A node repairs its log by itself when it finds damage at its start.
Exit code 8 while one does.

Examples:
  mq-raft node repair --status
  mq-raft repair n3 --status`,
  build: (command, run) =>
    void command
      .argument('[node]', 'one of them; all by default')
      .option('--status', 'show it (there is nothing else to do)')
      .addOption(brokerGroupOption())
      .action((name: string | undefined, _options, self: Command) =>
        run(self, (invocation) => showRepairs(invocation, name ?? null)),
      ),
};

const drain = changeVerb(
  'drain',
  'hand leadership over, lead no more, and wait until clients are elsewhere: before a restart',
  `The routes that clients are given name the node no more until undrain. They
renew them every 30 s; it serves on meanwhile. After a minute it waits no more,
and says how many are left. --no-wait returns when it is drained.

Examples:
  mq-raft node drain n1
  mq-raft rolling-restart --plan`,
);

const undrain = changeVerb(
  'undrain',
  'let a drained node lead again, and clients come back to it',
  'Examples:\n  mq-raft node undrain n1',
);

const snapshot = changeVerb(
  'snapshot',
  'take a snapshot of the derived state of a node now',
  'Examples:\n  mq-raft node snapshot n2',
);

const scrub = changeVerb(
  'scrub',
  'begin to read and check the whole log of a node in the background',
  'Examples:\n  mq-raft node scrub n2\n  mq-raft node status n2',
);

export function addNodeCommand(program: Command, run: Run): readonly Command[] {
  const description = 'one node: drain, undrain, status, snapshot, scrub';
  const verbs = [status, drain, undrain, snapshot, scrub, repair];
  return addNoun(program, { name: 'node', description, verbs }, run);
}

type NodeChange = Extract<AdminChange, { kind: 'drain' | 'undrain' | 'snapshot' | 'scrub' }>;

function changeVerb(name: NodeChange['kind'], description: string, help: string): Verb {
  return {
    ...{ name, short: name, description, help },
    build: (command, run) =>
      void addChangeOptions(nodeArgument(command, 'a member')).action(
        (node: string, options: ChangeFlags, self: Command) =>
          run(
            self,
            (invocation) => {
              const change = { kind: name, nodeId: nodeIdOf(node) };
              const waitMs = name === 'snapshot' ? { waitMs: WAIT_COPY_MS } : {};
              return runChange(invocation, change, options, { confirm: null, ...waitMs });
            },
            'change',
          ),
      ),
  };
}

async function showNodes(
  invocation: Invocation,
  name: string | null,
  isShown: (node: MemberHealth) => boolean,
): Promise<CliExit> {
  const { output, paint, print } = invocation;
  const nodes = (await healthOf(invocation, name)).filter(isShown);
  if (output === 'json') print(jsonLine({ kind: 'nodes', nodes: nodes.map(memberHealthJson) }));
  else print(`${healthLines(nodes, invocation.environment.stdout.columns, paint).join('\n')}\n`);
  return nodes.every(({ health }) => health === null) ? CLI_EXIT.unknown : CLI_EXIT.ok;
}

async function showRepairs(invocation: Invocation, name: string | null): Promise<CliExit> {
  const { output, print } = invocation;
  const nodes = await healthOf(invocation, name);
  // A node whose log is not open yet says so instead of its health.
  const isWhole = nodes.every(({ health, silence }) =>
    health === null ? !silence.includes(UNDER_REPAIR) : health.repair === '',
  );
  if (output === 'json') print(jsonLine({ kind: 'nodes', nodes: nodes.map(memberHealthJson) }));
  else {
    const lines = nodes.map(({ nodeId, health, silence }) => {
      if (health === null) {
        const isSpoken = silence.includes(UNDER_REPAIR);
        return `${nodeId}: ${isSpoken ? silence : `no answer: ${silence}`}`;
      }
      return `${nodeId}: ${health.repair === '' ? 'nothing to repair' : health.repair}`;
    });
    print(`${lines.join('\n')}\n`);
  }
  return isWhole ? CLI_EXIT.ok : CLI_EXIT.unhealthy;
}

/** Each node in its own words, for that needs no leader. */
async function healthOf(
  invocation: Invocation,
  name: string | null,
): Promise<readonly MemberHealth[]> {
  const { signal } = invocation;
  const admin = invocation.admin();
  const { nodes } = await admin.group();
  const all = await Promise.all(
    nodes.map(async (node): Promise<MemberHealth> => {
      const health = await admin.nodeHealth(node, signal);
      const nothing = { clockSkewMs: null, roundTripMs: null };
      if (typeof health !== 'string') {
        return { nodeId: health.nodeId, health, silence: '', ...nothing };
      }
      const nodeId = nodeIdOf(node.nodeId ?? node.raft.replaceAll(/[^A-Za-z0-9_-]/g, '_'));
      return { nodeId, health: null, silence: health, ...nothing };
    }),
  );
  const found = all.filter(({ nodeId }) => name === null || nodeId === name);
  if (found.length > 0) return found;
  throw new CliError({
    exit: CLI_EXIT.notFound,
    what: `There is no node ${name}`,
    why: `there are ${all.map(({ nodeId }) => nodeId).join(', ')}`,
    todo: null,
  });
}
