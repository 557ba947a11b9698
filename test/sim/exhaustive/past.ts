/**
 * What must be remembered of a schedule to judge what comes next: who led when, what was committed,
 * what clients were told. As a value with a number it is part of the state.
 */
import { assert } from '../../../src/base/assert.ts';
import { LogIndex } from '../../../src/base/units.ts';
import type { Happening, Past } from './history.ts';
import {
  breachOfCommitted,
  breachOfDurability,
  breachOfLeader,
  breachOfMemberships,
} from './invariants.ts';
import type { Breach } from './local-action.ts';

const NOTHING: Past = { leaders: [], committed: [], acknowledgedIndex: 0, reads: [] };

export class Pasts {
  readonly #pasts: Past[] = [];
  readonly #ids = new Map<string, number>();
  /** By past: states of nodes that agree with it and add nothing to it. */
  readonly #settled: Set<number>[] = [];

  constructor() {
    this.#idOf(NOTHING);
  }

  get(id: number): Past {
    const past = this.#pasts[id];
    assert(past !== undefined, 'a past is known', () => ({ id }));
    return past;
  }

  /** @returns the number of the past with this added to it, or what it breaks. */
  extend(id: number, happening: Happening): number | Breach {
    const { events, localId } = happening;
    const settled = this.#settled[id];
    assert(settled !== undefined, 'a past is known', () => ({ id }));
    if (events.length === 0 && settled.has(localId)) return id;
    const extended = extend(this.get(id), happening);
    if ('invariant' in extended) return extended;
    const extendedId = this.#idOf(extended);
    if (extendedId === id) settled.add(localId);
    return extendedId;
  }

  #idOf(past: Past): number {
    const key = JSON.stringify(past);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#pasts.length;
    this.#pasts.push(past);
    this.#settled.push(new Set());
    this.#ids.set(key, id);
    return id;
  }
}

function extend(past: Past, happening: Happening): Past | Breach {
  const broken = happening.events.find((event) => event.kind === 'breach');
  if (broken !== undefined) return { invariant: broken.invariant, message: broken.message };
  const led = withLeader(past, happening);
  if ('invariant' in led) return led;
  const committed = withCommitted(led, happening);
  if ('invariant' in committed) return committed;
  const { after, place } = happening;
  const breach =
    breachOfCommitted(committed, place, after) ?? breachOfMemberships(committed, place, after);
  return breach ?? withEvents(committed, happening);
}

function withLeader(past: Past, { place, after }: Happening): Past | Breach {
  const { role, term } = after;
  if (role !== 'leader') return past;
  const known = past.leaders[term] ?? null;
  if (known === place) return past;
  if (known !== null) {
    return { invariant: 'I1', message: `n${known + 1} and n${place + 1} lead in term ${term}` };
  }
  const leaders = Array.from({ length: Math.max(past.leaders.length, term + 1) }, (_, i) => {
    return i === term ? place : (past.leaders[i] ?? null);
  });
  return breachOfLeader(past, place, after) ?? { ...past, leaders };
}

function withCommitted(past: Past, happening: Happening): Past | Breach {
  const { after, place, group } = happening;
  if (after.commitIndex <= past.committed.length) return past;
  const committed = [...past.committed];
  for (let index = committed.length + 1; index <= after.commitIndex; index++) {
    const term = after.log.terms[index - after.log.base.index - 1];
    if (term === undefined) {
      const message = `n${place + 1} begins with a snapshot up to ${index}, which nobody committed`;
      return { invariant: 'I4', message };
    }
    const breach = breachOfDurability({ index: LogIndex(index), term }, happening);
    if (breach !== null) return breach;
    committed.push({ term, committedIn: after.term });
  }
  const extended = { ...past, committed };
  for (const [i, facts] of group.entries()) {
    const breach = facts.role === 'leader' ? breachOfLeader(extended, i, facts) : null;
    if (breach !== null) return breach;
  }
  return extended;
}

function withEvents(past: Past, { events, place }: Happening): Past | Breach {
  let { acknowledgedIndex, reads } = past;
  for (const event of events) {
    switch (event.kind) {
      case 'acknowledged': {
        const { index, term } = event;
        if (past.committed[index - 1]?.term !== term) {
          const message = `n${place + 1} acknowledges ${index}/${term}, which is not committed`;
          return { invariant: 'I8', message };
        }
        acknowledgedIndex = Math.max(acknowledgedIndex, index);
        break;
      }
      case 'readAsked':
        reads = [...reads, { tag: event.tag, place, floor: acknowledgedIndex }];
        break;
      case 'readConfirmed': {
        const { tag, index } = event;
        const read = reads.find((one) => one.tag === tag);
        assert(read !== undefined, 'an answer belongs to a read', () => ({ tag }));
        if (index < read.floor) {
          const message = `n${place + 1} answers from ${index}; ${read.floor} was acknowledged before it was asked`;
          return { invariant: 'O3', message };
        }
        reads = reads.filter((one) => one.tag !== tag);
        break;
      }
      case 'readOver':
        reads = reads.filter((one) => one.tag !== event.tag);
        break;
      case 'readsLost':
        reads = reads.filter((one) => one.place !== place);
        break;
      case 'breach':
        break;
    }
  }
  return { ...past, acknowledgedIndex, reads };
}
