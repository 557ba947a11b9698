/**
 * The group as a state of eleven integers, what can happen in it, and what then comes of it.
 *
 *   0-2  the nodes        3-8  the wires, by sender and receiver       9  what was spent       10  the past
 *
 * Messages between two nodes arrive in order, after any time. Everything that breaks this costs a
 * fault: a message lost, repeated, or overtaken; a crash, which cuts the unfinished writes anywhere
 * and lets the node restart at once; a leader that stops leading since it hears nobody.
 */
import { assert, unreachable } from '../../../src/base/assert.ts';
import { LogIndex, PhysicalOffset, Term } from '../../../src/base/units.ts';
import type { Membership } from '../../../src/raft/membership.ts';
import { type Choice, codeOf } from './choice.ts';
import { type GroupSetup, NODE_IDS, PLACES, type Place } from './group.ts';
import type { Breach, LocalAction, LocalFacts, Operation } from './local-action.ts';
import type { DiskImage } from './local-disk.ts';
import { LocalStates } from './local-states.ts';
import { Pasts } from './past.ts';
import { EMPTY_QUEUE, Messages, Queues } from './wires.ts';

export const STATE_SIZE = 11;
export type State = Int32Array;

const SPENT = 9;
const PAST = 10;
/** Counters in `SPENT`, by their lowest bit. */
const FAULTS = { shift: 0, mask: 15 };
const ELECTIONS = { shift: 4, mask: 15 };
const BEATS = { shift: 8, mask: 15 };
const OPERATION_SHIFT = 12;
const OPERATION_BITS = 3;
const OPERATIONS_MAX = 6;
/** Tags of operations: room for so many of one kind. */
const ORDINALS_MAX = 64;

/** How often each may happen in one schedule. */
export interface Budget {
  readonly faults: number;
  readonly elections: number;
  readonly beats: number;
  readonly operations: readonly { readonly operation: Operation; readonly times: number }[];
}

const NO_BUDGET: Budget = { faults: 0, elections: 0, beats: 0, operations: [] };

export class World {
  readonly messages = new Messages();
  readonly queues = new Queues();
  readonly nodes: LocalStates;
  readonly pasts = new Pasts();
  readonly #operations: Operation[] = [];
  readonly #setup: GroupSetup;
  #budget: Budget = NO_BUDGET;

  /** @param merges see local-states.ts */
  constructor(setup: GroupSetup, merges: boolean) {
    this.#setup = setup;
    this.nodes = new LocalStates(setup, this.messages, merges);
  }

