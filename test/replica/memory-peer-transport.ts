/**
 * Peers in one process: the sessions of production over queues of frames. The test decides when
 * frames move, which directions are cut, and which bytes arrive damaged.
 */
import { assert } from '../../src/base/assert.ts';
import type { NodeId } from '../../src/base/units.ts';
import type { Clock, Timer } from '../../src/io/clock.ts';
import type { LoggedMembership } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { LocalRosterOptions } from '../../src/replica/handshake.ts';
import { PeerBook } from '../../src/replica/peer-book.ts';
import { newPeerCounts } from '../../src/replica/peer-counts.ts';
import type { ManagedLink } from '../../src/replica/peer-links.ts';
import { InboundSession, OutboundSession } from '../../src/replica/peer-session.ts';
import type {
  PeerCounters,
  PeerEvent,
  PeerLink,
  PeerReceiver,
  PeerRefusal,
  PeerTransport,
} from '../../src/replica/peer-transport.ts';

const RETRY_MS = 100;

interface Stream {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly outbound: OutboundSession;
  readonly inbound: InboundSession;
}

interface Parcel {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly bytes: Uint8Array;
  readonly deliver: (bytes: Uint8Array) => void;
}

export class MemoryNetwork {
  readonly #peers = new Map<NodeId, MemoryPeers>();
  readonly #cut = new Set<string>();
  #parcels: Parcel[] = [];
  /** Sees each frame before it arrives; what it returns arrives. */
  tamper: (from: NodeId, to: NodeId, bytes: Uint8Array) => Uint8Array = (_from, _to, bytes) =>
    bytes;

  join(peers: MemoryPeers, nodeId: NodeId): void {
    this.#peers.set(nodeId, peers);
  }

  leave(nodeId: NodeId): void {
    this.#peers.delete(nodeId);
  }

  peersOf(nodeId: NodeId): MemoryPeers | null {
    return this.#peers.get(nodeId) ?? null;
  }

