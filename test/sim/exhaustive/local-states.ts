/**
 * The states of single nodes, each with a number, and what every action makes of them.
 *
 * A core cannot be copied. But a node is a function of its own inputs, and the many states of the
 * group are combinations of few states of nodes. So a node is computed once for every pair of state
 * and action, by a core that is brought there by the shortest known history, and looked up ever after.
 *
 * Two histories whose nodes have equal keys are one state. With `merges` off nothing is ever merged:
 * a path is then walked by three cores alone, which is how a violation is confirmed (replay.ts).
 */
import { assert } from '../../../src/base/assert.ts';
import { type GroupSetup, type Place, placeOf } from './group.ts';
import type { LocalAction, LocalEvent, LocalFacts, LocalOutcome } from './local-action.ts';
import type { DiskImage } from './local-disk.ts';
import { LocalNode } from './local-node.ts';
import { type Mark, marksOf } from './marks.ts';
import type { Messages } from './wires.ts';

/** Nodes kept at hand after their last action; the next action on each costs no replay. */
const NODES_KEPT_MAX = 2048;
/** One merge in so many is remembered for the audit. */
const AUDITED_EVERY = 7;
const AUDITED_MAX = 400;

export interface Send {
  readonly to: Place;
  readonly messageId: number;
}

export interface Transition {
  readonly to: number;
  readonly sends: readonly Send[];
  readonly events: readonly LocalEvent[];
}

/** How a state was reached: from a disk image by a start, then actions one after another. */
type Origin =
  | { readonly kind: 'started'; readonly place: Place; readonly image: DiskImage }
  | { readonly kind: 'acted'; readonly from: Origin; readonly action: LocalAction };

interface LocalState {
  readonly origin: Origin;
  readonly place: Place;
  readonly facts: LocalFacts;
  readonly next: Map<number, { readonly action: LocalAction; readonly transition: Transition }>;
  node: LocalNode | null;
}

/** Another history that led to a state that was known. */
interface Merge {
  readonly stateId: number;
  readonly origin: Origin;
}

export class LocalStates {
  readonly #setup: GroupSetup;
  readonly #messages: Messages;
  readonly #merges: boolean;
  readonly #states: LocalState[] = [];
  readonly #ids = new Map<string, number>();
  readonly #kept: number[] = [];
  readonly #merged: Merge[] = [];
  readonly marks = new Set<Mark>();
  #mergeCount = 0;
  #actionCount = 0;

  constructor(setup: GroupSetup, messages: Messages, merges: boolean) {
    this.#setup = setup;
    this.#messages = messages;
    this.#merges = merges;
  }

  get count(): number {
    return this.#states.length;
  }

  /** What real cores did, replays included. */
  get actionCount(): number {
    return this.#actionCount;
  }

  start(place: Place, image: DiskImage): number {
    const node = new LocalNode(place, this.#setup, image);
    return this.#identify({ kind: 'started', place, image }, node);
  }

  facts(id: number): LocalFacts {
    return this.#state(id).facts;
  }

  /** @param code a number for the action, unique among actions on one state */
  act(id: number, code: number, action: LocalAction): Transition {
    const state = this.#state(id);
    const known = state.next.get(code);
    if (known !== undefined) return known.transition;
    const transition = this.#compute(id, action);
    state.next.set(code, { action, transition });
    const { to, events } = transition;
    const step = { action, before: state.facts, after: this.facts(to), events };
    for (const mark of marksOf(step)) this.marks.add(mark);
    return transition;
  }

  /**
   * Does the known actions on a sample of merged histories again, two in a row, and compares with what
   * was looked up. @returns one line for each difference.
   */
  audit(): readonly string[] {
    return this.#merged.flatMap(({ stateId, origin }) => this.#auditFrom(stateId, origin, 2));
  }

  get auditedCount(): number {
    return this.#merged.length;
  }

  #compute(from: number, action: LocalAction): Transition {
    const state = this.#state(from);
    const node = state.node ?? this.#replay(state.origin);
    if (action.kind === 'crash') {
      state.node = node;
      const image = node.imageAfterCrash(action.keptParts);
      const to = this.start(state.place, image);
      return { to, sends: [], events: [{ kind: 'readsLost' }] };
    }
    state.node = null;
    this.#actionCount++;
    const outcome = node.perform(action);
    const sends = this.#sendsOf(outcome);
    const isBroken = outcome.events.some(({ kind }) => kind === 'breach');
    // The node may be in the middle of something: the search ends here.
    const to = isBroken
      ? from
      : this.#identify({ kind: 'acted', from: state.origin, action }, node);
    return { to, sends, events: outcome.events };
  }

  #auditFrom(id: number, origin: Origin, steps: number): string[] {
    if (steps === 0) return [];
    const differences: string[] = [];
    for (const { action, transition } of this.#state(id).next.values()) {
      const { to, sends, events } = transition;
      if (action.kind === 'crash' || events.some(({ kind }) => kind === 'breach')) continue;
      const node = this.#replay(origin);
      const outcome = node.perform(action);
      const isAlike =
        JSON.stringify(this.#sendsOf(outcome)) === JSON.stringify(sends) &&
        JSON.stringify(outcome.events) === JSON.stringify(events) &&
        this.#ids.get(node.key()) === to;
      if (isAlike) {
        differences.push(
          ...this.#auditFrom(to, { kind: 'acted', from: origin, action }, steps - 1),
        );
      } else {
        differences.push(`${id}: ${JSON.stringify(action)}`);
      }
    }
    return differences;
  }

  #sendsOf({ sends }: LocalOutcome): Send[] {
    return sends.map(({ to, message }) => ({
      to: placeOf(to),
      messageId: this.#messages.idOf(message),
    }));
  }

  #replay(origin: Origin): LocalNode {
    const actions: Exclude<LocalAction, { kind: 'crash' }>[] = [];
    let at = origin;
    while (at.kind === 'acted') {
      const { action, from } = at;
      assert(action.kind !== 'crash', 'a crash begins a new history');
      actions.push(action);
      at = from;
    }
    const node = new LocalNode(at.place, this.#setup, at.image);
    this.#actionCount += actions.length;
    for (const action of actions.reverse()) node.perform(action);
    return node;
  }

  #identify(origin: Origin, node: LocalNode): number {
    const key = this.#merges ? node.key() : `${this.#states.length}`;
    const known = this.#ids.get(key);
    if (known !== undefined) {
      this.#noteMerge({ stateId: known, origin });
      return known;
    }
    const id = this.#states.length;
    this.#ids.set(key, id);
    const facts = node.facts();
    this.#states.push({ origin, place: node.place, facts, next: new Map(), node });
    this.#kept.push(id);
    if (this.#kept.length > NODES_KEPT_MAX) {
      const oldest = this.#kept.shift();
      if (oldest !== undefined) this.#state(oldest).node = null;
    }
    return id;
  }

  #noteMerge(merge: Merge): void {
    this.#mergeCount++;
    const isAudited = this.#mergeCount % AUDITED_EVERY === 0;
    if (isAudited && this.#merged.length < AUDITED_MAX) this.#merged.push(merge);
  }

  #state(id: number): LocalState {
    const state = this.#states[id];
    assert(state !== undefined, 'a state of a node is known', () => ({ id }));
    return state;
  }
}
