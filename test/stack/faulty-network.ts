/**
 * Links with a will of their own: every directed link is a queue that delivers some of what it holds
 * when the seed says so. A link can be blocked in one direction, frames can be damaged, a stream can
 * break with frames on it.
 *
 * What a link does in a round depends on the seed, the link and the round alone, so that a fault
 * elsewhere can be removed without changing it.
 */
import { crc32 } from '../../src/base/crc32.ts';
import type { NodeId } from '../../src/base/units.ts';
import { decodePeerFrame } from '../../src/protocol/peer-codec.ts';
import { MemoryNetwork, type MemoryPeers } from '../replica/memory-peer-transport.ts';
import { keyedU32 } from '../sim/keyed-random.ts';

type Parcel = Parameters<MemoryNetwork['post']>[0];

/** A direction: from, to. */
export type Edge = readonly [from: NodeId, to: NodeId];

interface Link {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly number: number;
  readonly parcels: Parcel[];
  parcelCount: number;
}

/** Delivered from one link in one round, at most. */
const BURST_MAX = 8;
export const EAGERNESS_DEFAULT = 8;
/** Parcels shorter than this are not frames of a session. */
const FRAME_SIZE_BYTES_MIN = 8;

export class FaultyNetwork extends MemoryNetwork {
  readonly #seed: number;
  readonly #links = new Map<string, Link>();
  readonly #callers = new Map<MemoryPeers, NodeId>();
  /** How many faults block a direction. */
  readonly #blocked = new Map<string, number>();
  #round = 0;
  /** Of 10: how often a link delivers in a round. */
  eagerness = EAGERNESS_DEFAULT;
  /** Of 10,000 frames so many arrive with a bit flipped. */
  flipsPer10000 = 0;
  flippedCount = 0;
  /** The frame that arrives at this moment says something else than was sent. */
  isDamaged = false;

  constructor(seed: number) {
    super();
    this.#seed = keyedU32(seed, crc32(new TextEncoder().encode('network')));
  }

  override post(parcel: Parcel): void {
    const { from, to } = parcel;
    const key = `${from}>${to}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      const number = crc32(new TextEncoder().encode(key));
      link = { from, to, number, parcels: [], parcelCount: 0 };
      this.#links.set(key, link);
    }
    link.parcels.push(parcel);
  }

  override deliver(): number {
    let count = 0;
    this.#round++;
    for (const link of this.#links.values()) {
      const chance = keyedU32(this.#seed, link.number, this.#round);
      if (chance % 10 >= this.eagerness) continue;
      for (let left = 1 + ((chance >>> 8) % BURST_MAX); left > 0; left--) {
        if (!this.#deliverOne(link)) break;
        count++;
      }
    }
    return count;
  }

  override isCut(from: NodeId, to: NodeId): boolean {
    return (this.#blocked.get(`${from}>${to}`) ?? 0) > 0;
  }

  /**
   * What is said along these edges does not arrive. Where both directions are blocked the streams
   * break at once.
   *
   * @returns undoes it, once
   */
  block(edges: readonly Edge[]): () => void {
    for (const [from, to] of edges) this.#count(from, to, 1);
    for (const [from, to] of edges) if (this.isCut(to, from)) this.breakStream(from, to);
    let isBlocking = true;
    return () => {
      if (!isBlocking) return;
      isBlocking = false;
      for (const [from, to] of edges) {
        this.#count(from, to, -1);
        // A handshake whose answer fell into the gap would wait for ever: sockets time out.
        this.breakStream(from, to);
        this.breakStream(to, from);
      }
    };
  }

  /** Whatever blocks them: these hear each other from now on. */
  unblockAmong(nodeIds: readonly NodeId[]): void {
    for (const from of nodeIds) {
      for (const to of nodeIds) {
        if (!this.isCut(from, to)) continue;
        this.#blocked.delete(`${from}>${to}`);
        this.breakStream(from, to);
        this.breakStream(to, from);
      }
    }
  }

  breakStream(from: NodeId, to: NodeId): void {
    this.peersOf(from)?.breakStreams(to);
    for (const [caller, nodeId] of this.#callers) if (nodeId === from) caller.breakStreams(to);
  }

  /** A second process with the name of a node: it can call, nobody can call it. */
  joinAsCaller(peers: MemoryPeers, nodeId: NodeId): void {
    this.#callers.set(peers, nodeId);
  }

  #count(from: NodeId, to: NodeId, by: number): void {
    const key = `${from}>${to}`;
    // What was unblocked meanwhile stays so.
    this.#blocked.set(key, Math.max(0, (this.#blocked.get(key) ?? 0) + by));
  }

  /** @returns false when the link has nothing to deliver */
  #deliverOne(link: Link): boolean {
    const { from, to, parcels } = link;
    const parcel = parcels.shift();
    if (parcel === undefined) return false;
    const { bytes, deliver } = parcel;
    link.parcelCount++;
    const isEndOfStream = bytes.length === 0;
    // The end of a stream is always noticed, by a timeout if by nothing else.
    if (!isEndOfStream && this.isCut(from, to)) return true;
    const chance = keyedU32(this.#seed, link.number, link.parcelCount, 1);
    const isFlipped = bytes.length >= FRAME_SIZE_BYTES_MIN && chance % 10_000 < this.flipsPer10000;
    if (!isFlipped) {
      deliver(bytes);
      return true;
    }
    const damaged = bytes.slice();
    const bit = keyedU32(chance, link.parcelCount) % (8 * bytes.length);
    damaged[bit >>> 3]! ^= 1 << (bit & 7); // below the length
    this.flippedCount++;
    this.isDamaged = !saysTheSame(bytes, damaged);
    deliver(damaged);
    this.isDamaged = false;
    return true;
  }
}

/** Some bits of the wire format mean nothing: two encodings of one number, for example. */
function saysTheSame(sent: Uint8Array, arrived: Uint8Array): boolean {
  const sequence = sequenceOf(sent);
  const [first, second] = [decodePeerFrame(sent, sequence), decodePeerFrame(arrived, sequence)];
  return JSON.stringify(first) === JSON.stringify(second);
}

/** The first field of a frame, a varint; left out when it is 0. */
function sequenceOf(frame: Uint8Array): number {
  if (frame[0] !== 0x08) return 0;
  let sequence = 0;
  for (let at = 1, factor = 1; at < frame.length; at++, factor *= 128) {
    const byte = frame[at]!; // below the length
    sequence += (byte & 127) * factor;
    if (byte < 128) break;
  }
  return sequence;
}

/** The network as a second process with a node's name sees it. */
export class CallersNetwork extends MemoryNetwork {
  readonly #network: FaultyNetwork;

  constructor(network: FaultyNetwork) {
    super();
    this.#network = network;
  }

  override join(peers: MemoryPeers, nodeId: NodeId): void {
    this.#network.joinAsCaller(peers, nodeId);
  }

  override leave(): void {}

  override peersOf(nodeId: NodeId): MemoryPeers | null {
    return this.#network.peersOf(nodeId);
  }

  override isCut(from: NodeId, to: NodeId): boolean {
    return this.#network.isCut(from, to);
  }

  override post(parcel: Parcel): void {
    this.#network.post(parcel);
  }
}
