/**
 * The network between simulated nodes: delay, loss, duplication, reordering, cut and clogged
 * directions, paths that hold only so much. What happens to a message depends on (seed, from, to, its
 * number on that edge) and on the faults in force, never on what other messages did; only a full path
 * depends on what is in it.
 */
import { assert } from '../../src/base/assert.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { Edge } from './fault-script.ts';
import { keyedU32 } from './keyed-random.ts';
import type { NetworkProfile } from './profiles.ts';

const PERMILLE = 1000;
/** Delays are multiples of 1/8 ms: exact in floating point, and ties stay rare. */
const DELAY_STEPS_PER_MS = 8;
/** Salts keep the decisions about one message independent of each other. */
const SALT = { loss: 1, duplicate: 2, delay: 3, slow: 4 } as const;
/** Frames that a replay may bring back, per edge. */
const REMEMBERED_COUNT_MAX = 24;

/** A frame as it was sent once. */
export interface OldFrame {
  readonly message: Message;
  /** Of the sender's directory: frames of another store never pass the handshake. */
  readonly storeUuid: string;
}

export class SimNetwork {
  readonly #seed: number;
  readonly #placeCount: number;
  readonly #base: NetworkProfile;
  readonly #calm: NetworkProfile;
  /** Storms in force; the last one rules. */
  readonly #storms: NetworkProfile[] = [];
  /** How many faults cut each direction at present. */
  readonly #cuts: Uint16Array;
  readonly #sentCounts: Uint32Array;
  readonly #inFlight: Uint16Array;
  readonly #cloggedUntilMs: Float64Array;
  readonly #capacities: number[] = [];
  readonly #frames: OldFrame[][] | null;
  /** Reused: the delays of the copies of the last message. */
  readonly #delays: number[] = [];
  /** Places between which all is well, while the rest is left as it was; null: not that phase. */
  #core: ReadonlySet<number> | null = null;
  #isHealed = false;
  #lostToCapacityCount = 0;

  constructor(
    seed: number,
    placeCount: number,
    base: NetworkProfile,
    options: { readonly remembersFrames: boolean } = { remembersFrames: false },
  ) {
    this.#seed = seed;
    this.#placeCount = placeCount;
    this.#base = base;
    this.#calm = { ...base, lossPermille: 0, slowPermille: 0 };
    const edgeCount = placeCount * placeCount;
    this.#cuts = new Uint16Array(edgeCount);
    this.#sentCounts = new Uint32Array(edgeCount);
    this.#inFlight = new Uint16Array(edgeCount);
    this.#cloggedUntilMs = new Float64Array(edgeCount);
    this.#frames = options.remembersFrames ? Array.from({ length: edgeCount }, () => []) : null;
  }

  /** Messages that found their path full. */
  get lostToCapacityCount(): number {
    return this.#lostToCapacityCount;
  }

