/**
 * The clients that this node knows: their telemetry streams, last settings, last sign of life. Tells
 * the group who is alive and who is gone, because what a push consumer holds is renewed only while
 * it lives.
 *
 * One client id has several streams, and re-creates them quickly: it is gone when the last one is
 * lost and nothing was heard of it for a grace period, or when it says so itself.
 */
import type { Clock, Timer } from '../../io/clock.ts';
import type { BackgroundCalls } from './background-calls.ts';
import {
  CLIENT_COUNT_MAX,
  CLIENT_GONE_GRACE_MS,
  CLIENT_REPORT_INTERVAL_MS_MAX,
  CLIENT_REPORT_INTERVAL_MS_MIN,
  CLIENT_SILENCE_MS_MAX,
  CLIENT_SWEEP_MS,
} from './limits.ts';
import { CODE, StatusError } from './status-codes.ts';
import type { Settings } from './wire-types.ts';

export interface ClientStream {
  /** The client gave a sign of life on another way. */
  onHeartbeat(): void;
  /** Ends our half with OK. */
  end(): void;
}

interface Client {
  readonly id: string;
  readonly streams: Set<ClientStream>;
  settings: Settings | null;
  heardAtMs: number;
  reportedAtMs: number;
  goneTimer: Timer | null;
}

export class ClientRegistry {
  readonly #clients = new Map<string, Client>();
  readonly #clock: Clock;
  readonly #background: BackgroundCalls;
  #sweepTimer: Timer;
  #closed = false;

  constructor(clock: Clock, background: BackgroundCalls) {
    this.#clock = clock;
    this.#background = background;
    this.#sweepTimer = clock.setTimer(CLIENT_SWEEP_MS, () => this.#sweep());
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  get streamCount(): number {
    let count = 0;
    for (const { streams } of this.#clients.values()) count += streams.size;
    return count;
  }

  settingsOf(clientId: string): Settings | null {
    return this.#clients.get(clientId)?.settings ?? null;
  }

  /** @throws StatusError when this node has too many clients. */
  heartbeat(clientId: string): void {
    const client = this.#heard(clientId);
    for (const stream of client.streams) stream.onHeartbeat();
  }

  /** @throws StatusError when this node has too many clients. */
  streamOpened(clientId: string, stream: ClientStream): void {
    this.#heard(clientId).streams.add(stream);
  }

  settingsChanged(clientId: string, settings: Settings): void {
    const client = this.#clients.get(clientId);
    if (client !== undefined) client.settings = settings;
  }

  streamClosed(clientId: string, stream: ClientStream): void {
    const client = this.#clients.get(clientId);
    if (client?.streams.delete(stream) !== true || this.#closed) return;
    if (client.streams.size > 0 || client.goneTimer !== null) return;
    client.goneTimer = this.#clock.setTimer(CLIENT_GONE_GRACE_MS, () => this.#gone(client));
  }

  /** The client said good-bye. Streams of it that are still open end on their own. */
  terminated(clientId: string): void {
    const client = this.#clients.get(clientId);
    if (client !== undefined) this.#forget(client);
    this.#report(clientId, 'clientGone');
  }

  /** Ends all streams with OK; they are not reported as gone, since the clients are not. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sweepTimer.cancel();
    for (const client of this.#clients.values()) {
      client.goneTimer?.cancel();
      for (const stream of client.streams) stream.end();
    }
    this.#clients.clear();
  }

  #heard(clientId: string): Client {
    const nowMs = this.#clock.monotonicMs();
    const client = this.#clients.get(clientId) ?? this.#remember(clientId);
    client.heardAtMs = nowMs;
    client.goneTimer?.cancel();
    client.goneTimer = null;
    if (nowMs - client.reportedAtMs >= CLIENT_REPORT_INTERVAL_MS_MIN) this.#reportSeen(client);
    return client;
  }

  #remember(clientId: string): Client {
    if (this.#clients.size >= CLIENT_COUNT_MAX) this.#makeRoom();
    const client: Client = {
      id: clientId,
      streams: new Set(),
      settings: null,
      heardAtMs: 0,
      reportedAtMs: Number.NEGATIVE_INFINITY,
      goneTimer: null,
    };
    this.#clients.set(clientId, client);
    return client;
  }

  #makeRoom(): void {
    for (const client of this.#clients.values()) {
      if (client.streams.size > 0) continue;
      this.#forget(client);
      return;
    }
    throw new StatusError(
      CODE.tooManyRequests,
      `This broker has ${CLIENT_COUNT_MAX} connected clients and takes no more`,
    );
  }

  #gone(client: Client): void {
    this.#forget(client);
    this.#report(client.id, 'clientGone');
  }

  #forget(client: Client): void {
    client.goneTimer?.cancel();
    client.goneTimer = null;
    this.#clients.delete(client.id);
  }

  #reportSeen(client: Client): void {
    client.reportedAtMs = this.#clock.monotonicMs();
    this.#report(client.id, 'clientSeen');
  }

  #report(clientId: string, kind: 'clientSeen' | 'clientGone'): void {
    this.#background.submit(`client ${clientId}`, { kind, clientId });
  }

  /** An open stream is a sign of life in itself; without one, silence ends in being forgotten. */
  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const client of this.#clients.values()) {
      const hasStream = client.streams.size > 0;
      if (hasStream && nowMs - client.reportedAtMs >= CLIENT_REPORT_INTERVAL_MS_MAX) {
        this.#reportSeen(client);
      }
      if (!hasStream && nowMs - client.heardAtMs >= CLIENT_SILENCE_MS_MAX) this.#gone(client);
    }
    this.#sweepTimer = this.#clock.setTimer(CLIENT_SWEEP_MS, () => this.#sweep());
  }
}
