/** Runs a program that the user named, without a shell in between. */
import { spawn } from 'node:child_process';

/**
 * Its output goes to standard error: standard output holds our data. Ctrl-C of a terminal reaches it by
 * itself; an abort ends it wherever else the wish comes from.
 */
export function runCommand(words: readonly string[], signal: AbortSignal): Promise<string | null> {
  const [program = '', ...args] = words;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 2, 2] });
    const end = () => void child.kill('SIGTERM');
    signal.addEventListener('abort', end, { once: true });
    const settle = (trouble: string | null): void => {
      signal.removeEventListener('abort', end);
      resolve(trouble);
    };
    child.once('error', ({ message }) => settle(message));
    child.once('exit', (code, by) => {
      if (code === 0) settle(null);
      else settle(code === null ? `it was ended by ${by}` : `it ended with code ${code}`);
    });
  });
}
