/** `mq-raft member`: who belongs to the group, and changes of it. */
import type { Command } from 'commander';
import { NodeId } from '../../base/units.ts';
import { ALLOWANCES, type Allowance } from '../../protocol/admin-plan.ts';
import { addStaleOption, askGroup, type StaleFlag } from '../admin-question.ts';
import { addChangeOptions, type ChangeFlags, runChange, WAIT_COPY_MS } from '../change.ts';
import { usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import type { Invocation, Run } from '../invocation.ts';
import { catchupJsonLine, catchupText } from '../render/catchup.ts';
import { membersJson, membersText } from '../render/members.ts';
import { parseAddresses } from '../target.ts';
import { addNoun, type Verb } from '../verb.ts';

const list: Verb = {
  name: 'list',
  short: 'members',
  description: 'who belongs to the group: roles, stores, addresses, what is under way',
  help: `Without a leader, --stale shows what one node knows.

Examples:
  mq-raft member list
  mq-raft member list -o json | jq '.members[] | {nodeId, role, lagBytes}'`,
  build: (command, run) =>
    void addStaleOption(command).action((options: StaleFlag, self: Command) =>
      run(self, (invocation) => showMembers(invocation, options)),
    ),
};

interface AddOptions extends ChangeFlags {
  readonly addr: string;
}

const add: Verb = {
  name: 'add',
  short: 'add',
  description: 'add a learner; prints the line to run on the new machine',
  help: `A learner holds the log and does not vote. When it has caught up, promote it.

Examples:
  mq-raft member add n4 --addr 10.0.0.4:10912 --dry-run
  mq-raft member add n4 --addr 10.0.0.4:10912`,
  build: (command, run) =>
    void addChangeOptions(
      nodeArgument(command, 'name of the new node, never used before').requiredOption(
        '--addr <host:port>',
        'where the others will reach it: what it advertises for raft',
      ),
    ).action((name: string, options: AddOptions, self: Command) =>
      run(
        self,
        (invocation) => {
          const raftAddress = addressOf(options.addr);
          const change = { kind: 'add' as const, nodeId: nodeIdOf(name), raftAddress };
          const typed = `add ${name} --addr ${options.addr}`;
          const next = `when \`mq-raft catchup ${name}\` ends with 0:  mq-raft promote ${name}`;
          return runChange(invocation, change, options, { confirm: null, typed, next });
        },
        'change',
      ),
    ),
};

const SLOW_DISK = 'also where its disk is slow: writes that wait for it become slow';

interface PromoteOptions extends ChangeFlags {
  readonly allowEven?: true;
  readonly allowSlowDisk?: true;
}

const promote: Verb = {
  name: 'promote',
  short: 'promote',
  description: 'make learners that have caught up voters, all of them in one change',
  help: `Three become five in one joint change, and never are four.

Examples:
  mq-raft member promote n4 n5 --dry-run
  mq-raft member promote n4 n5
  mq-raft member promote n4 --allow-even`,
  build: (command, run) =>
    void addChangeOptions(
      nodesArgument(command, 'a learner, or several')
        .option(
          '--allow-even',
          'also where the number of voters becomes even: one more to agree, none more to lose',
        )
        .option('--allow-slow-disk', SLOW_DISK),
    ).action((names: readonly string[], options: PromoteOptions, self: Command) =>
      run(
        self,
        (invocation) => {
          const change = { kind: 'promote' as const, nodeIds: names.map(nodeIdOf) };
          const allow = allowances({
            evenVoters: options.allowEven,
            slowDisk: options.allowSlowDisk,
          });
          const kind = { confirm: null, allow, waitMs: WAIT_COPY_MS };
          return runChange(invocation, change, options, kind);
        },
        'change',
      ),
    ),
};

interface RemoveOptions extends ChangeFlags {
  readonly forceBelow3?: true;
  readonly allowLessTolerance?: true;
  readonly allowEven?: true;
}

const remove: Verb = {
  name: 'remove',
  short: 'remove',
  description: 'remove members for ever, in one change; a leader hands over first',
  help: `A name is never used again, and its directory must be wiped before the machine
serves another node. A dead member is better replaced:
mq-raft member replace OLD NEW

Examples:
  mq-raft member remove n4 n5 --dry-run
  mq-raft member remove n4 n5 --allow-less-tolerance --yes`,
  build: (command, run) =>
    void addChangeOptions(
      nodesArgument(command, 'a member, or several')
        .option('--force-below-3', 'also where fewer than three voters are left')
        .option('--allow-less-tolerance', 'also where fewer failures are survived afterwards')
        .option('--allow-even', 'also where the number of voters becomes even'),
    ).action((names: readonly string[], options: RemoveOptions, self: Command) =>
      run(
        self,
        (invocation) => {
          const nodeIds = names.map(nodeIdOf);
          const change = { kind: 'remove' as const, nodeIds };
          const allow = allowances({
            belowThree: options.forceBelow3,
            lessTolerance: options.allowLessTolerance,
            evenVoters: options.allowEven,
          });
          const [whose, confirm] = [nodeIds.join(', '), nodeIds.join(' ')];
          const next =
            nodeIds.length === 1
              ? `wipe the directory of ${whose} before the machine is used again, and give it a new name`
              : `wipe the directories of ${whose} before the machines are used again, and give them new names`;
          return runChange(invocation, change, options, { confirm, allow, next });
        },
        'change',
      ),
    ),
};

interface ReplaceOptions extends ChangeFlags {
  readonly addr?: string;
  readonly planned?: true;
  readonly allowSlowDisk?: true;
}

const replace: Verb = {
  name: 'replace',
  short: 'replace',
  description: 'replace a member: learner, catch up, one joint change; can be resumed',
  help: `Adds NEW, prints the line to run on its machine, waits until it has the log, and
exchanges the two in one change. Interrupted anywhere, the same command goes on.
A member that works is replaced with --planned.

Examples:
  mq-raft member replace n3 n4 --addr 10.0.0.4:10912 --dry-run
  mq-raft member replace n3 n4 --addr 10.0.0.4:10912 --yes`,
  build: (command, run) =>
    void addChangeOptions(
      nodeArgument(command, 'the member that goes')
        .argument('<new>', 'name of the node that comes, never used before')
        .option('--addr <host:port>', 'where the others will reach NEW, unless it was added before')
        .option('--planned', 'also a member that works')
        .option('--allow-slow-disk', SLOW_DISK),
    ).action((old: string, name: string, options: ReplaceOptions, self: Command) =>
      run(
        self,
        (invocation) => {
          const change = {
            kind: 'replace' as const,
            oldNodeId: nodeIdOf(old),
            newNodeId: nodeIdOf(name),
            raftAddress: options.addr === undefined ? '' : addressOf(options.addr),
          };
          const allow = allowances({
            planned: options.planned,
            slowDisk: options.allowSlowDisk,
          });
          const next = `wipe the directory of ${old} before its machine is used again, and give it a new name`;
          const typed = `replace ${old} ${name}${options.addr === undefined ? '' : ` --addr ${options.addr}`}`;
          const kind = { confirm: old, allow, next, typed, waitMs: WAIT_COPY_MS };
          return runChange(invocation, change, options, kind);
        },
        'change',
      ),
    ),
};

interface TransferOptions extends ChangeFlags {
  readonly to?: string;
}

const transfer: Verb = {
  name: 'transfer',
  short: 'transfer',
  description: 'hand leadership over, to the fittest or to the one that is named',
  help: `Examples:
  mq-raft member transfer
  mq-raft member transfer --to n2`,
  build: (command, run) =>
    void addChangeOptions(command.option('--to <node>', 'who is to lead')).action(
      (options: TransferOptions, self: Command) =>
        run(
          self,
          (invocation) => {
            const to = options.to === undefined ? null : nodeIdOf(options.to);
            return runChange(invocation, { kind: 'transfer', to }, options, { confirm: null });
          },
          'change',
        ),
    ),
};

const catchup: Verb = {
  name: 'catchup',
  short: 'catchup',
  description: 'how far a learner is: what is missing, at which rate, how long still',
  help: `Exit code 0 when it has caught up, 7 when not yet.

Examples:
  mq-raft member catchup n4`,
  build: (command, run) =>
    void addStaleOption(nodeArgument(command, 'a member')).action(
      (name: string, options: StaleFlag, self: Command) =>
        run(self, (invocation) => showCatchup(invocation, name, options)),
    ),
};

export function addMemberCommand(program: Command, run: Run): readonly Command[] {
  const description = 'who belongs to the group: list, add, promote, remove, replace';
  const verbs = [list, add, promote, remove, replace, transfer, catchup];
  return addNoun(program, { name: 'member', description, verbs }, run);
}

async function showMembers(invocation: Invocation, { stale }: StaleFlag): Promise<CliExit> {
  const { output, paint, print } = invocation;
  const { report } = await askGroup(invocation, { kind: 'members' }, 'members', stale === true);
  print(
    output === 'json'
      ? membersJson(report)
      : membersText(report, invocation.environment.stdout.columns, paint),
  );
  return CLI_EXIT.ok;
}

async function showCatchup(
  invocation: Invocation,
  name: string,
  { stale }: StaleFlag,
): Promise<CliExit> {
  const { output, print } = invocation;
  const question = { kind: 'catchup' as const, nodeId: nodeIdOf(name) };
  const { report } = await askGroup(invocation, question, 'catchup', stale === true);
  print(output === 'json' ? catchupJsonLine(report) : `${catchupText(report)}\n`);
  const isThere = report.state === 'caughtUp' || report.state === 'voting';
  return isThere ? CLI_EXIT.ok : CLI_EXIT.pending;
}

function nodesArgument(command: Command, what: string): Command {
  return command.argument('<node...>', what);
}

export function nodeArgument(command: Command, what: string): Command {
  return command.argument('<node>', what);
}

const NODE_ID = /^[A-Za-z0-9_-]{1,64}$/;

export function nodeIdOf(name: string): NodeId {
  if (!NODE_ID.test(name)) {
    throw usageError(`'${name}' is no name of a node`, '1 to 64 of A-Z a-z 0-9 _ -');
  }
  return NodeId(name);
}

function addressOf(text: string): string {
  const [address, ...others] = parseAddresses('--addr', text);
  if (address === undefined || others.length > 0) throw usageError('--addr takes one address');
  return address;
}

/** Those whose flag was given. */
function allowances(flags: Readonly<Partial<Record<Allowance, true | undefined>>>): Allowance[] {
  return ALLOWANCES.filter((allowance) => flags[allowance] === true);
}
