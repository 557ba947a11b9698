/**
 * Looks at every schedule of a few steps and few faults after a scripted opening, breadth first, with
 * the invariants checked after every step. What it finds is the shortest way there.
 *
 * What is not explored:
 * - Time. Election timers run out when a choice says so; a follower lets go of its leader whenever
 *   somebody else asks for its vote (its refusal would differ only in the time lost). So leader
 *   stickiness, the abort of a transfer, preference by priority, patience with slow peers, stalled
 *   disks and the log-extent poll are left to the simulator of random schedules.
 * - Pre-vote, but in the openings that ask for it: it adds four messages to each election and can only
 *   prevent elections, so without it more schedules are looked at.
 * - More than one message overtaken at a time, and a node that stays down: one that restarts at once
 *   and is given no choice is the same to the others.
 * - A commit index that survives a restart: it begins at the snapshot. Applying is done at once.
 * - Damaged, lying or full disks.
 *
 * Nodes are computed once per state of a node and looked up after that (local-states.ts); a violation
 * is confirmed by walking its path with three cores that share nothing.
 */

import { type SafetyRules, standardRules } from '../../../src/raft/rules.ts';
import { choiceOf } from './choice.ts';
import type { Breach } from './local-action.ts';
import type { Mark } from './marks.ts';
import { type Opening, prepare } from './openings.ts';
import { walk } from './replay.ts';
import { StateTable } from './state-table.ts';
import { STATE_SIZE, type World } from './world.ts';

export interface Limits {
  readonly depth: number;
  readonly faults: number;
  /** States in memory, about 100 bytes each. */
  readonly statesMax: number;
  readonly isOver?: () => boolean;
  readonly rules?: SafetyRules;
}

export interface Violation extends Breach {
  /** The opening and the schedule after it, as lines. */
  readonly path: readonly string[];
  /** For `walk` in replay.ts. */
  readonly choices: readonly number[];
  /** Three cores that share nothing break the same on the same path. */
  readonly isConfirmed: boolean;
}

export interface Exploration {
  readonly opening: string;
  readonly statesSeen: number;
  readonly transitions: number;
  /** Choices after the opening in the longest schedule looked at. */
  readonly depthReached: number;
  /** Every schedule of at most `depth` choices within the budget was looked at. */
  readonly isComplete: boolean;
  /** There are no longer schedules: all of them were looked at, however deep. */
  readonly isExhausted: boolean;
  /** What happened at some node in some schedule, the opening included. */
  readonly marks: ReadonlySet<Mark>;
  readonly nodeStates: number;
  /** How much the three real cores did, replays included. */
  readonly nodeActions: number;
  readonly violation: Violation | null;
}

export function explore(opening: Opening, limits: Limits): Exploration {
  const rules = limits.rules ?? standardRules;
  const { world, state, breach } = prepare(opening, { rules, faults: limits.faults, merges: true });
  const search = new Search(world, limits);
  if (breach === null) {
    search.table.add(state, 0, 0);
    search.run();
  }
  const { table, transitions, depth, found, isCut } = search;
  const broken = breach !== null ? { breach, choices: [] } : found;
  return {
    opening: opening.name,
    statesSeen: table.count,
    transitions,
    depthReached: depth,
    isComplete: !isCut && broken === null,
    isExhausted: search.isExhausted,
    marks: world.nodes.marks,
    nodeStates: world.nodes.count,
    nodeActions: world.nodes.actionCount,
    violation: broken === null ? null : confirm(opening, limits, broken),
  };
}

interface Found {
  readonly breach: Breach;
  readonly choices: readonly number[];
}

class Search {
  readonly table = new StateTable();
  readonly #world: World;
  readonly #limits: Limits;
  transitions = 0;
  depth = 0;
  found: Found | null = null;
  isCut = false;
  isExhausted = false;
  readonly #state = new Int32Array(STATE_SIZE);
  readonly #next = new Int32Array(STATE_SIZE);

  constructor(world: World, limits: Limits) {
    this.#world = world;
    this.#limits = limits;
  }

  run(): void {
    let levelStart = 0;
    while (this.depth < this.#limits.depth) {
      const levelEnd = this.table.count;
      for (let id = levelStart; id < levelEnd; id++) {
        this.#expand(id);
        if (this.found !== null || this.isCut) return;
      }
      if (this.table.count === levelEnd) {
        this.isExhausted = true;
        return;
      }
      levelStart = levelEnd;
      this.depth++;
    }
  }

  #expand(id: number): void {
    this.table.read(id, this.#state);
    for (const code of this.#world.choices(this.#state)) {
      this.#next.set(this.#state);
      const breach = this.#world.step(this.#next, choiceOf(code));
      this.transitions++;
      if (breach !== null) {
        this.found = { breach, choices: [...this.table.pathTo(id), code] };
        return;
      }
      this.table.add(this.#next, id, code);
    }
    const { statesMax, isOver } = this.#limits;
    const isTimeToAsk = (id & 1023) === 0;
    this.isCut = this.table.count >= statesMax || (isTimeToAsk && isOver?.() === true);
  }
}

function confirm(opening: Opening, limits: Limits, { breach, choices }: Found): Violation {
  const { rules = standardRules, faults } = limits;
  const walked = walk(opening, choices, { rules, faults });
  const isConfirmed = walked.breach?.invariant === breach.invariant;
  return { ...breach, choices, path: walked.lines, isConfirmed };
}
