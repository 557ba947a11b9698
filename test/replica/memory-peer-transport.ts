/**
 * Peers in one process: the sessions of production over queues of frames. The test decides when
 * frames move, which directions are cut, and which bytes arrive damaged.
 */
import { assert } from '../../src/base/assert.ts';
import type { NodeId } from '../../src/base/units.ts';
import type { Clock, Timer } from '../../src/io/clock.ts';
import type { Message } from '../../src/raft/messages.ts';
import {
  createRoster,
  type LocalRosterOptions,
  type PeerRoster,
} from '../../src/replica/handshake.ts';
import { newPeerCounts } from '../../src/replica/peer-counts.ts';
import { InboundSession, OutboundSession } from '../../src/replica/peer-session.ts';
import type {
  PeerCounters,
  PeerEvent,
  PeerLink,
  PeerReceiver,
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

export class MemoryPeers implements PeerTransport {
  readonly #options: MemoryPeersOptions;
  readonly #self: NodeId;
  readonly #roster: PeerRoster;
  readonly #streams = new Map<NodeId, Stream>();
  readonly #retries = new Map<NodeId, Timer>();
  readonly #admitted = new Map<NodeId, InboundSession>();
  readonly #counts = newPeerCounts();
  #receiver: PeerReceiver | null = null;
  #closed = false;

  constructor(options: MemoryPeersOptions) {
    this.#options = options;
    this.#self = options.log.identity.nodeId;
    this.#roster = createRoster(options);
  }

  get counters(): PeerCounters {
    return this.#counts;
  }

  start(receiver: PeerReceiver): void {
    this.#receiver = receiver;
    this.#options.network.join(this, this.#self);
    for (const { nodeId } of this.#options.members) {
      if (nodeId !== this.#self) this.#connect(nodeId);
    }
  }

  send(to: NodeId, message: Message, entryBytes: readonly Uint8Array[]): void {
    const stream = this.#streams.get(to);
    if (this.#closed || stream === undefined || !stream.outbound.welcomed) {
      this.#counts.messagesDropped++;
      return;
    }
    this.#post(stream, stream.outbound.encode(message, entryBytes));
  }

  linkOf(peer: NodeId): PeerLink {
    const connected =
      this.#streams.get(peer)?.outbound.welcomed === true || this.#admitted.has(peer);
    return { connected, addresses: this.#roster.addressesOf(peer) };
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#options.network.leave(this.#self);
    for (const timer of this.#retries.values()) timer.cancel();
    for (const stream of this.#streams.values()) stream.outbound.end('closed');
    for (const session of this.#admitted.values()) session.end('closed');
    return Promise.resolve();
  }

  breakStreams(peer: NodeId): void {
    this.#streams.get(peer)?.outbound.end('the cable was cut');
  }

  #post({ from, to, inbound }: Stream, bytes: Uint8Array): void {
    this.#counts.framesSent++;
    this.#options.network.post({ from, to, bytes, deliver: (arrived) => inbound.receive(arrived) });
  }

  #connect(peer: NodeId): void {
    const { network } = this.#options;
    this.#retries.delete(peer);
    const remote = network.peersOf(peer);
    if (remote === null || network.isCut(this.#self, peer)) {
      this.#retry(peer);
      return;
    }
    this.#counts.streamsOpened++;
    const outbound = new OutboundSession(
      this.#roster,
      peer,
      {
        write: (bytes) => this.#post(stream, bytes),
        end: (why) => this.#onLost(stream, why),
      },
      {
        onWelcome: () => {},
        onRefused: (refusal) => this.#options.onEvent({ kind: 'refusedPeer', ...refusal }),
        onRefusedByPeer: (code, sentence) =>
          this.#options.onEvent({ kind: 'refusedByPeer', peer, code, sentence }),
        onCorrupt: (problem) => this.#onCorrupt(peer, problem),
        onFatal: this.#options.onFatal,
      },
    );
    const inbound = remote.accept(this.#self, outbound);
    const stream: Stream = { from: this.#self, to: peer, outbound, inbound };
    this.#streams.set(peer, stream);
    outbound.open();
  }

  accept(from: NodeId, caller: OutboundSession): InboundSession {
    const { network, onEvent, onFatal } = this.#options;
    const session: InboundSession = new InboundSession(
      this.#roster,
      {
        write: (bytes) =>
          network.post({
            from: this.#self,
            to: from,
            bytes,
            deliver: (arrived) => caller.receive(arrived),
          }),
        end: (why) => {
          if (this.#admitted.get(from) === session) this.#admitted.delete(from);
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
        onAdmitted: (peer) => this.#admitted.set(peer, session),
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

  #onLost(stream: Stream, why: string): void {
    stream.inbound.end(why);
    if (this.#streams.get(stream.to) !== stream) return;
    this.#streams.delete(stream.to);
    if (this.#closed) return;
    this.#receiver?.onUnreachable(stream.to);
    this.#retry(stream.to);
  }

  #retry(peer: NodeId): void {
    if (this.#closed) return;
    const timer = this.#options.clock.setTimer(RETRY_MS, () => this.#connect(peer));
    this.#retries.set(peer, timer);
  }
}
