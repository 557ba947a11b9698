/**
 * The phases after the chaos, and what must come true in each (V1 to V4):
 *
 * - core: a random majority of voters is healed, everything else stays as it is for ever. A leader is
 *   there within five election timeouts, and every client of the core gets an answer.
 * - healed: everybody is up and connected; all members hold and have applied the same.
 * - cold: all die at once and restart; the same digest comes back.
 *
 * A phase may take longer as long as it gets on: nodes have logs to catch up with.
 */

import type { Checker } from './checkers/observers.ts';
import type { Judge } from './checkers/violation.ts';
import { keyedU32 } from './keyed-random.ts';
import { chooseCore, leaderOf, soundMembers } from './members.ts';
import type { Accepted, SimNode } from './node.ts';
import { ELECTION_TIMEOUT_MS_MAX } from './timing.ts';
import type { Script, World } from './world.ts';

type Phase = 'chaos' | 'core' | 'healed' | 'cold';

const LEADER_ELECTION_TIMEOUTS_MAX = 5;
/** Old messages may still wander about for two of them, a split vote costs one. */
const STILL_ELECTION_TIMEOUTS_MAX = 10;
/** A group that elects for ever makes progress of a kind. */
const PHASE_ELECTION_TIMEOUTS_MAX = 150;
const PROBE_EVERY_MS = 100;
const PROBE_PAYLOAD_SIZE_BYTES = 16;
/** Values of probes start here: above all that clients propose. */
const PROBE_VALUE_MIN = 2 ** 31;
/** Terms that a phase may use up: a few campaigns, and those that were under way. */
const TERMS_PER_PHASE_MAX = 20;
const QUEUED_EVENTS_MAX = 20_000;
const COLD_SALT = 61;

interface PhaseStart {
  readonly atMs: number;
  readonly term: number;
}

export class LivenessProbe implements Checker {
  readonly #world: World;
  readonly #judge: Judge;
  readonly #seed: number;
  readonly #isUndisturbed: boolean;
  #phase: Phase = 'chaos';
  #start: PhaseStart = { atMs: 0, term: 0 };
  #core: ReadonlySet<SimNode> | null = null;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #endMs = Number.POSITIVE_INFINITY;
  #nextValue = PROBE_VALUE_MIN;
  #ackedValue = 0;
  #ackedBefore = 0;
  #readTags = new Map<SimNode, number>();
  #hasRead = false;
  #hasSeenLeader = false;
  #isDone = false;
  #proposeAtMs = 0;
  /** Per node, what it had applied and written at the last look. */
  #sums: number[] = [];
  #electionCount = 0;
  /** What the state was before the cold restart. */
  #before: { readonly index: number; readonly digest: number } | null = null;

  constructor(world: World, judge: Judge, script: Script) {
    this.#world = world;
    this.#judge = judge;
    this.#seed = script.seed;
    const { network } = script.profile;
    const isQuiet = network.lossPermille === 0 && network.slowPermille === 0;
    const isLedOnly = script.ops.every(({ kind }) => kind === 'propose' || kind === 'read');
    this.#isUndisturbed = script.faults.length === 0 && isQuiet && isLedOnly;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** The chaos is over. */
  begin(): void {
    this.#judge.require(!this.#isUndisturbed || this.#electionCount <= 1, 'V4', () => {
      return `${this.#electionCount} elections without a fault`;
    });
    const core = chooseCore(this.#world.nodes, this.#seed);
    if (core === null) {
      this.#heal();
    } else {
      this.#world.marks.hit('coreHealed');
      this.#core = core;
      this.#world.faults.freeze(core);
      this.#enter('core');
    }
    this.#probeLater();
  }

  elected(): void {
    this.#electionCount += 1;
  }

  acknowledged(_node: SimNode, { value }: Accepted): void {
    if (value >= PROBE_VALUE_MIN) this.#ackedValue = Math.max(this.#ackedValue, value);
  }