  isCut(from: number, to: number): boolean {
    if (this.#isWell(from, to)) return false;
    return this.#cuts[from * this.#placeCount + to]! > 0; // both < placeCount
  }

  cut(edges: readonly Edge[]): void {
    for (const [from, to] of edges) this.#cuts[from * this.#placeCount + to]! += 1;
  }

  mend(edges: readonly Edge[]): void {
    for (const [from, to] of edges) {
      const at = from * this.#placeCount + to;
      assert(this.#cuts[at]! > 0, 'what is mended was cut'); // at < length
      this.#cuts[at]! -= 1;
    }
  }

  startStorm(network: NetworkProfile): void {
    this.#storms.push(network);
  }

  endStorm(network: NetworkProfile): void {
    const at = this.#storms.indexOf(network);
    assert(at >= 0, 'a storm that ends has begun');
    this.#storms.splice(at, 1);
  }

  /** What is sent on these edges stands still until then, and arrives all at once. */
  clog(edges: readonly Edge[], untilMs: number): void {
    for (const [from, to] of edges) this.#cloggedUntilMs[from * this.#placeCount + to] = untilMs;
  }

  /** Every path holds at most so many messages; the rest is dropped. */
  narrow(capacity: number): void {
    this.#capacities.push(capacity);
  }

  widen(capacity: number): void {
    const at = this.#capacities.indexOf(capacity);
    assert(at >= 0, 'a path that is widened was narrow');
    this.#capacities.splice(at, 1);
  }

  /** Between these places all is well from now on; everything else stays as it is. */
  freeze(core: ReadonlySet<number>): void {
    this.#core = core;
  }

  /** No cut, no storm, no loss from now on. */
  heal(): void {
    this.#isHealed = true;
  }

  /** @returns the delay of each copy that will arrive, until the next call: none, one, or two. */
  send(from: number, to: number, nowMs: number): readonly number[] {
    const edge = from * this.#placeCount + to;
    const number = this.#sentCounts[edge]!++; // edge < placeCount squared
    const delays = this.#delays;
    delays.length = 0;
    if (this.isCut(from, to)) return delays;
    const isWell = this.#isWell(from, to);
    if (!isWell && this.#isFull(edge)) {
      this.#lostToCapacityCount += 1;
      return delays;
    }
    const weather = isWell ? this.#calm : (this.#storms.at(-1) ?? this.#base);
    const { lossPermille, duplicatePermille } = weather;
    if (this.#chance(edge, number, SALT.loss) < lossPermille) return delays;
    const clogMs = isWell ? 0 : Math.max(0, this.#cloggedUntilMs[edge]! - nowMs);
    const first = clogMs + this.#delayMs(weather, edge, number, SALT.delay);
    delays.push(first);
    if (this.#chance(edge, number, SALT.duplicate) < duplicatePermille) {
      delays.push(first + this.#delayMs(weather, edge, number, SALT.delay + SALT.slow));
    }
    this.#inFlight[edge]! += delays.length;
    return delays;
  }

  arrived(from: number, to: number): void {
    this.#inFlight[from * this.#placeCount + to]! -= 1;
  }

  remember(from: number, to: number, frame: OldFrame): void {
    if (this.#frames === null) return;
    const frames = this.#frames[from * this.#placeCount + to]!; // one list per edge
    if (frames.length < REMEMBERED_COUNT_MAX) {
      frames.push(frame);
      return;
    }
    const number = this.#sentCounts[from * this.#placeCount + to]!; // counts what was sent here
    // Some stay for long: a frame of minutes ago is the more interesting one.
    const at = keyedU32(this.#seed, from, to, number) % (4 * REMEMBERED_COUNT_MAX);
    if (at < REMEMBERED_COUNT_MAX) frames[at] = frame;
  }

  framesOn(from: number, to: number): readonly OldFrame[] {
    return this.#frames?.[from * this.#placeCount + to] ?? [];
  }

  #isWell(from: number, to: number): boolean {
    if (this.#isHealed) return true;
    return this.#core?.has(from) === true && this.#core.has(to);
  }

  #isFull(edge: number): boolean {
    const capacity = this.#capacities.at(-1);
    return capacity !== undefined && this.#inFlight[edge]! >= capacity; // edge < placeCount squared
  }

  #chance(edge: number, number: number, salt: number): number {
    return keyedU32(this.#seed, edge, number, salt) % PERMILLE;
  }

  #delayMs(weather: NetworkProfile, edge: number, number: number, salt: number): number {
    const { slowPermille, slowDelayMsMax, delayMsMax } = weather;
    const isSlow =
      slowPermille > 0 &&
      keyedU32(this.#seed, edge, number, SALT.slow, salt) % PERMILLE < slowPermille;
    const limitMs = isSlow ? slowDelayMsMax : delayMsMax;
    const steps = keyedU32(this.#seed, edge, number, salt) % (limitMs * DELAY_STEPS_PER_MS);
    return (steps + 1) / DELAY_STEPS_PER_MS;
  }
}
