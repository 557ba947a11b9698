/**
 * The phase after the chaos (V1, V2): there is a leader, a new proposal commits, and all nodes apply
 * the same log. A bounded number of election timeouts may pass without any progress; how long the
 * whole takes depends on how far behind the nodes are.
 */
import type { Checker } from './checkers/observers.ts';
import type { Judge } from './checkers/violation.ts';
import type { Accepted, SimNode } from './node.ts';
import { ELECTION_TIMEOUT_MS_MAX } from './timing.ts';
import type { World } from './world.ts';

/** Old messages may still wander about for two of them, a split vote costs one. */
const ELECTION_TIMEOUTS_MAX = 10;
/** A group that elects for ever makes progress of a kind. */
const ELECTION_TIMEOUTS_IN_ALL_MAX = 150;
const PROBE_EVERY_MS = 100;
const PROBE_PAYLOAD_SIZE_BYTES = 16;
/** Values of probes start here: above all that clients propose. */
const PROBE_VALUE_MIN = 2 ** 31;

export class LivenessProbe implements Checker {
  readonly #world: World;
  readonly #judge: Judge;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #nextValue = PROBE_VALUE_MIN;
  #isAcked = false;
  #isDone = false;
  #endMs = Number.POSITIVE_INFINITY;
  #proposeAtMs = 0;
  #bestSum = 0;

  constructor(world: World, judge: Judge) {
    this.#world = world;
    this.#judge = judge;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  begin(): void {
    this.#endMs = this.#world.nowMs + ELECTION_TIMEOUTS_IN_ALL_MAX * ELECTION_TIMEOUT_MS_MAX;
    this.#extend();
    this.#probeLater();
  }

  acknowledged(_node: SimNode, { value }: Accepted): void {
    if (value >= PROBE_VALUE_MIN) this.#isAcked = true;
  }

  probe(): void {
    const leader = this.#leader();
    if (this.#isAcked && this.#isAtRest(leader)) {
      this.#isDone = true;
      return;
    }
    this.#extendOnProgress();
    if (this.#world.nowMs >= this.#deadlineMs) {
      this.#giveUp(leader);
      return;
    }
    const mayPropose = !this.#isAcked && this.#world.nowMs >= this.#proposeAtMs;
    if (mayPropose && leader !== undefined) {
      this.#proposeAtMs = this.#world.nowMs + ELECTION_TIMEOUT_MS_MAX;
      leader.propose([this.#nextValue++], PROBE_PAYLOAD_SIZE_BYTES);
    }
    this.#probeLater();
  }

  #extend(): void {
    const deadlineMs = this.#world.nowMs + ELECTION_TIMEOUTS_MAX * ELECTION_TIMEOUT_MS_MAX;
    this.#deadlineMs = Math.min(deadlineMs, this.#endMs);
  }

  #extendOnProgress(): void {
    const sumOf = ({ appliedIndex, disk }: SimNode) => appliedIndex + disk.durableIndex;
    const sum = this.#world.nodes.reduce((total, node) => total + sumOf(node), 0);
    if (sum <= this.#bestSum) return;
    this.#bestSum = sum;
    this.#extend();
  }

  #giveUp(leader: SimNode | undefined): void {
    const state = () => this.#world.nodes.map((node) => describe(node)).join('; ');
    this.#judge.require(leader !== undefined, 'V1', state);
    this.#judge.require(false, 'V2', state);
    this.#isDone = true; // both are muted
  }

  #probeLater(): void {
    this.#world.schedule(this.#world.nowMs + PROBE_EVERY_MS, { kind: 'probe' });
  }

  #leader(): SimNode | undefined {
    const leaders = this.#world.nodes.filter(({ isLeader }) => isLeader);
    return leaders.sort((a, b) => b.status.term - a.status.term)[0];
  }

  #isAtRest(leader: SimNode | undefined): boolean {
    if (leader === undefined) return false;
    const { lastIndex } = leader.status;
    return this.#world.nodes.every((node) => node.appliedIndex === lastIndex);
  }
}

function describe(node: SimNode): string {
  const { role, term, lastIndex, durableIndex, commitIndex, appliedIndex } = node.status;
  const indexes = `last ${lastIndex}, durable ${durableIndex}, commit ${commitIndex}`;
  return `${node.id} ${role} in term ${term}: ${indexes}, applied ${appliedIndex}`;
}
