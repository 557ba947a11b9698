/** `mq-raft rolling-restart`: the plan of it, or the way through it. */
import type { Command } from 'commander';
import { brokerGroupOption, runChange } from '../change.ts';
import { usageError } from '../cli-error.ts';
import { type NodeCommand, parseCommand } from '../command-words.ts';
import { RollingRestart } from '../rolling-restart.ts';
import type { Verb } from '../verb.ts';

interface RollingOptions {
  readonly plan?: true;
  readonly command?: NodeCommand;
  readonly since?: number;
}

export const rollingRestart: Verb = {
  name: 'rolling-restart',
  short: 'rolling-restart',
  description: 'restart all nodes, one after another, without a failed send',
  help: `For each node: drain it, wait until its clients are elsewhere (about 35 s),
restart its process, wait until the group is whole again, undrain it. The leader
comes last.

Without --command it says when to restart a process, and notices that by itself.
The command is run as it stands, without a shell: blanks divide words, {node}
is the name of the node, {host} the host of its raft address. When it is
interrupted it says with which --since it goes on.

Examples:
  mq-raft rolling-restart --plan
  mq-raft rolling-restart
  mq-raft rolling-restart --command 'ssh {host} systemctl restart mq-raft'`,
  build: (command, run) =>
    void command
      .option('--plan', 'print the steps, and restart nothing')
      .option('--command <words>', 'what restarts the process of a node', parseCommand)
      .option('--since <time>', 'go on: processes that started later are done', parseTime)
      .addOption(brokerGroupOption())
      .action((options: RollingOptions, self: Command) =>
        run(self, (invocation) => {
          const { plan, command: restarts = null, since = null } = options;
          if (plan === true) {
            const flags = { dryRun: true as const };
            const kind = { confirm: null, isPlanOnly: true as const };
            return runChange(invocation, { kind: 'rollingRestart' }, flags, kind);
          }
          return new RollingRestart(invocation, { command: restarts, sinceMs: since }).run();
        }),
      ),
};

function parseTime(text: string): number {
  const ms = Date.parse(text);
  if (Number.isFinite(ms)) return ms;
  throw usageError(`--since '${text}' is no time`, 'for example 2026-11-29T19:05:00Z');
}
