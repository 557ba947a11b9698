/**
 * Snapshots on their way from a leader to a node that has fallen behind. The files take time; the
 * sender may be deposed or die meanwhile, another leader may begin to send as well, and the sender may
 * be told that it failed although everything arrived.
 */
import type { NodeId } from '../../src/base/units.ts';
import type { WorldEvent } from './event.ts';
import { keyedU32 } from './keyed-random.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

type Arrival = Extract<WorldEvent, { kind: 'snapshotArrives' }>;
type Outcome = Extract<WorldEvent, { kind: 'snapshotEnds' }>;

const SALT = 31;
const FAILS_ONE_IN = 8;
/** Of transfers whose sender died, so many had sent everything before. */
const OUTLIVES_ONE_IN = 4;
const ANSWER_MS_MAX = 30;

export class SnapshotTransfers {
  readonly #world: World;
  readonly #seed: number;
  readonly #durationMsMax: number;
  #count = 0;
  /** Receiver to how many are under way to it. */
  readonly #underWay = new Map<SimNode, number>();

  constructor(world: World, seed: number, durationMsMax: number) {
    this.#world = world;
    this.#seed = seed;
    this.#durationMsMax = durationMsMax;
  }

  isUnderWayTo(node: SimNode): boolean {
    return (this.#underWay.get(node) ?? 0) > 0;
  }

  begin(from: SimNode, to: SimNode): void {
    const { nowMs, marks } = this.#world;
    const word = this.#draw(from, to);
    const durationMs = 5 + (word % this.#durationMsMax);
    const underWay = this.#underWay.get(to) ?? 0;
    if (underWay > 0) marks.hit('twoSnapshotsToOneNode');
    const isFailing = (word >>> 16) % FAILS_ONE_IN === 0;
    if (isFailing || !this.#isReachable(from, to)) {
      this.#end(from, to.id, null, durationMs / 2);
      return;
    }
    this.#underWay.set(to, underWay + 1);
    this.#world.schedule(nowMs + durationMs, {
      kind: 'snapshotArrives',
      from,
      life: from.life,
      term: from.core.status().term,
      to,
      content: from.disk.image.snapshot,
    });
  }

  arrive({ from, life, term, to, content }: Arrival): void {
    const { marks } = this.#world;
    this.#underWay.set(to, (this.#underWay.get(to) ?? 1) - 1);
    const word = this.#draw(from, to);
    const isSenderAlive = from.isUp && from.life === life;
    if (!isSenderAlive && word % OUTLIVES_ONE_IN !== 0) return;
    if (!isSenderAlive) marks.hit('snapshotOutlivedSender');
    if (!this.#isReachable(from, to) || !to.isUp) {
      if (isSenderAlive) this.#end(from, to.id, null, 0);
      return;
    }
    const { index } = content.desc.last;
    if (to.status.term > term) marks.hit('snapshotOvertaken');
    to.stage(content);
    to.receive(from.id, { kind: 'installSnapshot', term, snapshot: content.desc });
    if (!isSenderAlive) return;
    const isAnswerLost = this.#world.network.isCut(to.place, from.place);
    if (isAnswerLost) marks.hit('snapshotArrivedUnknown');
    this.#end(from, to.id, isAnswerLost ? null : index, (word >>> 8) % ANSWER_MS_MAX);
  }

  /** The sender is told. */
  finish({ node, peer, index }: Outcome): void {
    if (index === null) {
      this.#world.marks.hit('snapshotFailed');
      node.step({ kind: 'snapshotFailed', peer });
    } else {
      this.#world.marks.hit('snapshotSent');
      node.step({ kind: 'snapshotSent', peer, index });
    }
  }

  #isReachable(from: SimNode, to: SimNode): boolean {
    return !this.#world.network.isCut(from.place, to.place) && this.#world.admits(from, to);
  }

  #end(node: SimNode, peer: NodeId, index: Outcome['index'], inMs: number): void {
    const { life } = node;
    const event: WorldEvent = { kind: 'snapshotEnds', node, life, peer, index };
    this.#world.schedule(this.#world.nowMs + inMs, event);
  }

  #draw(from: SimNode, to: SimNode): number {
    return keyedU32(this.#seed, from.place, to.place, this.#count++, SALT);
  }
}
