/**
 * A listening socket that somebody else has opened, and keeps open when this process ends: whoever connects
 * meanwhile is not refused, but waits for the next process.
 */
import type { Duplex } from 'node:stream';

export interface InheritedSocket {
  /**
   * Connections that came before wait until now. Once.
   *
   * @returns `host:port` of the socket
   */
  accept(take: (connection: Duplex) => void): Promise<string>;
  /** Takes no more, so that they wait for whoever comes next. Idempotent. */
  close(): void;
}