  /** Cuts both directions: streams break, new ones fail. */
  cut(a: NodeId, b: NodeId): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`);
    this.#peers.get(a)?.breakStreams(b);
    this.#peers.get(b)?.breakStreams(a);
  }

  heal(): void {
    this.#cut.clear();
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  post(parcel: Parcel): void {
    this.#parcels.push(parcel);
  }

  /** Delivers what is under way now; answers wait for the next call. @returns how many frames */
  deliver(): number {
    const parcels = this.#parcels;
    this.#parcels = [];
    for (const { from, to, bytes, deliver } of parcels) {
      if (!this.isCut(from, to)) deliver(this.tamper(from, to, bytes));
    }
    return parcels.length;
  }
}

export interface MemoryPeersOptions extends LocalRosterOptions {
  readonly network: MemoryNetwork;
  readonly clock: Clock;
  readonly onEvent: (event: PeerEvent) => void;
  readonly onFatal: (error: unknown) => void;
}

/** The stream to one peer, made again whenever it is lost. */
class MemoryLink implements ManagedLink {
  readonly #reconnect: () => Stream | null;
  readonly #clock: Clock;
  #stream: Stream | null = null;
  refusal: PeerRefusal | null = null;
  #retry: Timer | null = null;
  #closed = false;

  constructor(clock: Clock, reconnect: () => Stream | null) {
    this.#clock = clock;
    this.#reconnect = reconnect;
  }

  get stream(): Stream | null {
    return this.#stream;
  }

  get connected(): boolean {
    return this.#stream?.outbound.welcomed === true;
  }

  get bootId(): string | null {
    return this.#stream?.outbound.bootId ?? null;
  }

  open(): void {
    this.#stream = this.#reconnect();
    if (this.#stream === null) this.#retryLater();
    else this.#stream.outbound.open();
  }

  /** @returns whether it was the stream of this link, and the link lives on */
  onLost(stream: Stream): boolean {
    if (this.#stream !== stream) return false;
    this.#stream = null;
    if (this.#closed) return false;
    this.#retryLater();
    return true;
  }

  reset(why: string): void {
    this.#stream?.outbound.end(why);
  }

  close(why: string): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.reset(why);
  }

  #retryLater(): void {
    this.#retry = this.#clock.setTimer(RETRY_MS, () => this.open());
  }
}

export class MemoryPeers implements PeerTransport {
  readonly #options: MemoryPeersOptions;
  readonly #self: NodeId;
  readonly #book: PeerBook<MemoryLink>;
  readonly #counts = newPeerCounts();
  #receiver: PeerReceiver | null = null;
  #closed = false;

  constructor(options: MemoryPeersOptions) {
    this.#options = options;
    this.#self = options.log.identity.nodeId;
    this.#book = new PeerBook<MemoryLink>({
      ...options,
      createLink: (peer) => {
        const link: MemoryLink = new MemoryLink(options.clock, () => this.#connect(peer, link));
        return link;
      },
    });
  }

  get counters(): PeerCounters {
    return this.#counts;
  }

  start(receiver: PeerReceiver): void {
    this.#receiver = receiver;
    this.#options.network.join(this, this.#self);
    this.#book.start();
  }

  send(to: NodeId, message: Message, entryBytes: readonly Uint8Array[]): void {
    const stream = this.#book.link(to)?.stream ?? null;
    if (this.#closed || stream === null || !stream.outbound.welcomed) {
      this.#counts.messagesDropped++;
      return;
    }
    this.#post(stream, stream.outbound.encode(message, entryBytes));
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

  close(): Promise<void> {
    this.#closed = true;
    this.#options.network.leave(this.#self);
    this.#book.close();
    return Promise.resolve();
  }

  breakStreams(peer: NodeId): void {
    this.#book.link(peer)?.reset('the cable was cut');
  }

  #post({ from, to, inbound }: Stream, bytes: Uint8Array): void {
    this.#counts.framesSent++;
    this.#options.network.post({ from, to, bytes, deliver: (arrived) => inbound.receive(arrived) });
  }

  /** @returns null when the peer cannot be reached now */
  #connect(peer: NodeId, link: MemoryLink): Stream | null {
    const { network } = this.#options;
    const remote = network.peersOf(peer);
    if (remote === null || network.isCut(this.#self, peer)) return null;
    this.#counts.streamsOpened++;
    const outbound = new OutboundSession(
      this.#book.roster,
      peer,
      {
        write: (bytes) => this.#post(stream, bytes),
        end: (why) => {
          stream.inbound.end(why);
          if (link.onLost(stream)) this.#receiver?.onUnreachable(peer);
        },
      },
      {
        onWelcome: () => {
          link.refusal = null;
          this.#book.onWelcomed(peer);
        },
        onRefused: (refusal) => this.#options.onEvent({ kind: 'refusedPeer', ...refusal }),
        onRefusedByPeer: (code, sentence) => {
          link.refusal = { code, sentence };
          this.#options.onEvent({ kind: 'refusedByPeer', peer, code, sentence });
        },
        onCorrupt: (problem) => this.#onCorrupt(peer, problem),
        onFatal: this.#options.onFatal,
      },
    );
    const inbound = remote.accept(this.#self, outbound);
    const stream: Stream = { from: this.#self, to: peer, outbound, inbound };
    return stream;
  }

  accept(from: NodeId, caller: OutboundSession): InboundSession {
    const { network, onEvent, onFatal } = this.#options;
    const session: InboundSession = new InboundSession(
      this.#book.roster,
      {
        write: (bytes) =>
          network.post({
            from: this.#self,
            to: from,
            bytes,
            deliver: (arrived) => caller.receive(arrived),
          }),
        end: (why) => {
          this.#book.onEnded(session);
          // The answer that was written goes first.
          network.post({
            from: this.#self,
            to: from,
            bytes: new Uint8Array(0),
            deliver: () => caller.end(why),
          });
        },
      },
      {
        onAdmitted: (peer) => this.#book.onAdmitted(peer, session),
        onMessage: (peer, message, entries) => {
          this.#counts.framesReceived++;
          assert(this.#receiver !== null, 'frames come after the start');
          if (!this.#closed) this.#receiver.onMessage(peer, message, entries);
        },
        onRefused: (refusal) => onEvent({ kind: 'refusedPeer', ...refusal }),
        onCorrupt: (problem) => this.#onCorrupt(from, problem),
        onFatal,
      },
    );
    return session;
  }

  #onCorrupt(from: NodeId, problem: string): void {
    this.#counts.framesCorrupt++;
    this.#options.onEvent({ kind: 'corruptFrame', from, problem });
  }
}
