/**
 * Carries out a schedule: finds the targets, takes what the fault must have for itself, and records
 * each fault from begin to end. Faults on the same node, and those that would together harm more copies
 * than the group can lose, do not overlap: the second one is recorded as skipped.
 */
import { setMaxListeners } from 'node:events';
import { unreachable } from '../../../src/base/assert.ts';
import type { BrokerNode } from '../harness/broker-node.ts';
import type { Cluster } from '../harness/cluster.ts';
import { POLL_INTERVAL_MS } from '../limits.ts';
import { clockDrift, clockJump, clockRate } from './clock.ts';
import { fillDisk, powerCut, stall, syncError } from './disks.ts';
import { type FaultContext, FaultImpossible } from './fault.ts';
import { damageLog, damageSuperblock, deleteDerived } from './files.ts';
import { forgottenByAll } from './forgotten-by-all.ts';
import { clone, oldCopy, stranger, wipe } from './identity.ts';
import { membership, replaceDead, transferStorm } from './operators.ts';
import { kill, pause, rollingRestart, rollingUpgrade } from './processes.ts';
import { replaceMember } from './replace-member.ts';
import { compactPast } from './retention.ts';
import type { ScheduledStep, Step, Target } from './step.ts';
import { clientCut, flap, oneWay, partition, slowLinks } from './ways.ts';

/** Rest until nothing of the directories is in doubt: at most a minority of them is at any time. */
const HARMS_COPIES: readonly Step['kind'][] = [
  ...(['damageLog', 'damageSuperblock', 'wipe', 'oldCopy', 'clone'] as const),
];

/** Of a step of a script for the moment at which it can be done. */
const PATIENCE_MS = 30_000;
/** Faults at work at once, with ample slack. */
const WAITING_MAX = 100;

export class Executor {
  readonly #cluster: Cluster;
  readonly #taken = new Set<string>();
  readonly #healing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #troubles: string[] = [];
  /** Of each step that has begun, by its number. */
  readonly #met: (readonly BrokerNode[])[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    setMaxListeners(WAITING_MAX, this.#healing.signal);
  }

  /**
   * Resolves when the last step has begun, or when everything is to be healed. With patience each step waits until it
   * is possible, and the later ones keep their distance: a script is a story, and on a slow machine a slow one.
   * @returns by how much it was late in the end
   */
  async run(schedule: readonly ScheduledStep[], isPatient = false): Promise<number> {
    const { recorder } = this.#cluster;
    let lateMs = 0;
    for (const scheduled of schedule) {
      await this.#lasting(scheduled.atMs + lateMs - recorder.nowMs());
      const { step } = scheduled;
      if (isPatient) {
        const deadlineAtMs = recorder.nowMs() + PATIENCE_MS;
        while (!this.#isPossible(step) && recorder.nowMs() < deadlineAtMs && !this.#isHealing) {
          await this.#lasting(POLL_INTERVAL_MS);
        }
        lateMs = Math.max(lateMs, recorder.nowMs() - scheduled.atMs);
      }
      if (this.#isHealing) return lateMs;
      const targets = this.#targetsOf(step);
      this.#met.push(targets);
      const running = this.#perform(scheduled, targets).finally(() =>
        this.#running.delete(running),
      );
      this.#running.add(running);
    }
    return lateMs;
  }

  get #isHealing(): boolean {
    return this.#healing.signal.aborted;
  }

  #isPossible(step: Step): boolean {
    const names = this.#targetsOf(step).map(({ nodeId }) => nodeId);
    return names.length > 0 && !neededBy(step, names).some((name) => this.#taken.has(name));
  }

  #targetsOf(step: Step): readonly BrokerNode[] {
    return 'target' in step ? this.#resolve(step.target) : this.#cluster.nodes;
  }

  /** What kept a nemesis from its work. */
  get troubles(): readonly string[] {
    return this.#troubles;
  }

  /** All faults end now. */
  async heal(): Promise<void> {
    this.#healing.abort();
    await Promise.all(this.#running);
    await this.#cluster.network.healAll();
    const { nodes } = this.#cluster;
    for (const node of nodes) {
      node.isHeld = false;
      if (node.isPaused) node.resume();
    }
    // All at once: those whose log is damaged wait for each other.
    await Promise.all(nodes.map((node) => node.start()));
  }

  async #perform({ row, step }: ScheduledStep, targets: readonly BrokerNode[]): Promise<void> {
    const { recorder } = this.#cluster;
    const beginMs = recorder.nowMs();
    const names = targets.map(({ nodeId }) => nodeId);
    const line = { row, kind: describe(step), targets: names, beginMs };
    const wanted = neededBy(step, names);
    const conflict = wanted.find((name) => this.#taken.has(name));
    const skip = (skipped: string): void =>
      recorder.fault({ ...line, endMs: recorder.nowMs(), skipped, note: '' });
    if (targets.length === 0) return skip('there is no such node at the moment');
    if (conflict !== undefined) return skip(`${conflict} is under another fault`);
    for (const name of wanted) this.#taken.add(name);
    let isWhole = true;
    try {
      const note = await perform({
        cluster: this.#cluster,
        step,
        targets,
        lasting: (ms) => this.#lasting(ms),
      });
      recorder.fault({ ...line, endMs: recorder.nowMs(), skipped: null, note });
      // A copy that has not come back counts as harmed for the rest of the run.
      isWhole = !note.includes('NOT WHOLE');
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      skip(error.message);
      // A nemesis that could not do its work, or undo it, makes the run worthless: the run must say so.
      if (!(error instanceof FaultImpossible))
        this.#troubles.push(`${line.kind}: ${error.message}`);
    } finally {
      for (const name of wanted) if (isWhole || name !== 'copies') this.#taken.delete(name);
    }
  }

  #resolve(target: Target): readonly BrokerNode[] {
    const { nodes, watch } = this.#cluster;
    const leader = watch.leader();
    const followers = nodes.filter(({ nodeId }) => nodeId !== leader);
    switch (target.pick) {
      case 'leader':
        return nodes.filter(({ nodeId }) => nodeId === leader);
      case 'follower':
        return followers.slice(target.nth, target.nth + 1);
      case 'node':
        return nodes.filter(({ nodeId }) => nodeId === target.nodeId);
      case 'followers':
        return followers;
      case 'all':
        return nodes;
      case 'sameAs':
        return this.#met[target.step] ?? [];
      case 'otherThan':
        return nodes.filter((node) => !this.#met[target.step]?.includes(node));
      default:
        return unreachable(target);
    }
  }

  #lasting(ms: number): Promise<void> {
    const { signal } = this.#healing;
    if (ms <= 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(end, ms);
      function end(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      }
      signal.addEventListener('abort', end);
    });
  }
}

