/**
 * What every implementation of the peer port has in common: who may talk (handshake.ts), whom we call
 * (peer-links.ts), which streams of others are admitted, and what a change of membership does to all
 * three.
 */
import type { NodeId } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import type { LoggedMembership } from '../raft/membership.ts';
import { createRoster, type LocalRosterOptions, type PeerRoster } from './handshake.ts';
import { type ManagedLink, NOT_A_MEMBER, PeerLinks } from './peer-links.ts';
import type { InboundSession } from './peer-session.ts';
import type { PeerEvent, PeerLink, PeerRefusal } from './peer-transport.ts';

export interface PeerBookOptions<Link extends ManagedLink> extends LocalRosterOptions {
  readonly clock: Clock;
  readonly createLink: (peer: NodeId, address: string, roster: PeerRoster) => Link;
  readonly onEvent: (event: PeerEvent) => void;
  readonly onFatal: (error: unknown) => void;
}

const ANOTHER_START = 'another start of its store is here';

/** A link as seen from here. */
interface BookedLink extends ManagedLink {
  readonly connected: boolean;
  readonly refusal: PeerRefusal | null;
}

export class PeerBook<Link extends BookedLink> {
  readonly roster: PeerRoster;
  readonly #options: PeerBookOptions<Link>;
  readonly #links: PeerLinks<Link>;
  /** The stream of each peer that is open to us. */
  readonly #admitted = new Map<NodeId, InboundSession>();
  #closed = false;

  constructor(options: PeerBookOptions<Link>) {
    this.#options = options;
    this.roster = createRoster(options, options.onEvent);
    this.#links = new PeerLinks({
      self: options.log.identity.nodeId,
      clock: options.clock,
      createLink: (peer, address) => options.createLink(peer, address, this.roster),
      onUnusable: (peer, address) => options.onEvent({ kind: 'unusableAddress', peer, address }),
      onGone: (peer) => {
        this.#admitted.get(peer)?.end(NOT_A_MEMBER);
        this.roster.forget(peer);
      },
    });
    this.#links.setMembers(this.roster.membership.members);
  }

  /** Opens the links. */
  start(): void {
    this.#links.start();
  }

  setMembership(current: LoggedMembership): void {
    if (this.#closed) return;
    this.roster.setMembership(current).catch(this.#options.onFatal);
    this.#links.setMembers(current.membership.members);
    for (const peer of this.roster.mistrusted()) {
      const why = 'the membership names another store of the node';
      this.#admitted.get(peer)?.end(why);
      this.#links.get(peer)?.reset(why);
    }
  }

  dismiss(removed: readonly NodeId[]): void {
    for (const nodeId of removed) this.#links.dismiss(nodeId);
  }

  link(peer: NodeId): Link | null {
    return this.#links.get(peer);
  }

  linkOf(peer: NodeId): PeerLink {
    const link = this.link(peer);
    const seen = this.roster.seen(peer);
    return {
      connected: link?.connected === true || this.#admitted.has(peer),
      addresses: seen?.addresses ?? null,
      storeUuid: seen?.storeUuid ?? null,
      refusal: link?.refusal ?? null,
    };
  }

  /** A link was welcomed. */
  onWelcomed(peer: NodeId): void {
    this.#dropEarlierStarts(peer);
  }

  /**
   * A stream of a peer was welcomed.
   *
   * @returns false when a later start of the peer has come meanwhile, and the stream was ended
   */
  onAdmitted(peer: NodeId, session: InboundSession): boolean {
    if (session.bootId !== this.#bootIdOf(peer)) {
      session.end(ANOTHER_START);
      return false;
    }
    this.#admitted.get(peer)?.end('a newer stream of the peer took its place');
    this.#admitted.set(peer, session);
    this.#dropEarlierStarts(peer);
    if (this.roster.isMember(peer)) return true;
    const raftAddress = this.roster.addressesOf(peer)?.raft ?? '';
    this.#options.onEvent({ kind: 'strangerAdmitted', peer, raftAddress });
    this.#links.callBack(peer, raftAddress);
    return true;
  }

  /** @returns whether the peer has no stream to us any more */
  onEnded(session: InboundSession): boolean {
    const { peer } = session;
    if (peer === null || this.#admitted.get(peer) !== session) return false;
    this.#admitted.delete(peer);
    if (!this.#closed && !this.roster.isMember(peer)) this.#links.letGo(peer);
    return true;
  }

  /** One start of a peer talks at a time: of an original and its clone, the one judged last. */
  #dropEarlierStarts(peer: NodeId): void {
    const bootId = this.#bootIdOf(peer);
    const session = this.#admitted.get(peer);
    if (session !== undefined && session.bootId !== bootId) session.end(ANOTHER_START);
    const link = this.link(peer);
    if (link !== null && link.bootId !== null && link.bootId !== bootId) link.reset(ANOTHER_START);
  }

  #bootIdOf(peer: NodeId): string | null {
    return this.roster.seen(peer)?.bootIds[0] ?? null;
  }

  close(): void {
    this.#closed = true;
    this.#links.close();
    for (const session of [...this.#admitted.values()]) session.end('this node closes');
  }
}
