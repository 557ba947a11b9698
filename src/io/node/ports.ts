/** Free ports of this machine, found by listening on them for a moment. */
import { createServer } from 'node:net';

const PORT_MAX = 65_535;
/** Ports tried from the wished one upwards. */
const TRY_COUNT_MAX = 1_000;

/** True when a server could listen there now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      // In use, or (below 1024) not ours to take.
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * The wished ports where they are free, else the next free one that nobody else wishes for, so that
 * one taken port moves one listener and not all of them.
 */
export async function choosePorts(
  host: string,
  wishes: readonly number[],
): Promise<readonly number[]> {
  const reserved = new Set(wishes);
  const chosen: number[] = [];
  for (const wish of wishes) {
    const isFirst = !chosen.includes(wish);
    if (isFirst && (await isPortFree(host, wish))) {
      chosen.push(wish);
      continue;
    }
    chosen.push(await nextFree(host, wish, reserved));
  }
  return chosen;
}

async function nextFree(host: string, after: number, reserved: Set<number>): Promise<number> {
  const last = Math.min(after + TRY_COUNT_MAX, PORT_MAX);
  for (let port = after + 1; port <= last; port++) {
    if (reserved.has(port) || !(await isPortFree(host, port))) continue;
    reserved.add(port);
    return port;
  }
  throw new Error(`No free port on ${host} from ${after} to ${last}`);
}
