/**
 * One script: a storm over a group of three whole nodes, then healing in steps, then the reckoning.
 *
 * 1. Storm: faults strike and heal; nothing unsafe may be seen.
 * 2. A majority is well, what ails the others stays for good: every request must be answered.
 * 3. All are well: all that can be members agree, and hold everything that was acknowledged.
 * 4. Cold start of all: the same again.
 *
 * Everything is decided by the script. Nothing in it waits for real time, a socket or a file, so a
 * script is the same run on every machine: its digest says so.
 */
import { Prng } from '../../src/base/prng.ts';
import type { StoredEntry } from '../../src/store/commit-log.ts';
import { keyedU32 } from '../sim/keyed-random.ts';
import type { CheckId, Violation } from './check-id.ts';
import { checkWorld } from './checks.ts';
import { plantCoreRules } from './core-rules.ts';
import { endOperations } from './end-operations.ts';
import { FaultEngine } from './fault-engine.ts';
import type { StackFaultKind } from './fault-script.ts';
import { GroupWatch } from './group-watch.ts';
import { LossRun } from './loss-run.ts';
import { Operators } from './operators.ts';
import type { StackProfile } from './profiles.ts';
import { setRealTimeTrap } from './real-time-trap.ts';
import { type StackScript, scriptOf } from './script.ts';
import { NO_BUGS, type StackBugs } from './stack-bugs.ts';
import type { StackNode } from './stack-node.ts';
import { StackWorld } from './stack-world.ts';
import { Workload } from './workload.ts';

const MAJORITY = 2;
const STEADY_PAUSE_MS = 60;
const FLOOD_MS = 500;
const FLOOD_PAUSE_MS = 8;
const DROUGHT_PAUSE_MS = 800;
/** For each of the steps after the storm. */
const CALM_TIMEOUT_MS = 60_000;
const REFUSAL_TIMEOUT_MS = 10_000;

export interface RunOptions {
  readonly bugs?: StackBugs;
  /** What these checks find is not seen. */
  readonly muted?: readonly CheckId[];
}

export interface RunResult {
  readonly seed: number;
  readonly profile: string;
  /** null: the promises were kept. */
  readonly violation: Violation | null;
  /** Of everything that could be seen, in order. */
  readonly digest: number;
  readonly eventCount: number;
  readonly simulatedMs: number;
  readonly checkCount: number;
  /** Requests that were answered, and messages acknowledged and consumed. */
  readonly answered: number;
  readonly acknowledged: number;
  readonly consumed: number;
  readonly entries: number;
  readonly leaders: number;
  /** How often a log lost its beginning, and how often one was replaced by a snapshot. */
  readonly compactions: number;
  readonly installs: number;
  readonly faults: ReadonlyMap<StackFaultKind, number>;
  /** Memberships that came into force, and what became of commands. */
  readonly configs: number;
  readonly commands: ReadonlyMap<string, number>;
}

export function runSeed(
  seed: number,
  profile: StackProfile,
  options: RunOptions = {},
): Promise<RunResult> {
  return runScript(scriptOf(seed, profile), options);
}

export async function runScript(script: StackScript, options: RunOptions = {}): Promise<RunResult> {
  const { retentionSizeBytes = null, founderCount, operations = null } = script;
  const watchGroup = operations === null ? null : (own: StackWorld) => new GroupWatch(own);
  const size = founderCount === undefined ? {} : { founderCount };
  const world = new StackWorld(script.seed, {
    ...{ ...options, ...size, retentionSizeBytes, watchGroup },
    // Else what is said of a time is only as good as the clocks.
    clocksAgree: script.loss != null && script.seed % 4 < 2,
  });
  const { observer } = world;
  const restoreRules = plantCoreRules(options.bugs ?? NO_BUGS);
  const removeTrap = setRealTimeTrap((what) => observer.violation('T1', `${what} was called`));
  try {
    const run = new Run(world, script);
    await run.play();
    await world.endAll();
    return run.result();
  } finally {
    removeTrap();
    restoreRules();
  }
}

class Run {
  readonly #world: StackWorld;
  readonly #script: StackScript;
  readonly #workload: Workload;
  readonly #faults: FaultEngine;
  readonly #random: Prng;
  readonly #operators: Operators | null;
  readonly #loss: LossRun | null;

