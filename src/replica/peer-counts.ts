/** The counters of a transport while it counts. */
import type { PeerCounters } from './peer-transport.ts';

export type PeerCounts = { -readonly [Name in keyof PeerCounters]: number };

export function newPeerCounts(): PeerCounts {
  return {
    framesSent: 0,
    framesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    framesCorrupt: 0,
    messagesDropped: 0,
    streamsOpened: 0,
    handshakesRefused: 0,
  };
}
