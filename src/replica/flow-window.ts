/**
 * A wider HTTP/2 flow window for a gRPC server. grpc-js 1.14 has an option for it that only its
 * clients obey, so a server takes 65,535 bytes of a connection and then nothing until its event
 * loop has sent an update: an entry of 1 MiB needs sixteen such round trips, and 64 sends of 1 KiB
 * in flight stall on one another.
 *
 * The sessions of a server are reached through a method of the library that its types call private.
 * A version without it stops the process at start, before anything depends on it.
 */
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';

/** What `Server` has below its types. */
interface ServerInside {
  createHttp2Server?: (credentials: unknown) => Http2Server;
}

/** Call it before the server is bound. */
export function widenFlowWindow(server: Server, sizeBytes: number): void {
  const inside = server as unknown as ServerInside;
  const create = inside.createHttp2Server;
  assert(typeof create === 'function', 'grpc-js makes its HTTP/2 servers in createHttp2Server');
  inside.createHttp2Server = (credentials) => {
    const http2Server = create.call(server, credentials);
    http2Server.on('session', (session: ServerHttp2Session) => widen(session, sizeBytes));
    return http2Server;
  };
}

function widen(session: ServerHttp2Session, sizeBytes: number): void {
  // A client that went away while its connection was accepted.
  if (session.destroyed) return;
  session.settings({ initialWindowSize: sizeBytes });
  session.setLocalWindowSize(sizeBytes);
}