  constructor(world: StackWorld, script: StackScript) {
    this.#world = world;
    this.#script = script;
    this.#workload = new Workload(world);
    this.#faults = new FaultEngine(world, script.faults);
    this.#random = new Prng(script.seed, 'healing');
    const { operations } = script;
    const { group } = world;
    this.#loss = script.loss == null ? null : new LossRun(world, this.#workload);
    if (this.#loss !== null) this.#workload.pauseMsAt = paceOf(script.seed);
    this.#operators = group === null ? null : new Operators(world, group, operations ?? []);
  }

  async play(): Promise<void> {
    const { observer } = this.#world;
    await this.#storm();
    const { loss = null } = this.#script;
    if (loss !== null) {
      if (!observer.isBroken) await this.#loss?.play(loss.awayMsMax);
      return;
    }
    if (!observer.isBroken) await this.#healMajority();
    if (!observer.isBroken) await this.#healRest();
    if (!observer.isBroken) await this.#endOperations();
    const log = observer.isBroken ? null : await checkWorld(this.#world, this.#workload);
    if (log !== null) await this.#startCold(log);
  }

  result(): RunResult {
    const { observer, clock } = this.#world;
    const workload = this.#workload;
    const { digest, eventCount, checkCount } = observer;
    return {
      ...{ digest, eventCount, checkCount },
      seed: this.#script.seed,
      profile: this.#script.profile,
      violation: observer.violations[0] ?? null,
      simulatedMs: clock.monotonicMs(),
      answered: workload.answeredCount,
      acknowledged: workload.receipts.size,
      consumed: workload.doneAtMs.size,
      entries: observer.appliedMax,
      leaders: observer.leaderCount,
      ...{ compactions: observer.compactionCount, installs: observer.installCount },
      faults: this.#faults.counts,
      configs: this.#world.group?.ledger.configs.length ?? 0,
      commands: this.#operators?.counts ?? this.#loss?.counts ?? new Map(),
    };
  }

  async #storm(): Promise<void> {
    const { chaosMs, producers, consumers } = this.#script;
    const { clock, observer } = this.#world;
    this.#world.startAll();
    this.#workload.start(producers, consumers);
    while (clock.monotonicMs() < chaosMs && !observer.isBroken) {
      await this.#world.step(() => this.#faults.run());
      this.#operators?.run();
      this.#loss?.watch();
    }
    if (this.#loss === null) this.#workload.stopping = true;
  }

  async #healMajority(): Promise<void> {
    const { observer, group } = this.#world;
    const core = group === null ? await this.#healCore() : await this.#healGroupCore(group);
    observer.note('core', ...core.map(({ nodeId }) => nodeId));
    const isOver = () => this.#workload.isOver || observer.isBroken;
    if (await this.#world.until(isOver, CALM_TIMEOUT_MS)) return;
    const missing = this.#workload.unconsumed;
    const states = this.#states();
    observer.violation('L1', `not all is answered; ${missing.length} unconsumed; ${states}`);
  }

  async #healCore(): Promise<readonly StackNode[]> {
    const core = shuffled(this.#world.soundNodes, this.#random).slice(0, MAJORITY);
    await this.#faults.healOnly(core);
    return core;
  }

  /** What a node believes is known when it runs: then some of them fall, as many as can be spared. */
  async #healGroupCore(group: GroupWatch): Promise<readonly StackNode[]> {
    const world = this.#world;
    this.#operators?.hurry();
    await this.#faults.healOnly([]);
    await this.#faults.healAll();
    const areUp = () => world.soundNodes.every(({ running }) => running?.gateway != null);
    await world.until(() => areUp() || world.observer.isBroken, CALM_TIMEOUT_MS);
    for (const node of shuffled(world.soundNodes, this.#random)) {
      if (this.#random.chance(1, 3) || !group.canSpare(node, 'running')) continue;
      await node.kill();
    }
    return world.nodes.filter(({ running }) => running !== null);
  }

  async #endOperations(): Promise<void> {
    const operators = this.#operators;
    const { group } = this.#world;
    if (operators === null || group === null) return;
    await endOperations(this.#world, group, operators);
    await this.#untilAgreed();
    const areTold = () => group.unawareNodes.length === 0;
    const { observer } = this.#world;
    if (!(await this.#world.until(() => areTold() || observer.isBroken, CALM_TIMEOUT_MS))) {
      const ids = group.unawareNodes.map(({ nodeId }) => nodeId);
      observer.violation('M3', `${ids} were removed and run as if they were not`);
    }
    for (const node of this.#world.soundNodes) group.checkTrail(node);
    operators.checkClaims();
  }

  async #healRest(): Promise<void> {
    const { observer } = this.#world;
    await this.#faults.healAll();
    await this.#untilAgreed();
    if (!observer.isBroken) await this.#expectRefusals();
  }

  async #untilAgreed(): Promise<void> {
    const { observer } = this.#world;
    const agree = () => {
      // Members may still leave.
      const { nodes, soundNodes } = this.#world;
      const all = soundNodes.map(({ running }) => running?.replica?.status() ?? null);
      const last = Math.max(...all.map((status) => status?.lastIndex ?? 0));
      const hasLeader = nodes.some(({ running }) => running?.replica?.status().role === 'leader');
      return hasLeader && all.every((status) => status?.appliedIndex === last);
    };
    if (await this.#world.until(() => agree() || observer.isBroken, CALM_TIMEOUT_MS)) return;
    observer.violation('L2', `the nodes do not agree: ${this.#states()}`);
  }

  /** Whoever is on a wrong directory for good must have been told so. */
  async #expectRefusals(): Promise<void> {
    const { nodes, refusals, observer } = this.#world;
    for (const node of nodes) {
      const { standing, nodeId } = node;
      if (this.#world.group !== null && node.hasRefused) continue;
      if (standing.kind === 'member') continue;
      const isRefused = () =>
        standing.kind === 'refusesToStart'
          ? node.hasRefused
          : standing.refusedAs.some((code) => (refusals.get(code) ?? 0) > 0);
      if (await this.#world.until(isRefused, REFUSAL_TIMEOUT_MS)) continue;
      if (standing.kind === 'impostor') {
        observer.violation('H21', `nobody has refused ${nodeId} as ${standing.refusedAs}`);
      } else {
        observer.violation('F2', `${nodeId} has not said that it cannot start`);
      }
    }
  }

  async #startCold(before: readonly StoredEntry[]): Promise<void> {
    const { nodes, observer } = this.#world;
    const how = this.#random.below(3);
    for (const node of nodes) {
      if (how === 0 && !node.isLost) await node.powerCut(this.#random);
      else await node.kill();
    }
    for (const node of nodes) node.start();
    await this.#untilAgreed();
    if (observer.isBroken) return;
    const after = await checkWorld(this.#world, this.#workload);
    if (after === null) return;
    const now = new Map(after.map(({ desc, bytes }) => [desc.index, bytes]));
    const first = after[0]?.desc.index ?? 0;
    const isSame = before.every(({ desc, bytes }) => {
      const same = now.get(desc.index);
      // A start may go on with a compaction.
      return desc.index < first || (same !== undefined && Buffer.compare(bytes, same) === 0);
    });
    if (!isSame) observer.violation('L2', 'after a cold start the log is another one');
  }

  #states(): string {
    const states = this.#world.nodes.map(({ nodeId, running, standing }) => {
      const status = running?.replica?.status();
      const { role, term, lastIndex, commitIndex, appliedIndex } = status ?? {};
      return { nodeId, standing: standing.kind, role, term, lastIndex, commitIndex, appliedIndex };
    });
    return JSON.stringify(states);
  }
}

/** Every other run is steady; in the others half a second of flood follows a drought, and so on. */
function paceOf(seed: number): (nowMs: number) => number {
  if (seed % 2 === 0) return () => STEADY_PAUSE_MS;
  return (nowMs) => {
    const isFlood = keyedU32(seed, Math.floor(nowMs / FLOOD_MS)) % 3 === 0;
    return isFlood ? FLOOD_PAUSE_MS : DROUGHT_PAUSE_MS;
  };
}

function shuffled(nodes: readonly StackNode[], random: Prng): readonly StackNode[] {
  const rest = [...nodes];
  return nodes.map(() => rest.splice(random.below(rest.length), 1)[0]!); // as many as there are
}

export function replayLine(seed: number, profile: string): string {
  return `node dist/test/stack/main.js --seed ${seed} --profile ${profile}`;
}
