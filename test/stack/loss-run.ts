/**
 * Most of a group is lost at one moment, and a node that is left is recovered (`mq-raft unsafe-recover`), as its
 * operator would do it: survey, plan, carry out, interrupted as often as the seed says. What was truly committed,
 * and when, is known here; nobody who recovers knows it.
 */
import { Prng } from '../../src/base/prng.ts';
import { LogIndex } from '../../src/base/units.ts';
import { ENTRY_HEADER_SIZE_BYTES } from '../../src/raft/entry.ts';
import { dumpLog } from '../../src/store/inspect/dump-log.ts';
import { disagreementsAmong } from '../../src/store/recover/disagreements.ts';
import { planRecovery, type RecoveryPlan } from '../../src/store/recover/recovery-plan.ts';
import { type Survivor, surveySurvivor } from '../../src/store/recover/survivor.ts';
import {
  executeRecovery,
  type RecoveryTask,
  taskOf,
  unfinishedTask,
} from '../../src/store/recover/unsafe-recovery.ts';
import { textOf } from './admin-link.ts';
import { STORE_DIRECTORY } from './incarnation.ts';
import { LossTruth } from './loss-truth.ts';
import { NewHistory } from './new-history.ts';
import { CLOCK_AHEAD_MS_MAX, type StackNode } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';
import type { Workload } from './workload.ts';

const READ_MS = 60_000;
const INTERRUPTIONS_MAX = 4;
const STEPS_BEFORE_CUT_MAX = 40;

export class LossRun {
  readonly #world: StackWorld;
  readonly #workload: Workload;
  readonly #random: Prng;
  readonly #truth: LossTruth;

  constructor(world: StackWorld, workload: Workload) {
    this.#world = world;
    this.#workload = workload;
    this.#random = new Prng(world.seed, 'loss');
    this.#truth = new LossTruth(world, workload);
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#truth.counts;
  }

  /** In every round of the storm. */
  watch(): void {
    this.#truth.look();
  }

  async play(awayMsMax: number): Promise<void> {
    const { observer } = this.#world;
    const survivors = await this.#lose(awayMsMax);
    const found = await this.#survey(survivors);
    if (found === null || observer.isBroken) return;
    const plan = await this.#plan(found, survivors);
    if (plan === null || observer.isBroken) return;
    const winner = survivors.find(({ nodeId }) => nodeId === plan.winner.nodeId);
    if (winner === undefined) throw new Error('the winner is one of the survivors');
    const kept = await this.#read(winner);
    const messages = this.#truth.check(plan, kept);
    if (observer.isBroken || !(await this.#recover(winner, plan))) return;
    const history = new NewHistory(this.#world, this.#workload, this.#random);
    await history.check(winner, plan, { entries: kept, messages });
  }

  /** @returns who is left, with no process */
  async #lose(awayMsMax: number): Promise<readonly StackNode[]> {
    const world = this.#world;
    const { nodes, network, observer } = world;
    const random = this.#random;
    const { left, rest } = this.#divide();
    const isAway = random.chance(5, 6);
    const edges = left.flatMap((a) =>
      rest.flatMap((b) => [[a.nodeId, b.nodeId] as const, [b.nodeId, a.nodeId] as const]),
    );
    if (isAway) network.block(edges);
    const untilMs = world.clock.monotonicMs() + random.below(awayMsMax);
    while (world.clock.monotonicMs() < untilMs && !observer.isBroken) {
      await world.step(async () => this.watch());
    }
    this.#truth.look();
    this.#truth.end();
    this.#workload.abandon();
    for (const node of nodes) {
      if (left.includes(node) && random.chance(1, 2)) await node.kill();
      else await node.powerCut(random);
      node.isHeld = true;
    }
    network.unblockAmong(world.nodeIds);
    observer.note('lost', ...rest.map(({ nodeId }) => nodeId));
    return left;
  }

  /** A minority is left: often the leader, with what it has appended while nobody follows it. */
  #divide(): { readonly left: readonly StackNode[]; readonly rest: readonly StackNode[] } {
    const { nodes } = this.#world;
    const random = this.#random;
    const rest = [...nodes];
    const left: StackNode[] = [];
    const take = (place: number) => left.push(...rest.splice(place, 1));
    const leads = rest.findIndex(({ running }) => running?.replica?.leadership() != null);
    const count = 1 + random.below(Math.ceil(nodes.length / 2) - 1);
    take(leads >= 0 && random.chance(1, 2) ? leads : random.below(rest.length));
    while (left.length < count) take(random.below(rest.length));
    return { left, rest };
  }

  /** @returns null: nobody has ever written anything */
  async #survey(nodes: readonly StackNode[]): Promise<readonly Survivor[] | null> {
    const survivors: Survivor[] = [];
    for (const node of nodes) {
      const found = await this.#patiently(surveySurvivor(placeIn(node)));
      if (typeof found === 'string') {
        this.#world.observer.violation('Q1', found);
        return null;
      }
      survivors.push(this.#world.bugs.wrapSurvivor(found));
    }
    return survivors.every(({ lastIndex }) => lastIndex === 0) ? null : survivors;
  }

  async #plan(
    survivors: readonly Survivor[],
    nodes: readonly StackNode[],
  ): Promise<RecoveryPlan | null> {
    const placeOf = ({ nodeId }: Survivor) => {
      const node = nodes.find((each) => each.nodeId === nodeId);
      if (node === undefined) throw new Error('a survivor is a node');
      return placeIn(node);
    };
    const disagreements = await this.#patiently(disagreementsAmong(survivors, placeOf));
    // By the clock that is ahead of all others: no message was stored later.
    const slackMs = this.#random.chance(1, 2) ? 0 : this.#random.below(2_000);
    const aheadMs = this.#world.clocksAgree ? 0 : CLOCK_AHEAD_MS_MAX;
    const lostAtMs = this.#truth.endedAtMs + aheadMs + slackMs;
    const verdict = planRecovery(survivors, disagreements, { lostAtMs, newClusterId: null });
    if (verdict.kind === 'plan') return verdict.plan;
    this.#world.observer.violation('Q1', verdict.problems.join('; '));
    return null;
  }

