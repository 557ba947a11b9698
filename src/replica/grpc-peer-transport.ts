/**
 * Peers over gRPC: one stream per ordered pair of nodes (docs/format/peer-protocol.md). This node
 * opens its own streams; the streams of the others arrive at the server that bin/ owns, through
 * `peerService()`.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';
import type { RandomSource } from '../base/prng.ts';
import type { NodeId } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import type { Message } from '../raft/messages.ts';
import { GrpcPeerLink } from './grpc-peer-link.ts';
import { type PeerServiceDefinition, peerServiceDefinition } from './grpc-peer-method.ts';
import type { LocalRosterOptions, PeerRoster } from './handshake.ts';
import { HANDSHAKE_MS_MAX } from './limits.ts';
import { PeerBook } from './peer-book.ts';
import { newPeerCounts } from './peer-counts.ts';
import { InboundSession } from './peer-session.ts';
import type {
  PeerCounters,
  PeerEvent,
  PeerLink,
  PeerReceiver,
  PeerTransport,
} from './peer-transport.ts';

export { PEER_SERVER_OPTIONS } from './grpc-peer-method.ts';

export interface GrpcPeerTransportOptions extends LocalRosterOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly onEvent: (event: PeerEvent) => void;
  /** Pinning the store of a peer failed, or a bug. */
  readonly onFatal: (error: Error) => void;
}

export interface GrpcPeerTransport extends PeerTransport {
  /** For `server.addService` of a server made with PEER_SERVER_OPTIONS. */
  peerService(): {
    readonly definition: PeerServiceDefinition;
    readonly implementation: {
      readonly stream: (call: ServerDuplexStream<Buffer, Buffer>) => void;
    };
  };
}

export function createGrpcPeerTransport(options: GrpcPeerTransportOptions): GrpcPeerTransport {
  return new GrpcPeers(options);
}

class GrpcPeers implements GrpcPeerTransport {
  readonly #options: GrpcPeerTransportOptions;
  readonly #book: PeerBook<GrpcPeerLink>;
  readonly #counts = newPeerCounts();
  /** All streams of others that are open. */
  readonly #sessions = new Set<InboundSession>();
  #receiver: PeerReceiver | null = null;
  #closed = false;

  constructor(options: GrpcPeerTransportOptions) {
    this.#options = options;
    const { clock, random, onEvent } = options;
    const onFatal = (error: unknown) => this.#fail(error);
    const createLink = (peer: NodeId, address: string, roster: PeerRoster) =>
      new GrpcPeerLink({
        ...{ roster, peer, address, clock, random, onEvent, onFatal },
        counts: this.#counts,
        onWelcomed: () => this.#book.onWelcomed(peer),
        onUnreachable: () => this.#receiver?.onUnreachable(peer),
      });
    this.#book = new PeerBook({ ...options, createLink, onFatal });
  }

  get counters(): PeerCounters {
    return this.#counts;
  }

  start(receiver: PeerReceiver): void {
    assert(this.#receiver === null, 'a transport starts once');
    if (this.#closed) return;
    this.#receiver = receiver;
    this.#book.start();
  }

  send(to: NodeId, message: Message, entryBytes: readonly Uint8Array[]): void {
    if (this.#closed) return;
    const link = this.#book.link(to);
    // The answer to a stranger that has hung up, or to a member whose address is no address.
    if (link === null) this.#counts.messagesDropped++;
    else link.send(message, entryBytes);
  }

  setMembership(current: LoggedMembership): void {
    this.#book.setMembership(current);
  }

  dismiss(removed: readonly NodeId[]): void {
    this.#book.dismiss(removed);
  }

  linkOf(peer: NodeId): PeerLink {
    return this.#book.linkOf(peer);
  }

  peerService() {
    return {
      definition: peerServiceDefinition(),
      implementation: {
        stream: (call: ServerDuplexStream<Buffer, Buffer>) => this.#accept(call),
      },
    };
  }

  /** Ending a stream is immediate; the server that carries the others' streams is not ours. */
  close(): Promise<void> {
    this.#closed = true;
    this.#book.close();
    for (const session of this.#sessions) session.end('this node closes');
    return Promise.resolve();
  }

  #accept(call: ServerDuplexStream<Buffer, Buffer>): void {
    const { clock, onEvent } = this.#options;
    const counts = this.#counts;
    const handshakeTimer = clock.setTimer(HANDSHAKE_MS_MAX, () => {
      if (session.peer === null) session.end(`no hello within ${HANDSHAKE_MS_MAX} ms`);
    });
    const stream = {
      write: (frame: Uint8Array) => {
        counts.framesSent++;
        counts.bytesSent += frame.length;
        // Two frames at most in this direction: the socket's answer does not matter.
        call.write(Buffer.from(frame));
      },
      end: (why: string) => {
        handshakeTimer.cancel();
        call.end();
        this.#onInboundEnd(session, why);
      },
    };
    const session = new InboundSession(this.#book.roster, stream, {
      onAdmitted: (peer) => {
        handshakeTimer.cancel();
        this.#onAdmitted(peer, session);
      },
      onMessage: (from, message, entries) => this.#receiver?.onMessage(from, message, entries),
      onRefused: (refusal) => {
        counts.handshakesRefused++;
        onEvent({ kind: 'refusedPeer', ...refusal });
      },
      onCorrupt: (problem) => {
        counts.framesCorrupt++;
        onEvent({ kind: 'corruptFrame', from: session.peer ?? call.getPeer(), problem });
      },
      onFatal: (error) => this.#fail(error),
    });
    this.#sessions.add(session);
    this.#listen(call, session);
    // Streams come as soon as the server listens; before the replica runs nobody could be told.
    if (this.#receiver === null || this.#closed) session.end('this node is not ready');
  }

  #listen(call: ServerDuplexStream<Buffer, Buffer>, session: InboundSession): void {
    call.on('data', (frame: Buffer) => {
      this.#counts.framesReceived++;
      this.#counts.bytesReceived += frame.length;
      session.receive(frame);
    });
    call.on('end', () => session.end('the peer ended the stream'));
    call.on('cancelled', () => session.end('the stream was lost'));
    call.on('error', (error: Error) => session.end(error.message));
  }

  #onAdmitted(peer: NodeId, session: InboundSession): void {
    if (!this.#book.onAdmitted(peer, session)) return;
    this.#options.onEvent({ kind: 'peerUp', peer, direction: 'inbound' });
    this.#book.link(peer)?.hurry();
  }

  #onInboundEnd(session: InboundSession, why: string): void {
    this.#sessions.delete(session);
    const { peer } = session;
    if (!this.#book.onEnded(session) || peer === null) return;
    this.#options.onEvent({ kind: 'peerDown', peer, direction: 'inbound', why });
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}
