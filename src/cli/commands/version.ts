/** `mq-raft version`. */
import type { Command } from 'commander';
import { CLI_EXIT } from '../exit-codes.ts';
import type { Run } from '../invocation.ts';
import { jsonLine } from '../render/json.ts';

export function addVersionCommand(program: Command, run: Run): Command {
  return program
    .command('version')
    .description('print the versions of mq-raft and Node.js')
    .addHelpText('after', '\nExamples:\n  mq-raft version')
    .action((_options, command: Command) =>
      run(command, async ({ environment, output, print }) => {
        const { mqRaft, node } = environment.version;
        print(
          output === 'json'
            ? jsonLine({ kind: 'version', version: mqRaft, node })
            : `mq-raft ${mqRaft}, Node.js ${node}\n`,
        );
        return CLI_EXIT.ok;
      }),
    );
}