  /** What each entry of the log is, as the observer would print it. */
  async #read(node: StackNode): Promise<ReadonlyMap<number, string>> {
    const prints = new Map<number, string>();
    const reading = dumpLog({
      ...placeIn(node),
      ...{ from: LogIndex(1), isLive: false, onDamage: () => {} },
      onEntry: ({ header: { desc } }) => {
        const { index, term, type, physicalOffset, payloadSizeBytes, payloadCrc } = desc;
        const payloadOffset = physicalOffset + ENTRY_HEADER_SIZE_BYTES;
        prints.set(index, `${term} ${type} ${payloadOffset} ${payloadSizeBytes} ${payloadCrc}`);
        return 'goOn';
      },
    });
    await this.#patiently(reading);
    return prints;
  }

  /** @returns false when that has become a violation */
  async #recover(winner: StackNode, plan: RecoveryPlan): Promise<boolean> {
    const { observer, bugs } = this.#world;
    const random = this.#random;
    let task: RecoveryTask = bugs.wrapTask(taskOf(plan, {}), plan);
    let cutsLeft = random.below(INTERRUPTIONS_MAX + 1);
    for (let attempt = 0; ; attempt++) {
      const mintBootId = (): string => `feed${attempt}`.padStart(16, '0');
      const world = { disk: winner.disk, clock: this.#world.clock, mintBootId };
      const running = executeRecovery(task, world);
      try {
        if (cutsLeft-- <= 0) {
          await this.#patiently(running);
          this.#truth.count('recoveries');
          return true;
        }
        this.#truth.count('interruptions');
        // Its promise dies with the disk that it works on.
        running.catch(() => {});
        for (let left = random.below(STEPS_BEFORE_CUT_MAX); left > 0; left--) {
          await this.#world.turn();
        }
        if (random.chance(1, 3)) winner.mount({ ...winner.store, disk: winner.disk.killed() });
        else await winner.powerCut(random);
        task = (await this.#patiently(unfinishedTask(winner.disk, STORE_DIRECTORY))) ?? task;
      } catch (error) {
        observer.violation('Q4', `the recovery fails at attempt ${attempt}: ${textOf(error)}`);
        return false;
      }
    }
  }

  async #patiently<T>(work: Promise<T>): Promise<T> {
    const done = await this.#world.await(
      work.then((value) => ({ value })),
      READ_MS,
    );
    if (done === null) throw new Error('a disk in memory answers');
    return done.value;
  }
}

function placeIn({ disk }: StackNode) {
  return { disk, directory: STORE_DIRECTORY, signal: new AbortController().signal };
}
