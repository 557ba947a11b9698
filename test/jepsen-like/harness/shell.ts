/** Commands of the machine, without blocking the clients that run in this process. */
import { execFile } from 'node:child_process';
import { COMMAND_TIMEOUT_MS } from '../limits.ts';

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** Administrators' tools are not on every path. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
}

/** @returns standard output. @throws CommandFailed with the words of the command */
export function run(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: toolEnvironment(), timeout: COMMAND_TIMEOUT_MS };
    execFile(command, [...args], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const words = stderr.trim() === '' ? error.message : stderr.trim();
      reject(new CommandFailed(`${command} ${args.join(' ')}: ${words}`));
    });
  });
}

/** For clean-up: what is not there need not go. @returns whether it worked */
export async function tryRun(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    await run(command, ...args);
    return true;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return false;
  }
}