  readAnswered(node: SimNode, tag: number): void {
    if (this.#readTags.get(node) === tag) this.#hasRead = true;
  }

  probe(): void {
    const leader = this.#leader();
    if (leader !== undefined) this.#hasSeenLeader = true;
    if (leader !== undefined && this.#isAtRest(leader)) {
      this.#finishPhase(leader);
      return;
    }
    this.#extendOnProgress();
    this.#judgeDelay(leader);
    if (this.#isDone) return;
    if (leader !== undefined) this.#ask(leader);
    this.#probeLater();
  }

  #ask(leader: SimNode): void {
    const { nowMs } = this.#world;
    if (nowMs < this.#proposeAtMs) return;
    this.#proposeAtMs = nowMs + ELECTION_TIMEOUT_MS_MAX;
    if (!this.#isAcked) leader.propose([this.#nextValue++], PROBE_PAYLOAD_SIZE_BYTES);
    if (!this.#hasRead && leader.isLeader) {
      this.#readTags.set(leader, leader.clients.nextTag);
      leader.read();
    }
  }

  get #isAcked(): boolean {
    return this.#ackedValue > this.#ackedBefore;
  }

  #enter(phase: Phase): void {
    const { nowMs } = this.#world;
    this.#phase = phase;
    this.#start = { atMs: nowMs, term: this.#maxTerm() };
    this.#endMs = nowMs + PHASE_ELECTION_TIMEOUTS_MAX * ELECTION_TIMEOUT_MS_MAX;
    this.#ackedBefore = this.#ackedValue;
    this.#readTags = new Map();
    this.#hasRead = false;
    this.#hasSeenLeader = false;
    this.#proposeAtMs = nowMs;
    this.#sums = [];
    this.#extend();
  }

  #heal(): void {
    this.#core = null;
    this.#world.faults.healAll();
    this.#enter('healed');
  }

