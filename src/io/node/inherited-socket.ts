/**
 * Sockets as systemd hands them over (sd_listen_fds(3)): open files from number 3 on, said in three variables.
 */
import { createServer } from 'node:net';
import { FatalError } from '../../base/errors.ts';
import type { InheritedSocket } from '../inherited-socket.ts';

/** What is handed over follows standard input, output and error. */
const FIRST_FD = 3;
const NAME = 'grpc';

/**
 * Of several sockets the one that is named `grpc`; a single one needs no name.
 *
 * @returns null: none is meant for this process
 * @throws FatalError when there are several and none is named so
 */
export function inheritedFd(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | null {
  // They are inherited by every process below: only the one that is named has been given the sockets.
  if (variables['LISTEN_PID'] !== String(pid)) return null;
  const count = Number(variables['LISTEN_FDS'] ?? '0');
  if (!Number.isSafeInteger(count) || count < 1) return null;
  const names = (variables['LISTEN_FDNAMES'] ?? '').split(':');
  const at = names.indexOf(NAME);
  if (at >= 0 && at < count) return FIRST_FD + at;
  if (count === 1) return FIRST_FD;
  throw new FatalError(
    'badConfiguration',
    `${count} listening sockets were handed over (LISTEN_FDS), and none is named ${NAME} (LISTEN_FDNAMES is ` +
      `"${names.join(':')}"). Write FileDescriptorName=${NAME} into the unit of that for RocketMQ 5 clients.`,
  );
}

export function inheritSocket(fd: number): InheritedSocket {
  const server = createServer();
  return {
    accept: (take) =>
      new Promise((resolve, reject) => {
        server.on('connection', take);
        server.once('error', (error) => {
          const message = `File ${fd} was handed over as a listening socket and is none: ${error.message}`;
          reject(new FatalError('badConfiguration', message, { cause: error }));
        });
        server.listen({ fd }, () => {
          const address = server.address();
          if (address === null || typeof address === 'string') {
            const message = `File ${fd} was handed over and is no TCP socket. Give ListenStream a port.`;
            reject(new FatalError('badConfiguration', message));
            return;
          }
          const { address: ip, family, port } = address;
          resolve(family === 'IPv6' ? `[${ip}]:${port}` : `${ip}:${port}`);
        });
      }),
    close: () => {
      server.close();
    },
  };
}
