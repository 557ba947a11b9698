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
import type { Message } from '../raft/messages.ts';
import { GrpcPeerLink } from './grpc-peer-link.ts';
import { type PeerServiceDefinition, peerServiceDefinition } from './grpc-peer-method.ts';
import { createRoster, type LocalRosterOptions, type PeerRoster } from './handshake.ts';
import { HANDSHAKE_MS_MAX } from './limits.ts';
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
  readonly #roster: PeerRoster;
  readonly #links = new Map<NodeId, GrpcPeerLink>();
  readonly #counts = newPeerCounts();
  /** All streams of others that are open, and the admitted one of each peer. */
  readonly #sessions = new Set<InboundSession>();
  readonly #admitted = new Map<NodeId, InboundSession>();
  #receiver: PeerReceiver | null = null;
  #closed = false;

  constructor(options: GrpcPeerTransportOptions) {
    this.#options = options;
    this.#roster = createRoster(options);
    const { clock, random, onEvent } = options;
    for (const { nodeId: peer, raftAddress: address } of options.members) {
      if (peer === options.log.identity.nodeId) continue;
      const link = new GrpcPeerLink({
        roster: this.#roster,
        peer,
        address,
        clock,
        random,
        counts: this.#counts,
        onEvent,
        onUnreachable: () => this.#receiver?.onUnreachable(peer),
        onFatal: (error) => this.#fail(error),
      });
      this.#links.set(peer, link);
    }
  }

  get counters(): PeerCounters {
    return this.#counts;
  }

  start(receiver: PeerReceiver): void {
    assert(this.#receiver === null, 'a transport starts once');
    if (this.#closed) return;
    this.#receiver = receiver;
    for (const link of this.#links.values()) link.open();
  }

  send(to: NodeId, message: Message, entryBytes: readonly Uint8Array[]): void {
    if (this.#closed) return;
    const link = this.#links.get(to);
    assert(link !== undefined, 'messages go to members', () => ({ to }));
    link.send(message, entryBytes);
  }

  linkOf(peer: NodeId): PeerLink {
    const connected = this.#links.get(peer)?.connected === true || this.#admitted.has(peer);
    return { connected, addresses: this.#roster.addressesOf(peer) };
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
    for (const link of this.#links.values()) link.close();
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
    const session = new InboundSession(this.#roster, stream, {
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
    this.#admitted.get(peer)?.end('a newer stream of the peer took its place');
    this.#admitted.set(peer, session);
    this.#options.onEvent({ kind: 'peerUp', peer, direction: 'inbound' });
    this.#links.get(peer)?.hurry();
  }

  #onInboundEnd(session: InboundSession, why: string): void {
    this.#sessions.delete(session);
    const { peer } = session;
    if (peer === null || this.#admitted.get(peer) !== session) return;
    this.#admitted.delete(peer);
    this.#options.onEvent({ kind: 'peerDown', peer, direction: 'inbound', why });
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}
