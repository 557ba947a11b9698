import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Ticket } from '../harness/broker-node.ts';
import type { Cluster } from '../harness/cluster.ts';
import { SpareNode } from '../harness/spare-node.ts';
import { FaultImpossible } from './fault.ts';

/** Until the others know that it is dead. */
export const DEAD_MS = 2_500;
/** All disks of a run are one disk of a busy machine: that it is slow is no reason against this node. */
export const MACHINE_IS_SLOW = ['--allow-slow-disk'] as const;
const CATCH_UP_ATTEMPTS_MAX = 40;
const CATCH_UP_PAUSE_MS = 250;
const LAST_WORDS_LENGTH = 200;

/** Operators at work on the membership, and what came of each of their commands. */
export class Change {
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
    const ticket = await this.add(name, spare.raft);
    if (ticket === null) {
      // It may have been added all the same, by a command that heard no answer.
      await this.remove(spare, 1);
      return null;
    }
    await spare.start(ticket);
    return spare;
  }

  /** @returns what the new learner must be started with; null when it was not added, as far as is known */
  async add(name: string, address: string): Promise<Ticket | null> {
    const { code, output } = await this.#cluster.operator.command(
      ...['member', 'add', name, '--addr', address, '--yes'],
    );
    this.#notes.push(`add ${name} ${code}`);
    // The line to run on the new machine may go over several lines.
    const [, addresses, token] = /--join (\S+)[\s\\]+--token (\S+)/.exec(output) ?? [];
    if (addresses !== undefined && token !== undefined) return { join: addresses, token };
    this.#notes.push(output.slice(-LAST_WORDS_LENGTH));
    if (code === 0) throw new Error(`No ticket in the answer: ${output}`);
    return null;
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
    const why = ends[0]?.output.slice(-LAST_WORDS_LENGTH) ?? '';
    // A command that is tried again and again fails for one reason.
    if (!isDone && !this.#notes.includes(why)) this.#notes.push(why);
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
