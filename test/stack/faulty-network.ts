/**
 * Links with a will of their own: every directed link is a queue that delivers some of what it holds
 * when the seed says so. A link can be cut in one direction; a stream can break with frames on it.
 */
import type { Prng } from '../../src/base/prng.ts';
import type { NodeId } from '../../src/base/units.ts';
import { MemoryNetwork } from '../replica/memory-peer-transport.ts';

type Parcel = Parameters<MemoryNetwork['post']>[0];

interface Link {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly parcels: Parcel[];
}

/** Delivered from one link in one round, at most. */
const BURST_MAX = 8;

export class FaultyNetwork extends MemoryNetwork {
  readonly #random: Prng;
  readonly #links = new Map<string, Link>();
  readonly #oneWayCut = new Set<string>();
  readonly #cutPairs: [NodeId, NodeId][] = [];
  /** Of 10: how often a link delivers in a round. */
  eagerness = 8;

  constructor(random: Prng) {
    super();
    this.#random = random;
  }

  override post(parcel: Parcel): void {
    const { from, to } = parcel;
    const key = `${from}>${to}`;
    const link = this.#links.get(key) ?? { from, to, parcels: [] };
    this.#links.set(key, link);
    link.parcels.push(parcel);
  }

  override deliver(): number {
    let count = 0;
    for (const link of this.#links.values()) {
      if (!this.#random.chance(this.eagerness, 10)) continue;
      for (let left = 1 + this.#random.below(BURST_MAX); left > 0; left--) {
        if (!this.#deliverOne(link)) break;
        count++;
      }
    }
    return count;
  }

  override isCut(from: NodeId, to: NodeId): boolean {
    return this.#oneWayCut.has(`${from}>${to}`) || super.isCut(from, to);
  }

  /** What `from` says does not reach `to`; the other direction works. */
  cutOneWay(from: NodeId, to: NodeId): void {
    this.#oneWayCut.add(`${from}>${to}`);
    this.#cutPairs.push([from, to]);
  }

  breakStream(from: NodeId, to: NodeId): void {
    this.peersOf(from)?.breakStreams(to);
  }

  override heal(): void {
    super.heal();
    this.#oneWayCut.clear();
    // A handshake whose answer fell into the gap would wait for ever: sockets time out.
    for (const [a, b] of this.#cutPairs.splice(0)) {
      this.breakStream(a, b);
      this.breakStream(b, a);
    }
  }

  /** @returns false when the link has nothing to deliver */
  #deliverOne({ from, to, parcels }: Link): boolean {
    const parcel = parcels.shift();
    if (parcel === undefined) return false;
    const isEndOfStream = parcel.bytes.length === 0;
    // The end of a stream is always noticed, by a timeout if by nothing else.
    if (isEndOfStream || !this.isCut(from, to)) parcel.deliver(parcel.bytes);
    return true;
  }
}
