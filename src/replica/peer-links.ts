/**
 * Which peers this node calls. The members of the group; nodes outside it that have called us, because
 * an answer travels on a stream of our own; and, for a time of grace, members that have left.
 *
 * Implementations of the port bring the links; when one is opened and closed is decided here.
 */
import type { NodeId } from '../base/units.ts';
import type { Clock, Timer } from '../io/clock.ts';
import type { Member } from '../raft/membership.ts';
import { DISMISSAL_MS, FAREWELL_MS } from './limits.ts';

/** The way to one peer, opened again whenever it is lost. */
export interface ManagedLink {
  /** Which start of the peer has welcomed us; null: none now. */
  readonly bootId: string | null;
  /** Called once. */
  open(): void;
  /** Gives up the stream that is open; another one takes its place. */
  reset(why: string): void;
  close(why: string): void;
}

export interface PeerLinksOptions<Link extends ManagedLink> {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly createLink: (peer: NodeId, address: string) => Link;
  /** Nothing can be called there. */
  readonly onUnusable: (peer: NodeId, address: string) => void;
  /** The grace of a peer is over, and its link is closed. */
  readonly onGone: (peer: NodeId) => void;
}

interface Place<Link> {
  readonly link: Link;
  readonly address: string;
  isMember: boolean;
  farewell: Timer | null;
}

export const NOT_A_MEMBER = 'it is not a member of the group any more';
const PORT_MAX = 65_535;

export class PeerLinks<Link extends ManagedLink> {
  readonly #options: PeerLinksOptions<Link>;
  readonly #places = new Map<NodeId, Place<Link>>();
  #state: 'new' | 'started' | 'closed' = 'new';

  constructor(options: PeerLinksOptions<Link>) {
    this.#options = options;
  }

  get(peer: NodeId): Link | null {
    return this.#places.get(peer)?.link ?? null;
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    for (const { link } of this.#places.values()) link.open();
  }

  /** @param members all of them, this node included or not */
  setMembers(members: readonly Member[]): void {
    if (this.#state === 'closed') return;
    const wanted = members.filter(({ nodeId }) => nodeId !== this.#options.self);
    for (const { nodeId, raftAddress } of wanted) this.#hold(nodeId, raftAddress, true);
    for (const [peer, place] of this.#places) {
      if (!place.isMember || wanted.some(({ nodeId }) => nodeId === peer)) continue;
      place.isMember = false;
      this.#startFarewell(peer, place);
    }
  }

  /** Of a peer that has left: it need not hear anything any more. */
  dismiss(peer: NodeId): void {
    const place = this.#places.get(peer);
    if (this.#state === 'closed' || place === undefined || place.farewell === null) return;
    place.farewell.cancel();
    this.#startFarewell(peer, place, DISMISSAL_MS);
  }

  /** A node outside the membership called us and was admitted. */
  callBack(stranger: NodeId, address: string): void {
    if (this.#state !== 'closed') this.#hold(stranger, address, false);
  }

  /** The node that called us is gone: unless it is a member, nothing is left to tell it. */
  letGo(peer: NodeId): void {
    if (this.#state === 'closed') return;
    const place = this.#places.get(peer);
    if (place === undefined) this.#options.onGone(peer);
    else if (!place.isMember && place.farewell === null) this.#startFarewell(peer, place);
  }

  close(): void {
    this.#state = 'closed';
    for (const { link, farewell } of this.#places.values()) {
      farewell?.cancel();
      link.close('this node closes');
    }
  }

  #hold(peer: NodeId, address: string, isMember: boolean): void {
    const place = this.#places.get(peer);
    if (place !== undefined && place.address === address) {
      place.farewell?.cancel();
      place.farewell = null;
      place.isMember = isMember;
      return;
    }
    if (place !== undefined) this.#remove(peer, place, `it is called at ${address} now`);
    if (!isCallable(address)) {
      this.#options.onUnusable(peer, address);
      return;
    }
    const link = this.#options.createLink(peer, address);
    this.#places.set(peer, { link, address, isMember, farewell: null });
    if (this.#state === 'started') link.open();
  }

  #startFarewell(peer: NodeId, place: Place<Link>, graceMs = FAREWELL_MS): void {
    place.farewell = this.#options.clock.setTimer(graceMs, () => {
      this.#remove(peer, place, NOT_A_MEMBER);
      this.#options.onGone(peer);
    });
  }

  #remove(peer: NodeId, { link, farewell }: Place<Link>, why: string): void {
    farewell?.cancel();
    this.#places.delete(peer);
    link.close(why);
  }
}

/** Addresses come from people and from other nodes; what is below does not take any text. */
function isCallable(address: string): boolean {
  const parts = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(address);
  const port = Number(parts?.[1]);
  return port >= 1 && port <= PORT_MAX;
}