  /** Three nodes with empty disks. */
  founded(): State {
    const state = new Int32Array(STATE_SIZE);
    for (const place of PLACES)
      state[place] = this.nodes.start(place, emptyDisk(this.#setup.founding));
    return state;
  }

  /** From here on so much may happen; what was spent is forgotten. */
  allow(state: State, budget: Budget): void {
    assert(budget.operations.length <= OPERATIONS_MAX, 'operations have counters');
    this.#budget = budget;
    this.#operations.length = 0;
    for (const { operation, times } of budget.operations) {
      assert(times < 2 ** OPERATION_BITS, 'counters are small');
      this.#operations.push(operation);
    }
    state[SPENT] = 0;
  }

  /** The number by which choices name an operation that no budget has. */
  register(operation: Operation): number {
    return this.#operations.push(operation) - 1;
  }

  operation(index: number): Operation {
    const operation = this.#operations[index];
    assert(operation !== undefined, 'an operation is known', () => ({ index }));
    return operation;
  }

  facts(state: State, place: Place): LocalFacts {
    return this.nodes.facts(at(state, place));
  }

  queue(state: State, from: Place, to: Place): readonly number[] {
    return this.queues.get(at(state, wireOf(from, to)));
  }

  /** Numbers of all that can happen, in a fixed order. */
  choices(state: State): readonly number[] {
    const codes: number[] = [];
    const spent = at(state, SPENT);
    const mayFail = countOf(spent, FAULTS) < this.#budget.faults;
    for (const from of PLACES) {
      for (const to of PLACES) {
        if (from !== to) this.#addDeliveries(codes, state, { from, to, mayFail });
      }
    }
    for (const place of PLACES) this.#addLocal(codes, state, place, mayFail);
    return codes;
  }

  /** Writes into `state` what comes of the choice. @returns what that breaks. */
  step(state: State, choice: Choice): Breach | null {
    switch (choice.kind) {
      case 'deliver':
        this.#spend(state, choice.position > 0 ? FAULTS : null);
        return this.#deliver(state, choice, choice.position, false);
      case 'repeat':
        this.#spend(state, FAULTS);
        return this.#deliver(state, choice, 0, true);
      case 'lose': {
        this.#spend(state, FAULTS);
        const wire = wireOf(choice.from, choice.to);
        state[wire] = this.queues.take(at(state, wire), 0);
        return null;
      }
      case 'crash': {
        this.#spend(state, FAULTS);
        const { at: place, keptParts, losesInbox } = choice;
        for (const from of PLACES) {
          if (losesInbox && from !== place) state[wireOf(from, place)] = EMPTY_QUEUE;
        }
        return this.#act(state, place, 4 + 8 * keptParts, { kind: 'crash', keptParts });
      }
      case 'persist':
        return this.#act(state, choice.at, 0, choice);
      case 'fire':
        this.#spend(state, ELECTIONS);
        return this.#act(state, choice.at, 1, choice);
      case 'beat':
        this.#spend(state, BEATS);
        return this.#act(state, choice.at, 2, choice);
      case 'expire':
        this.#spend(state, FAULTS);
        return this.#act(state, choice.at, 3, choice);
      case 'operate': {
        const shift = OPERATION_SHIFT + OPERATION_BITS * choice.operation;
        if (choice.operation < this.#budget.operations.length) this.#spend(state, { shift });
        const tag = 1 + choice.operation * ORDINALS_MAX + choice.ordinal;
        const operation = this.operation(choice.operation);
        return this.#act(state, choice.at, 6 + 8 * tag, { kind: 'operate', operation, tag });
      }
      default:
        return unreachable(choice);
    }
  }

  #addDeliveries(
    codes: number[],
    state: State,
    wire: { readonly from: Place; readonly to: Place; readonly mayFail: boolean },
  ): void {
    const { from, to, mayFail } = wire;
    const { length } = this.queue(state, from, to);
    if (length === 0) return;
    codes.push(codeOf({ kind: 'deliver', from, to, position: 0 }));
    if (!mayFail) return;
    codes.push(codeOf({ kind: 'lose', from, to }), codeOf({ kind: 'repeat', from, to }));
    if (length > 1) codes.push(codeOf({ kind: 'deliver', from, to, position: 1 }));
  }

  #addLocal(codes: number[], state: State, place: Place, mayFail: boolean): void {
    const facts = this.facts(state, place);
    const spent = at(state, SPENT);
    if (facts.queuedCount > 0) codes.push(codeOf({ kind: 'persist', at: place }));
    if (facts.mayFire && countOf(spent, ELECTIONS) < this.#budget.elections) {
      codes.push(codeOf({ kind: 'fire', at: place }));
    }
    if (facts.role === 'leader') this.#addLeading(codes, spent, place, mayFail);
    if (!mayFail) return;
    const hasInbox = PLACES.some((from) => from !== place && at(state, wireOf(from, place)) !== 0);
    for (let keptParts = 0; keptParts <= facts.crashPlaces; keptParts++) {
      codes.push(codeOf({ kind: 'crash', at: place, keptParts, losesInbox: false }));
      if (hasInbox) codes.push(codeOf({ kind: 'crash', at: place, keptParts, losesInbox: true }));
    }
  }

  #addLeading(codes: number[], spent: number, place: Place, mayFail: boolean): void {
    if (countOf(spent, BEATS) < this.#budget.beats) codes.push(codeOf({ kind: 'beat', at: place }));
    if (mayFail) codes.push(codeOf({ kind: 'expire', at: place }));
    for (const [operation, { times }] of this.#budget.operations.entries()) {
      const shift = OPERATION_SHIFT + OPERATION_BITS * operation;
      const ordinal = countOf(spent, { shift, mask: 2 ** OPERATION_BITS - 1 });
      if (ordinal < times) codes.push(codeOf({ kind: 'operate', at: place, operation, ordinal }));
    }
  }

  #deliver(
    state: State,
    { from, to }: { readonly from: Place; readonly to: Place },
    position: number,
    isLeft: boolean,
  ): Breach | null {
    const wire = wireOf(from, to);
    const messageId = this.queue(state, from, to)[position];
    assert(messageId !== undefined, 'a message that is delivered is on its way', () => ({
      from,
      to,
    }));
    if (!isLeft) state[wire] = this.queues.take(at(state, wire), position);
    const message = this.messages.get(messageId);
    const action = { kind: 'receive', from: NODE_IDS[from], message } as const;
    return this.#act(state, to, 5 + 8 * (from + 3 * messageId), action);
  }

  #act(state: State, place: Place, code: number, action: LocalAction): Breach | null {
    const before = this.facts(state, place);
    const { to, sends, events } = this.nodes.act(at(state, place), code, action);
    state[place] = to;
    for (const send of sends) {
      const wire = wireOf(place, send.to);
      state[wire] = this.queues.push(at(state, wire), send.messageId);
    }
    const past = this.pasts.extend(at(state, PAST), {
      place,
      before,
      localId: to,
      after: this.nodes.facts(to),
      events,
      group: PLACES.map((one) => this.facts(state, one)),
    });
    if (typeof past !== 'number') return past;
    state[PAST] = past;
    return null;
  }

  #spend(state: State, counter: { readonly shift: number } | null): void {
    if (counter !== null) state[SPENT] = at(state, SPENT) + (1 << counter.shift);
  }
}

export function at(state: State, place: number): number {
  const value = state[place];
  assert(value !== undefined, 'a state has eleven numbers', () => ({ place }));
  return value;
}

function wireOf(from: Place, to: Place): number {
  return 3 + from * 2 + (to > from ? to - 1 : to);
}

function countOf(
  spent: number,
  counter: { readonly shift: number; readonly mask: number },
): number {
  return (spent >> counter.shift) & counter.mask;
}

function emptyDisk(founding: Membership): DiskImage {
  return {
    hardState: { term: Term(0), votedFor: null },
    base: {
      last: { term: Term(0), index: LogIndex(0) },
      endOffset: PhysicalOffset(0),
      membership: { index: LogIndex(0), membership: founding },
    },
    entries: [],
    memberships: [],
  };
}
