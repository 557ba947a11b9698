/**
 * How the clients of a node that is drained or stopping get away from it, and who still needs it.
 *
 * Most clients renew their routes every 30 s, find the node in them no more, and are gone. The producer of
 * the Node client (1.0.8) never does: it sends to the nodes of its first route, and passes over those at which
 * an attempt has failed before. With all others behind it so, it has nowhere to go when the last one stops.
 * So the first attempt of such a producer is turned away while this node still serves: its next attempt, of
 * the same message and at once, succeeds elsewhere or here, and the node is one that it can do without.
 * Nothing was taken in then, hence nothing can be doubled.
 */
import type { Clock } from '../../io/clock.ts';
import type { Departure } from '../../protocol/admin-report.ts';
import type { ClientRegistry } from './client-registry.ts';
import { LEAVE_LIMITS } from './limits.ts';
import { languageOf } from './settings.ts';
import { CODE, StatusError } from './status-codes.ts';
import { LANGUAGE } from './wire-enums.ts';

/** A client that has sent, received or acknowledged something by way of this node. */
interface Guest {
  openCount: number;
  usedAtMs: number;
  /** Messages that it was handed here, and has not acknowledged here. */
  heldCount: number;
  heldAtMs: number;
  /** The departure in which it was turned away; 0: none. */
  turnedAwayIn: number;
}

export interface LeaveTakingOptions {
  readonly clock: Clock;
  readonly clients: Pick<ClientRegistry, 'clientCount' | 'settingsOf'>;
  readonly isLeaving: () => boolean;
}

export class LeaveTaking {
  readonly #options: LeaveTakingOptions;
  readonly #guests = new Map<string, Guest>();
  /** null: not leaving, as far as was looked. */
  #leavingSinceMs: number | null = null;
  #departureCount = 0;

  constructor(options: LeaveTakingOptions) {
    this.#options = options;
  }

  /**
   * The client needs this node until the returned function is called, once.
   */
  begin(clientId: string): () => void {
    const guest = this.#guestOf(clientId);
    guest.openCount++;
    guest.usedAtMs = this.#nowMs();
    return () => {
      guest.openCount--;
      guest.usedAtMs = this.#nowMs();
    };
  }

  /** What is received here is acknowledged here. */
  handedOut(clientId: string, messageCount: number): void {
    if (messageCount === 0) return;
    const guest = this.#guestOf(clientId);
    guest.heldCount += messageCount;
    guest.heldAtMs = this.#nowMs();
  }

  settled(clientId: string, messageCount: number): void {
    const guest = this.#guestOf(clientId);
    guest.heldCount = Math.max(0, guest.heldCount - messageCount);
  }

  /** @throws StatusError when the client is to send this again, and to do without this node from then on. */
  turnAway(clientId: string): void {
    if (!this.#look() || !this.#isNodeProducer(clientId)) return;
    const guest = this.#guestOf(clientId);
    if (guest.turnedAwayIn === this.#departureCount) return;
    guest.turnedAwayIn = this.#departureCount;
    throw new StatusError(
      CODE.haNotAvailable,
      'This node is about to stop. Nothing was taken in: send it again, to another node if there is one',
    );
  }

  /** What a poll may wait here. */
  waitMs(wantedMs: number): number {
    return this.#look() ? Math.min(wantedMs, LEAVE_LIMITS.pollMs) : wantedMs;
  }

  departure(): Departure {
    if (!this.#look()) return { state: 'serving', userCount: 0 };
    const nowMs = this.#nowMs();
    const guests = [...this.#guests.values()];
    const userCount = guests.filter((guest) => this.#isUsing(guest, nowMs)).length;
    const leavingMs = nowMs - (this.#leavingSinceMs ?? nowMs);
    const hasRoutesRenewed = leavingMs >= LEAVE_LIMITS.routesMs || !this.#hasClients(nowMs);
    const isOver = (userCount === 0 && hasRoutesRenewed) || leavingMs >= LEAVE_LIMITS.leaveMsMax;
    return { state: isOver ? 'left' : 'leaving', userCount };
  }

  /** @returns whether this node is leaving */
  #look(): boolean {
    const isLeaving = this.#options.isLeaving();
    if (!isLeaving) this.#leavingSinceMs = null;
    else if (this.#leavingSinceMs === null) {
      this.#leavingSinceMs = this.#nowMs();
      this.#departureCount++;
    }
    return isLeaving;
  }

  #hasClients(nowMs: number): boolean {
    if (this.#options.clients.clientCount > 0) return true;
    const { routesMs } = LEAVE_LIMITS;
    return [...this.#guests.values()].some(({ usedAtMs }) => nowMs - usedAtMs < routesMs);
  }

  #isUsing(guest: Guest, nowMs: number): boolean {
    const isHolding = guest.heldCount > 0 && nowMs - guest.heldAtMs < LEAVE_LIMITS.heldMs;
    if (isHolding) return true;
    // It goes on to send here among others, and can do without.
    if (guest.turnedAwayIn === this.#departureCount) return false;
    return guest.openCount > 0 || nowMs - guest.usedAtMs < LEAVE_LIMITS.quietMs;
  }

  #isNodeProducer(clientId: string): boolean {
    const settings = this.#options.clients.settingsOf(clientId);
    if (settings === null || settings.publishing === null) return false;
    return languageOf(settings) === LANGUAGE.nodeJs;
  }

  #guestOf(clientId: string): Guest {
    const known = this.#guests.get(clientId);
    if (known !== undefined) return known;
    if (this.#guests.size >= LEAVE_LIMITS.guestCountMax) this.#forgetOldest();
    const guest: Guest = {
      ...{ openCount: 0, usedAtMs: this.#nowMs() },
      ...{ heldCount: 0, heldAtMs: 0 },
      ...{ turnedAwayIn: 0 },
    };
    this.#guests.set(clientId, guest);
    return guest;
  }

  /** Whoever is forgotten in error is remembered at its next call. */
  #forgetOldest(): void {
    for (const clientId of this.#guests.keys()) {
      this.#guests.delete(clientId);
      return;
    }
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