  #finishPhase(leader: SimNode): void {
    this.#judgeGrowth();
    switch (this.#phase) {
      case 'chaos':
        return;
      case 'core':
        this.#heal();
        break;
      case 'healed':
        this.#judgeEquality(leader);
        this.#restartCold(leader);
        break;
      case 'cold':
        this.#judgeEquality(leader);
        this.#judgeMemory(leader);
        this.#isDone = true;
        return;
    }
    this.#probeLater();
  }

  #restartCold(leader: SimNode): void {
    this.#before = { index: leader.appliedIndex, digest: leader.appliedDigest };
    const word = keyedU32(this.#seed, leader.appliedIndex, COLD_SALT);
    this.#world.faults.crashAll({
      downMs: 1 + (word % 500),
      keepPersists: word >>> 4,
      keepParts: word >>> 8,
      memory: word % 3 === 0 ? 'applied' : 'nothing',
      losesSent: true,
    });
    this.#enter('cold');
  }

  #judgeEquality(leader: SimNode): void {
    for (const node of this.#awaited(leader)) {
      this.#judge.require(node.appliedDigest === leader.appliedDigest, 'I9', () => {
        return `at ${leader.appliedIndex} ${node.id} has another digest than ${leader.id}`;
      });
    }
  }

  #judgeMemory(leader: SimNode): void {
    const before = this.#before;
    if (before === null) return;
    for (const node of this.#awaited(leader)) {
      const digest = node.digestAt(before.index);
      this.#judge.require(digest === null || digest === before.digest, 'I9', () => {
        return `${node.id} comes back from the cold with another history up to ${before.index}`;
      });
    }
  }

  #judgeGrowth(): void {
    const terms = this.#maxTerm() - this.#start.term;
    this.#judge.require(terms <= TERMS_PER_PHASE_MAX, 'V3', () => {
      return `${terms} terms in phase ${this.#phase}`;
    });
    const { queuedEventCount } = this.#world;
    this.#judge.require(queuedEventCount <= QUEUED_EVENTS_MAX, 'V3', () => {
      return `${queuedEventCount} events are under way at the end of phase ${this.#phase}`;
    });
  }

  #judgeDelay(leader: SimNode | undefined): void {
    const { nowMs } = this.#world;
    const state = () => `phase ${this.#phase}: ${this.#describeAll()}`;
    const leaderDueMs = this.#start.atMs + LEADER_ELECTION_TIMEOUTS_MAX * ELECTION_TIMEOUT_MS_MAX;
    const isLeaderLate = !this.#hasSeenLeader && nowMs > leaderDueMs;
    this.#judge.require(!isLeaderLate, 'V1', state);
    if (nowMs < this.#deadlineMs) return;
    this.#judge.require(leader !== undefined, 'V1', state);
    this.#judge.require(false, 'V2', state);
    this.#isDone = true; // both are muted
  }

  #extend(): void {
    const stillMs = STILL_ELECTION_TIMEOUTS_MAX * ELECTION_TIMEOUT_MS_MAX;
    this.#deadlineMs = Math.min(this.#world.nowMs + stillMs, this.#endMs);
  }

  /** Each node for itself: a tail that is cut on one must not hide what another applies. */
  #extendOnProgress(): void {
    let hasMoved = false;
    for (const { place, appliedIndex, disk } of this.#world.nodes) {
      const sum = appliedIndex + disk.durableIndex;
      if (sum > (this.#sums[place] ?? 0)) hasMoved = true;
      this.#sums[place] = sum;
    }
    if (hasMoved) this.#extend();
  }

  #probeLater(): void {
    this.#world.schedule(this.#world.nowMs + PROBE_EVERY_MS, { kind: 'probe' });
  }

  /** A leader whom nobody paused or cut off; in the core phase, one that the core can hear. */
  #leader(): SimNode | undefined {
    const { nodes, faults } = this.#world;
    return leaderOf(nodes.filter((node) => node.isUp && !faults.isPaused(node)));
  }

  /** Who must catch up in this phase. */
  #awaited(leader: SimNode): readonly SimNode[] {
    const members = soundMembers(this.#world.nodes, leader.status.membership.membership);
    const core = this.#core;
    if (core === null) return members;
    // A leader outside of the core may serve a majority and yet have no way to one of the core.
    const { network } = this.#world;
    return members.filter(({ place }) => {
      const isReached = !network.isCut(leader.place, place) && !network.isCut(place, leader.place);
      return isReached && [...core].some((node) => node.place === place);
    });
  }

  #isAtRest(leader: SimNode): boolean {
    if (!this.#isAcked || !this.#hasRead) return false;
    const { lastIndex, membership } = leader.status;
    if (membership.membership.outgoing.length > 0) return false;
    return this.#awaited(leader).every((node) => {
      return node.isUp && node.appliedIndex === lastIndex && node.clients.dueCount === 0;
    });
  }

  #maxTerm(): number {
    return Math.max(...this.#world.nodes.map(({ disk }) => disk.image.hardState.term));
  }

  #describeAll(): string {
    const core = this.#core;
    return this.#world.nodes
      .map((node) => `${core?.has(node) === true ? '*' : ''}${describe(node)}`)
      .join('; ');
  }
}

function describe(node: SimNode): string {
  if (!node.isUp) return `${node.id} down`;
  const { role, term, lastIndex, durableIndex, commitIndex, appliedIndex, baseIndex } = node.status;
  const indexes = `base ${baseIndex}, last ${lastIndex}, durable ${durableIndex}, commit ${commitIndex}`;
  const { voters, outgoing, learners } = node.membership.membership;
  const group = `voters ${voters.join(' ')}, outgoing ${outgoing.join(' ')}, learners ${learners.join(' ')}`;
  const lost = node.hasLostMemory ? ' (lost its memory)' : '';
  const open = `open ${node.clients.describe()}`;
  return `${node.id}${lost} ${role} in term ${term}: ${indexes}, applied ${appliedIndex}, ${open}, ${group}`;
}
