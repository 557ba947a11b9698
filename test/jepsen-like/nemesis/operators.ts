/** Faults that operators make: leadership handed round, and members that come and go under load. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../harness/cluster.ts';
import { SpareNode } from '../harness/spare-node.ts';
import { type FaultContext, FaultImpossible } from './fault.ts';

/** Two in a second, as the reference has it. */
const TRANSFER_PERIOD_MS = 500;
/** Until the others know that it is dead. */
const DEAD_MS = 2_500;
const CATCH_UP_ATTEMPTS_MAX = 40;
const CATCH_UP_PAUSE_MS = 250;
const LAST_WORDS_LENGTH = 200;

export async function transferStorm({
  cluster,
  step,
  lasting,
}: FaultContext<'transferStorm'>): Promise<string> {
  const endAtMs = cluster.recorder.nowMs() + step.lastsMs;
  const ends = new Map<string, number>();
  const leaders = new Set<string>();
  while (cluster.recorder.nowMs() < endAtMs) {
    const beginMs = cluster.recorder.nowMs();
    const how = await cluster.operator.transfer();
    ends.set(how, (ends.get(how) ?? 0) + 1);
    const leader = cluster.watch.leader();
    if (leader !== null) leaders.add(leader);
    const leftMs = beginMs + TRANSFER_PERIOD_MS - cluster.recorder.nowMs();
    await lasting(Math.max(1, leftMs));
    // Everything is to be healed: no time passes any more.
    if (cluster.recorder.nowMs() - beginMs < TRANSFER_PERIOD_MS / 2) break;
  }
  const words = [...ends].map(([how, count]) => `${how}: ${count} times`);
  return `${words.join(', ')}; led by ${[...leaders].join(', ')}`;
}

/** A new node joins, becomes a voter, and is removed for ever; sometimes two operators are at it at once. */
export async function membership({
  cluster,
  step,
  lasting,
}: FaultContext<'membership'>): Promise<string> {
  const work = await Change.begin(cluster);
  const spare = await work.join();
  if (spare === null) return work.notes;
  try {
    await work.untilCaughtUp(spare, lasting);
    await lasting(step.learnerMs);
    await work.command(step.operators, 'promote', spare.name, '--allow-even');
    await lasting(step.voterMs);
  } finally {
    await work.remove(spare, step.operators);
  }
  return work.notes;
}

/**
 * A voter dies and its directory with it; another node takes its place, by one command. The voter is one
 * that came for this: the members that the run is about stay, and with them what a majority of disks means.
 */
export async function replaceDead({
  cluster,
  step,
  lasting,
}: FaultContext<'replaceDead'>): Promise<string> {
  const work = await Change.begin(cluster);
  const dying = await work.join();
  if (dying === null) return work.notes;
  try {
    await work.untilCaughtUp(dying, lasting);
    const isVoter = await work.command(1, 'promote', dying.name, '--allow-even');
    await dying.stop();
    dying.forget();
    if (!isVoter) return `${work.notes}: it never had a vote`;
    await lasting(DEAD_MS);
    const coming = await work.join();
    if (coming === null) return work.notes;
    try {
      await work.command(step.operators, 'replace', dying.name, coming.name);
    } finally {
      await work.remove(coming, 1);
    }
  } finally {
    await work.remove(dying, 1);
  }
  return work.notes;
}

/** Operators at work on the membership, and what came of each of their commands. */
class Change {
  readonly #cluster: Cluster;
  readonly #notes: string[] = [];

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  static async begin(cluster: Cluster): Promise<Change> {
    if (await cluster.operator.knows('member', 'add')) return new Change(cluster);
    throw new FaultImpossible('this build has no command to change the membership');
  }

  get notes(): string {
    return this.#notes.join(', ');
  }

  /** A learner under a name of its own. @returns null when it was not added */
  async join(): Promise<SpareNode | null> {
    const name = this.#cluster.nextSpareName();
    const directory = join(this.#cluster.slot.folder, `spare-${name}`);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    const spare = await SpareNode.plan(this.#cluster, name, directory);
    const { code, output } = await this.#cluster.operator.command(
      ...['member', 'add', name, '--addr', spare.raft, '--yes'],
    );
    // The line to run on the new machine may go over several lines.
    const ticket = /--join (\S+)[\s\\]+--token (\S+)/.exec(output);
    this.#notes.push(`add ${name} ${code}`);
    if (ticket === null) {
      this.#notes.push(output.slice(-LAST_WORDS_LENGTH));
      // It may have been added all the same, by a command that heard no answer.
      await this.remove(spare, 1);
      if (code === 0) throw new Error(`No ticket in the answer: ${output}`);
      return null;
    }
    await spare.start(ticket[1] ?? '', ticket[2] ?? '');
    return spare;
  }

  /** Until then its promotion is refused. Ends also when it takes too long, or when everything is to be healed. */
  async untilCaughtUp({ name }: SpareNode, lasting: (ms: number) => Promise<void>): Promise<void> {
    const { operator } = this.#cluster;
    for (let attempt = 0; attempt < CATCH_UP_ATTEMPTS_MAX; attempt++) {
      const { code } = await operator.command('member', 'catchup', name);
      if (code === 0) return;
      await lasting(CATCH_UP_PAUSE_MS);
    }
    this.#notes.push(`${name} has not caught up`);
  }

  /** By so many operators at the same time. @returns whether one of them was told that it is done */
  async command(operators: 1 | 2, ...words: readonly string[]): Promise<boolean> {
    const { operator } = this.#cluster;
    const ends = await Promise.all(
      Array.from({ length: operators }, () => operator.command('member', ...words, '--yes')),
    );
    this.#notes.push(
      `${words.slice(0, 3).join(' ')} ${ends.map(({ code }) => code).join(' and ')}`,
    );
    const isDone = ends.some(({ code }) => code === 0);
    if (!isDone) this.#notes.push(ends[0]?.output.slice(-LAST_WORDS_LENGTH) ?? '');
    return isDone;
  }

  /** Whatever it has become: it must not be left a member that is never there again. */
  async remove(spare: SpareNode, operators: 1 | 2): Promise<void> {
    await this.#cluster.untilRemoved(spare.name, () =>
      this.command(operators, 'remove', spare.name, '--allow-even', '--allow-less-tolerance'),
    );
    await spare.stop();
  }
}