/** What it must have for itself. */
function neededBy(step: Step, names: readonly string[]): string[] {
  switch (step.kind) {
    case 'partition':
    case 'oneWay':
    case 'flap':
    case 'slowLinks':
      return ['the network'];
    case 'clientCut':
      return ['the network of clients'];
    case 'transferStorm':
      return ['the leadership'];
    case 'membership':
    case 'replaceDead':
      return ['the membership'];
    case 'clockJump':
    case 'clockRate':
      return names.map((name) => `the clock of ${name}`);
    case 'compactPast':
      // Two that are away for so long are no minority of three.
      return [...names, 'the place of who is away'];
    case 'forgottenByAll':
      return [...names, 'the network', 'copies'];
    case 'replaceMember':
      return [...names, 'the membership', 'copies'];
    case 'stranger':
      return ['the address of twins'];
    case 'clone':
      return [...names, 'the address of twins', 'copies'];
    default:
      return HARMS_COPIES.includes(step.kind) ? [...names, 'copies'] : [...names];
  }
}

/** The kind, with what distinguishes it within its row. */
function describe(step: Step): string {
  switch (step.kind) {
    case 'partition':
    case 'oneWay':
      return `${step.kind} ${step.shape}`;
    case 'powerCut':
      return `powerCut ${step.target.pick}`;
    case 'damageLog':
      return step.isHelix ? 'damageLog helix' : `damageLog ${step.damage}`;
    case 'damageSuperblock':
      return `damageSuperblock ${step.slots.join('+')}`;
    case 'forgottenByAll':
      return `forgottenByAll ${step.by}`;
    case 'syncError':
      return `syncError ${step.always ? 'always' : 'once'}`;
    case 'clockRate':
    case 'clockDrift':
      return `${step.kind} x${step.rate}`;
    default:
      return step.kind;
  }
}

function perform({ step, ...rest }: FaultContext): Promise<string> {
  switch (step.kind) {
    case 'kill':
      return kill({ ...rest, step });
    case 'pause':
      return pause({ ...rest, step });
    case 'rollingRestart':
      return rollingRestart({ ...rest, step });
    case 'transferStorm':
      return transferStorm({ ...rest, step });
    case 'membership':
      return membership({ ...rest, step });
    case 'replaceDead':
      return replaceDead({ ...rest, step });
    case 'replaceMember':
      return replaceMember({ ...rest, step });
    case 'rollingUpgrade':
      return rollingUpgrade({ ...rest, step });
    case 'compactPast':
      return compactPast({ ...rest, step });
    case 'partition':
      return partition({ ...rest, step });
    case 'oneWay':
      return oneWay({ ...rest, step });
    case 'flap':
      return flap({ ...rest, step });
    case 'clientCut':
      return clientCut({ ...rest, step });
    case 'slowLinks':
      return slowLinks({ ...rest, step });
    case 'powerCut':
      return powerCut({ ...rest, step });
    case 'syncError':
      return syncError({ ...rest, step });
    case 'stall':
      return stall({ ...rest, step });
    case 'fillDisk':
      return fillDisk({ ...rest, step });
    case 'damageLog':
      return damageLog({ ...rest, step });
    case 'damageSuperblock':
      return damageSuperblock({ ...rest, step });
    case 'deleteDerived':
      return deleteDerived({ ...rest, step });
    case 'wipe':
      return wipe({ ...rest, step });
    case 'forgottenByAll':
      return forgottenByAll({ ...rest, step });
    case 'oldCopy':
      return oldCopy({ ...rest, step });
    case 'clone':
      return clone({ ...rest, step });
    case 'stranger':
      return stranger({ ...rest, step });
    case 'clockJump':
      return clockJump({ ...rest, step });
    case 'clockRate':
      return clockRate({ ...rest, step });
    case 'clockDrift':
      return clockDrift({ ...rest, step });
    default:
      return unreachable(step);
  }
}
