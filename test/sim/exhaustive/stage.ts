/** The words in which openings are written. Nothing here costs a budget. */
import { assert } from '../../../src/base/assert.ts';
import { type Choice, codeOf } from './choice.ts';
import { PLACES, type Place } from './group.ts';
import type { Breach, Operation } from './local-action.ts';
import { describe } from './path-format.ts';
import type { State, World } from './world.ts';

/** Enough for any opening: heartbeats need ticks, so quiet comes soon. */
const SETTLE_STEPS_MAX = 500;
/** Searches count each operation from 0; openings from here, so that no tag comes twice. */
const ORDINALS_OF_SEARCH = 8;

export class Stage {
  readonly world: World;
  readonly state: State;
  readonly #lines: string[] = [];
  #breach: Breach | null = null;
  #ordinal = ORDINALS_OF_SEARCH;
  /** What these send and are sent is lost. */
  #isolated: readonly Place[] = [];

  constructor(world: World) {
    this.world = world;
    this.state = world.founded();
  }

  /** What happened so far, for people. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** With a planted bug an opening may break something by itself; nothing happens after that. */
  get breach(): Breach | null {
    return this.#breach;
  }

  fire(at: Place): void {
    this.#do({ kind: 'fire', at });
  }

  persist(at: Place): void {
    this.#do({ kind: 'persist', at });
  }

  /** Everything that is queued on the disk of the node, and what that queues. */
  flush(at: Place): void {
    while (this.#mayGoOn && this.world.facts(this.state, at).queuedCount > 0) this.persist(at);
  }

  deliver(from: Place, to: Place): void {
    this.#do({ kind: 'deliver', from, to, position: 0 });
  }

  /** Everything on the way from one node to the other. */
  lose(from: Place, to: Place): void {
    while (this.#mayGoOn && this.world.queue(this.state, from, to).length > 0) {
      this.#do({ kind: 'lose', from, to });
    }
  }

  /** With nothing unfinished on disk, and nothing on its way to the node left. */
  crash(at: Place): void {
    this.#do({ kind: 'crash', at, keptParts: 0, losesInbox: true });
  }

  beat(at: Place): void {
    this.#do({ kind: 'beat', at });
  }

  expire(at: Place): void {
    this.#do({ kind: 'expire', at });
  }

  operate(at: Place, operation: Operation): void {
    const number = this.world.register(operation);
    this.#do({ kind: 'operate', at, operation: number, ordinal: this.#ordinal });
    this.#ordinal++;
  }

  /** From now on these nodes hear nobody and nobody hears them. */
  isolate(...places: readonly Place[]): void {
    this.#isolated = places;
    this.#loseIsolated();
  }

  /** Writes and delivers until nothing is left to do. */
  settle(): void {
    for (let steps = 0; steps < SETTLE_STEPS_MAX; steps++) {
      const choice = this.#mayGoOn ? this.#nextToSettle() : null;
      if (choice === null) return;
      this.#do(choice);
    }
    assert(false, 'an opening settles');
  }

  /** The node campaigns, wins, and its first entry is everywhere. */
  elect(at: Place): void {
    this.fire(at);
    this.settle();
    assert(!this.#mayGoOn || this.#leads(at), 'the opening elects a leader', () => ({ at }));
  }

  /** The node campaigns and wins. Nothing that it sends as a leader is delivered. */
  electOnly(at: Place): void {
    this.fire(at);
    for (let steps = 0; steps < SETTLE_STEPS_MAX; steps++) {
      const choice = this.#mayGoOn && !this.#leads(at) ? this.#nextToSettle() : null;
      if (choice === null) break;
      this.#do(choice);
    }
    assert(!this.#mayGoOn || this.#leads(at), 'the opening elects a leader', () => ({ at }));
  }

  get #mayGoOn(): boolean {
    return this.#breach === null;
  }

  #leads(at: Place): boolean {
    return this.world.facts(this.state, at).role === 'leader';
  }

  #nextToSettle(): Choice | null {
    for (const at of PLACES) {
      if (this.world.facts(this.state, at).queuedCount > 0) return { kind: 'persist', at };
    }
    for (const from of PLACES) {
      for (const to of PLACES) {
        if (from === to || this.world.queue(this.state, from, to).length === 0) continue;
        return { kind: 'deliver', from, to, position: 0 };
      }
    }
    return null;
  }

  #do(choice: Choice): void {
    if (!this.#mayGoOn) return;
    this.#lines.push(describe(this.world, this.state, codeOf(choice)));
    this.#breach = this.world.step(this.state, choice);
    this.#loseIsolated();
  }

  #loseIsolated(): void {
    for (const place of this.#isolated) {
      for (const other of PLACES) {
        if (other === place) continue;
        this.#loseSilently(place, other);
        this.#loseSilently(other, place);
      }
    }
  }

  #loseSilently(from: Place, to: Place): void {
    while (this.world.queue(this.state, from, to).length > 0) {
      this.world.step(this.state, { kind: 'lose', from, to });
    }
  }
}
