/** What goes on after a recovery: one node alone, with all it kept, that nobody of the old group disturbs. */
import type { Prng } from '../../src/base/prng.ts';
import { LogIndex } from '../../src/base/units.ts';
import type { OutgoingMessage } from '../../src/broker/verbs.ts';
import type { RecoveryPlan } from '../../src/store/recover/recovery-plan.ts';
import type { CommittedMessage } from './observer.ts';
import { DISK_SPEED_DEFAULT, type StackNode } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';
import { TOPIC, type Workload } from './workload.ts';

const LEAD_MS = 30_000;
const OLD_MS = 15_000;
const SEND_MS = 5_000;

/** Of a log before its recovery. */
export interface Kept {
  readonly entries: ReadonlyMap<number, string>;
  /** Committed for sure. */
  readonly messages: readonly CommittedMessage[];
}

export class NewHistory {
  readonly #world: StackWorld;
  readonly #workload: Workload;
  readonly #random: Prng;

  constructor(world: StackWorld, workload: Workload, random: Prng) {
    this.#world = world;
    this.#workload = workload;
    this.#random = random;
  }

  async check(winner: StackNode, plan: RecoveryPlan, kept: Kept): Promise<void> {
    const { observer, nodes } = this.#world;
    observer.forgetAfter(plan.loss.provenIndex, plan.newTerm);
    for (const node of nodes) if (node !== winner) observer.outcasts.add(node.nodeId);
    winner.clusterId = plan.newClusterId;
    winner.isHeld = false;
    winner.diskSpeed = DISK_SPEED_DEFAULT;
    winner.start();
    if (!(await this.#leads(winner))) return;
    this.#checkKept(winner, kept);
    await this.#send(winner, 'first');
    if (!observer.isBroken) await this.#meetOld(winner, plan);
  }

  async #leads(winner: StackNode): Promise<boolean> {
    const { observer } = this.#world;
    const isLeading = () => winner.running?.replica?.leadership() != null;
    await this.#world.until(() => isLeading() || observer.isBroken, LEAD_MS);
    if (observer.isBroken) return false;
    if (isLeading()) return true;
    const status = JSON.stringify(winner.running?.replica?.status().membership ?? null);
    observer.violation('Q4', `${winner.nodeId} does not lead: ${status}`);
    return false;
  }

  #checkKept(winner: StackNode, kept: Kept): void {
    const { observer } = this.#world;
    const { log, state } = winner.running ?? {};
    if (log == null || state == null) return;
    observer.checkCount += kept.entries.size;
    for (const [index, print] of kept.entries) {
      const now = observer.printAt(index);
      const isThere = log.headerCrcAt(LogIndex(index)) !== null;
      if (isThere && (now === null || now === print)) continue;
      observer.violation('Q2', `entry ${index} was ${print}, and is ${now} after the recovery`);
      return;
    }
    for (const { messageId, index } of kept.messages) {
      const receipt = this.#workload.receipts.get(messageId);
      if (receipt === undefined || index > state.appliedIndex) continue;
      const { queueId, queueOffset, physicalOffset } = receipt;
      if (queueOffset < state.queueRange(TOPIC, queueId).min) continue;
      observer.checkCount++;
      const unit = state.queueUnit(TOPIC, queueId, queueOffset);
      if (unit?.physicalOffset === physicalOffset) continue;
      observer.violation('Q2', `${messageId} was acknowledged and kept, and is not in its queue`);
    }
  }

  async #send(winner: StackNode, what: string): Promise<void> {
    const { observer } = this.#world;
    const messages: readonly OutgoingMessage[] = [
      {
        ...{ topic: TOPIC, messageId: `after-${what}`, body: new Uint8Array(10) },
        ...{ bodyEncoding: 'identity', tag: 'T', keys: [], userProperties: {} },
        ...{ bornTimestampMs: 1, bornHost: '10.1.0.1:5', traceContext: null },
      },
    ];
    const asking = this.#world.call(winner, { kind: 'send', messages }, SEND_MS);
    const result = await this.#world.await(asking, 2 * SEND_MS);
    if (result?.kind === 'answer' && result.response.kind === 'sent') return;
    observer.violation('Q4', `${winner.nodeId} takes no message: ${JSON.stringify(result)}`);
  }

  /** Those that were lost come back, as many as are no majority of what was: they are told to go away. */
  async #meetOld(winner: StackNode, plan: RecoveryPlan): Promise<void> {
    const world = this.#world;
    const { observer } = world;
    world.allowRefusals(['otherCluster', 'removedNode', 'otherStore']);
    const term = winner.running?.replica?.status().term;
    const others = world.nodes.filter((node) => node !== winner);
    const count = 1 + this.#random.below(Math.floor((others.length - 1) / 2) || 1);
    for (const node of others.slice(0, count)) {
      const isRenamed = this.#random.chance(1, 3);
      if (isRenamed) {
        node.clusterId = plan.newClusterId;
        node.standing = { kind: 'refusesToStart', reason: 'identityRefused' };
      } else node.standing = { kind: 'impostor', refusedAs: ['otherCluster'] };
      node.isHeld = false;
      node.diskSpeed = DISK_SPEED_DEFAULT;
      node.start();
      const isTold = () =>
        isRenamed ? node.hasRefused : (world.refusals.get('otherCluster') ?? 0) > 0;
      if (await world.until(() => isTold() || observer.isBroken, OLD_MS)) continue;
      observer.violation('Q5', `${node.nodeId} of the old group was not refused`);
    }
    await this.#send(winner, 'old');
    const status = winner.running?.replica?.status();
    const { members } = status?.membership.membership ?? { members: [] };
    if (status?.term === term && members.length === 1) return;
    observer.violation(
      'Q5',
      `${winner.nodeId} is in term ${status?.term}, with ${members.length} members`,
    );
  }
}
