/** Whether an address can be connected to from here, and what a host name means at this moment. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';

/** @returns null when somebody answers, else a clause with the reason. */
export function reachProblem(
  host: string,
  port: number,
  timeoutMs: number,
): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: bare(host), port, timeout: timeoutMs });
    const end = (problem: string | null): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end(`no answer within ${timeoutMs} ms`));
    socket.once('error', (error: NodeJS.ErrnoException) => end(reasonOf(error)));
  });
}

/** @returns the literal of a host name, or null when it means nothing now. */
export async function resolvedHost(host: string): Promise<string | null> {
  if (isIP(bare(host)) !== 0) return host;
  try {
    const { address, family } = await lookup(host);
    return family === 6 ? `[${address}]` : address;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return null;
  }
}

function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'the connection was refused';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name cannot be resolved (${code})`;
    default:
      return message;
  }
}
