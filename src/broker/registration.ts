/**
 * Keeps every name server told who this node is, what it leads and which topics it has: at start,
 * every 30 s, at once when role, term or topics change, and again within a second while a name
 * server does not answer (design section 8).
 *
 * Invariants: one call at a time for each name server, so that it hears things in order; what is
 * sent is read at the moment of sending, so nothing old is ever repeated.
 *
 * Not here: what a name server makes of it (namesrv/route-table.ts).
 */

import type { NameServer } from '../client/name-server-client.ts';
import { NameServerClient, NameServerUnavailable } from '../client/name-server-client.ts';
import type { Clock, Timer } from '../io/clock.ts';
import type { RegisterOutcome, Registration, Unregistration } from '../protocol/namesrv-codec.ts';
import type { NodeAddresses, Replica } from '../replica/replica.ts';

/** RocketMQ's interval; four missed ones expire a node. */
export const REGISTER_INTERVAL_MS = 30_000;
export const REGISTER_RETRY_DELAY_MS = 1_000;
export const REGISTER_TIMEOUT_MS = 1_000;

export interface RegistrationOptions {
  readonly replica: Pick<
    Replica,
    'status' | 'state' | 'leadership' | 'onLeadership' | 'onRoleChange' | 'onApplied'
  >;
  readonly addresses: NodeAddresses;
  /** `host:port` of each; none is legal and means that nothing is registered. */
  readonly nameServers: readonly string[];
  readonly clock: Clock;
  readonly onEvent?: (event: RegistrationEvent) => void;
  /** The wire by default. */
  readonly connect?: (address: string) => NameServer;
}

/** Said when it changes, not at each attempt. */
export type RegistrationEvent =
  | { readonly kind: 'nameServerReached'; readonly nameServer: string }
  | { readonly kind: 'nameServerLost'; readonly nameServer: string; readonly why: string }
  | {
      readonly kind: 'claimRefused';
      readonly nameServer: string;
      readonly outcome: Extract<RegisterOutcome, { kind: 'claimRefused' }>;
    };

export interface RunningRegistration {
  /** Takes the node out of the routes, best effort, within a second. */
  close(): Promise<void>;
}

export function startRegistration(options: RegistrationOptions): RunningRegistration {
  const { replica, clock } = options;
  const connect = options.connect ?? ((address: string) => new NameServerClient(address));
  const sequence = new Sequence(clock.wallMs());
  const links = options.nameServers.map((address) => new Link(connect(address), sequence, options));
  const tellAll = (): void => {
    for (const link of links) link.tell();
  };
  replica.onRoleChange(tellAll);
  replica.onLeadership(tellAll);
  replica.onApplied((_entry, results) => {
    if (results.some(({ kind }) => kind === 'topicPut' || kind === 'topicDeleted')) tellAll();
  });
  tellAll();

  let closing: Promise<void> | null = null;
  return {
    close: () => {
      closing ??= Promise.all(links.map((link) => link.close())).then(() => undefined);
      return closing;
    },
  };
}

/**
 * Numbers that rise also across restarts of the process, as far as the wall clock allows; where it
 * does not, the name server's answer tells how far to skip.
 */
class Sequence {
  #last: number;
  constructor(wallMs: number) {
    this.#last = Math.max(1, Math.floor(wallMs));
  }

  next(): number {
    this.#last += 1;
    return this.#last;
  }

  skipTo(seen: number): void {
    this.#last = Math.max(this.#last, seen);
  }
}

/** The way to one name server. */
class Link {
  readonly #nameServer: NameServer;
  readonly #sequence: Sequence;
  readonly #options: RegistrationOptions;
  #inFlight: Promise<void> | null = null;
  /** Something changed while a call was under way. */
  #changed = false;
  #timer: Timer | null = null;
  #reached: boolean | null = null;
  #refusedTerm = 0;
  #isClosed = false;

  constructor(nameServer: NameServer, sequence: Sequence, options: RegistrationOptions) {
    this.#nameServer = nameServer;
    this.#sequence = sequence;
    this.#options = options;
  }

  tell(): void {
    if (this.#isClosed) return;
    if (this.#inFlight !== null) {
      this.#changed = true;
      return;
    }
    this.#timer?.cancel();
    this.#changed = false;
    this.#inFlight = this.#register().then((nextInMs) => {
      this.#inFlight = null;
      if (this.#isClosed) return;
      // After a failure the retry timer rules, changed or not: that bounds the rate of attempts.
      const isPressing = this.#changed && nextInMs === REGISTER_INTERVAL_MS;
      if (isPressing) this.tell();
      else this.#timer = this.#options.clock.setTimer(nextInMs, () => this.tell());
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#inFlight;
    try {
      await this.#nameServer.unregister(this.#unregistration(), REGISTER_TIMEOUT_MS);
    } catch (error) {
      // Best effort: silence takes the node out of the routes as well.
      if (!(error instanceof NameServerUnavailable)) throw error;
    } finally {
      this.#nameServer.close();
    }
  }

  /** @returns when to register next. */
  async #register(): Promise<number> {
    let outcome: RegisterOutcome;
    try {
      outcome = await this.#nameServer.register(this.#registration(), REGISTER_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof NameServerUnavailable)) throw error;
      this.#noteReached(false, error.message);
      return REGISTER_RETRY_DELAY_MS;
    }
    this.#noteReached(true, '');
    if (outcome.kind === 'stale') {
      this.#sequence.skipTo(outcome.sequenceSeen);
      return REGISTER_RETRY_DELAY_MS;
    }
    if (outcome.kind === 'claimRefused') this.#noteRefusal(outcome);
    return REGISTER_INTERVAL_MS;
  }

  #noteReached(reached: boolean, why: string): void {
    if (this.#reached === reached) return;
    this.#reached = reached;
    const nameServer = this.#nameServer.address;
    if (reached) this.#options.onEvent?.({ kind: 'nameServerReached', nameServer });
    else this.#options.onEvent?.({ kind: 'nameServerLost', nameServer, why });
  }

  #noteRefusal(outcome: Extract<RegisterOutcome, { kind: 'claimRefused' }>): void {
    if (this.#refusedTerm === outcome.highestTerm) return;
    this.#refusedTerm = outcome.highestTerm;
    this.#options.onEvent?.({
      kind: 'claimRefused',
      nameServer: this.#nameServer.address,
      outcome,
    });
  }

  #registration(): Registration {
    const { replica, addresses } = this.#options;
    const leadership = replica.leadership();
    const said = this.#unregistration();
    return {
      ...said,
      term: leadership?.term ?? said.term,
      claimsLeadership: leadership !== null,
      addresses,
      topics: replica.state.topics().map(({ topic }) => topic),
      topicsVersion: replica.state.appliedIndex,
    };
  }

  #unregistration(): Unregistration {
    const { clusterId, groupId, nodeId, storeUuid, term } = this.#options.replica.status();
    const sequence = this.#sequence.next();
    return { cluster: clusterId, group: groupId, nodeId, storeUuid, term, sequence };
  }
}
