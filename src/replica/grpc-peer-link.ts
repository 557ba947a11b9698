/**
 * The stream that carries this node's messages to one peer, opened again whenever it is lost: the
 * first time at once, then after growing pauses with jitter. Each attempt has a channel of its own,
 * so that no back-off hidden in gRPC delays the next one.
 */
import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { intBelow, type RandomSource } from '../base/prng.ts';
import type { NodeId } from '../base/units.ts';
import type { Clock, Timer } from '../io/clock.ts';
import type { Message } from '../raft/messages.ts';
import { FramePipe } from './frame-pipe.ts';
import { asFrame, PEER_CHANNEL_OPTIONS, peerMethod } from './grpc-peer-method.ts';
import type { PeerRoster } from './handshake.ts';
import {
  FRAME_OVERHEAD_SIZE_BYTES_MAX,
  HANDSHAKE_MS_MAX,
  RECONNECT_MS_MAX,
  RECONNECT_MS_MIN,
  REFUSED_PAUSE_MS,
  STREAM_HEALTHY_MS,
} from './limits.ts';
import type { PeerCounts } from './peer-counts.ts';
import type { ManagedLink } from './peer-links.ts';
import { OutboundSession } from './peer-session.ts';
import type { PeerEvent, PeerRefusal } from './peer-transport.ts';

export interface GrpcPeerLinkOptions {
  readonly roster: PeerRoster;
  readonly peer: NodeId;
  readonly address: string;
  readonly clock: Clock;
  /** For jitter only. */
  readonly random: RandomSource;
  readonly counts: PeerCounts;
  readonly onEvent: (event: PeerEvent) => void;
  readonly onWelcomed: () => void;
  readonly onUnreachable: () => void;
  readonly onFatal: (error: unknown) => void;
}

interface Attempt {
  readonly client: Client;
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  readonly session: OutboundSession;
  readonly pipe: FramePipe;
  readonly handshakeTimer: Timer;
  welcomedAtMs: number | null;
  refused: boolean;
}

export class GrpcPeerLink implements ManagedLink {
  readonly #options: GrpcPeerLinkOptions;
  #attempt: Attempt | null = null;
  #retryTimer: Timer | null = null;
  #failureCount = 0;
  #overflowing = false;
  #refusal: PeerRefusal | null = null;
  #closed = false;

  constructor(options: GrpcPeerLinkOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#attempt?.session.welcomed === true;
  }

  get bootId(): string | null {
    return this.#attempt?.session.bootId ?? null;
  }

  get refusal(): PeerRefusal | null {
    return this.#refusal;
  }

  open(): void {
    this.#connect();
  }

  send(message: Message, entryBytes: readonly Uint8Array[]): void {
    const attempt = this.#attempt;
    const { counts } = this.#options;
    if (attempt === null || !attempt.session.welcomed) {
      counts.messagesDropped++;
      return;
    }
    let sizeBytes = FRAME_OVERHEAD_SIZE_BYTES_MAX;
    for (const bytes of entryBytes) sizeBytes += bytes.length;
    if (!attempt.pipe.hasRoomFor(sizeBytes)) {
      this.#overflow();
      return;
    }
    this.#overflowing = false;
    attempt.pipe.push(attempt.session.encode(message, entryBytes));
  }

  /** The peer has just called us: no reason to wait longer. */
  hurry(): void {
    if (this.#retryTimer === null) return;
    this.#retryTimer.cancel();
    this.#connect();
  }

  reset(why: string): void {
    this.#attempt?.session.end(why);
  }

  close(why: string): void {
    this.#closed = true;
    this.#retryTimer?.cancel();
    this.#retryTimer = null;
    this.#attempt?.session.end(why);
  }

  #overflow(): void {
    this.#options.counts.messagesDropped++;
    if (this.#overflowing) return;
    this.#overflowing = true;
    this.#options.onUnreachable();
  }

  #connect(): void {
    this.#retryTimer = null;
    const { address, roster, peer, clock, counts, onWelcomed, onEvent, onFatal } = this.#options;
    counts.streamsOpened++;
    const client = new Client(address, credentials.createInsecure(), PEER_CHANNEL_OPTIONS);
    const method = peerMethod();
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(
      method.path,
      asFrame,
      asFrame,
      new Metadata(),
    );
    const pipe = new FramePipe((frame) => {
      counts.framesSent++;
      counts.bytesSent += frame.length;
      return call.write(asFrame(frame));
    });
    const stream = {
      write: (frame: Uint8Array) => pipe.push(frame),
      end: (why: string) => this.#onLost(attempt, why),
    };
    const session = new OutboundSession(roster, peer, stream, {
      onWelcome: () => {
        attempt.handshakeTimer.cancel();
        attempt.welcomedAtMs = clock.monotonicMs();
        this.#refusal = null;
        onEvent({ kind: 'peerUp', peer, direction: 'outbound' });
        onWelcomed();
      },
      onRefused: (refusal) => {
        attempt.refused = true;
        counts.handshakesRefused++;
        onEvent({ kind: 'refusedPeer', ...refusal });
      },
      onRefusedByPeer: (code, sentence) => {
        attempt.refused = true;
        this.#refusal = { code, sentence };
        onEvent({ kind: 'refusedByPeer', peer, code, sentence });
      },
      onCorrupt: (problem) => {
        counts.framesCorrupt++;
        onEvent({ kind: 'corruptFrame', from: peer, problem });
      },
      onFatal,
    });
    const handshakeTimer = clock.setTimer(HANDSHAKE_MS_MAX, () =>
      session.end(`no welcome within ${HANDSHAKE_MS_MAX} ms`),
    );
    const attempt: Attempt = {
      client,
      call,
      session,
      pipe,
      handshakeTimer,
      welcomedAtMs: null,
      refused: false,
    };
    this.#attempt = attempt;
    this.#listen(attempt);
    session.open();
  }

  #listen({ call, session, pipe }: Attempt): void {
    const { counts } = this.#options;
    call.on('data', (frame: Buffer) => {
      counts.framesReceived++;
      counts.bytesReceived += frame.length;
      session.receive(frame);
    });
    call.on('drain', () => pipe.drain());
    call.on('end', () => session.end('the peer ended the stream'));
    // gRPC reports every way to lose a stream here, our own cancel among them.
    call.on('error', (error: Error) => session.end(error.message));
  }

  #onLost(attempt: Attempt, why: string): void {
    const { clock, peer, onEvent, onUnreachable } = this.#options;
    attempt.handshakeTimer.cancel();
    attempt.call.cancel();
    attempt.client.close();
    this.#attempt = null;
    const { welcomedAtMs } = attempt;
    if (welcomedAtMs !== null) {
      onEvent({ kind: 'peerDown', peer, direction: 'outbound', why });
      if (!this.#closed) onUnreachable();
      if (clock.monotonicMs() - welcomedAtMs >= STREAM_HEALTHY_MS) this.#failureCount = 0;
    }
    if (this.#closed) return;
    const pauseMs = attempt.refused ? REFUSED_PAUSE_MS : this.#pauseMs();
    this.#retryTimer = clock.setTimer(pauseMs, () => this.#connect());
  }

  #pauseMs(): number {
    const failures = this.#failureCount++;
    if (failures === 0) return 0;
    const pauseMs = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(failures - 1, 10));
    return pauseMs / 2 + intBelow(this.#options.random, Math.floor(pauseMs / 2) + 1);
  }
}
