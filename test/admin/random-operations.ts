/**
 * Operators who do anything at any time, right or wrong, on a group whose nodes crash at any step (hazard
 * H20). What the checks let through must leave a group that decides, keeps what it acknowledged, and never
 * sees a removed id again.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { FatalError } from '../../src/base/errors.ts';
import { Prng } from '../../src/base/prng.ts';
import type { NodeId } from '../../src/base/units.ts';
import {
  type AdminChange,
  type AdminReply,
  type JoinRequest,
  type JoinTicket,
  NO_OPTIONS,
} from '../../src/protocol/admin.ts';
import { ALLOWANCES } from '../../src/protocol/admin-plan.ts';
import { isJoint } from '../../src/raft/membership.ts';
import { assertSameLogs, nextOffset } from '../replica/group-views.ts';
import { messageProposal } from '../replica/replica-group.ts';
import { AdminGroup, addressOf, n } from './admin-group.ts';

const NODE_COUNT = 8;
const STEPS = 40;
const CALL_MS = 4_000;

/** How often what happened, over all seeds: a run in which nothing happens proves nothing. */
export type Tally = Map<string, number>;

export async function runSeed(seed: number, tally: Tally): Promise<void> {
  const run = new Run(seed, await AdminGroup.started({ size: 3, seed }), tally);
  for (let step = 0; step < STEPS; step++) await run.step();
  await run.end();
}

class Run {
  readonly #prng: Prng;
  readonly #hasCuts: boolean;
  readonly #admins: AdminGroup;
  readonly #tally: Tally;
  readonly #crashed = new Set<NodeId>();
  readonly #gone = new Set<NodeId>();
  readonly #tickets = new Map<NodeId, JoinTicket>();
  readonly #acknowledged: string[] = [];
  /** Of calls that are open. */
  readonly #open = new Set<Promise<void>>();
  #removed: readonly NodeId[] = [];
  #sent = 0;
  #isSending = false;
  /** What is waiting for a node. */
  #unfinished: AdminChange | null = null;

  constructor(seed: number, admins: AdminGroup, tally: Tally) {
    this.#prng = new Prng(seed, 'operators');
    // Under cuts little gets done: half of the runs are without, so that much does.
    this.#hasCuts = seed % 2 === 0;
    this.#admins = admins;
    this.#tally = tally;
  }

  async step(): Promise<void> {
    const { group } = this.#admins;
    switch (this.#below(10)) {
      case 0:
        await this.#crashOne();
        break;
      case 1:
      case 2:
        await this.#startOne();
        break;
      case 3:
        await this.#joinOne();
        break;
      case 4:
        this.#send();
        break;
      case 5:
        this.#cutOrHeal();
        break;
      default:
        this.#ask(this.#wish());
    }
    await group.pass(this.#pick([0, 20, 100, 1_000, 3_000]));
    await this.#reap();
    this.#checkMemberships();
  }

  /** Everybody who is a member is there again: now the group must work, and hold everything. */
  async end(): Promise<void> {
    const { group } = this.#admins;
    group.network.heal();
    for (const nodeId of [...this.#crashed]) await this.#start(nodeId);
    await group.pass(CALL_MS + 1_000);
    await Promise.all(this.#open);
    await this.#reap();
    const leader = await group.leader();
    this.#send();
    await group.pass(2_000);
    await this.#reap();
    equal(this.#acknowledged.length > 0, true, 'something was sent');
    await group.until('the last change is through', () => {
      const { membership, isMembershipCommitted } = (group.serving ?? leader).replica.status();
      return isMembershipCommitted && !isJoint(membership.membership);
    });
    await group.pass(15_000);
    await this.#reap();
    this.#checkMemberships();
    await group.until('all members have applied all', () => {
      const members = this.#runningMembers();
      const last = Math.max(...members.map(({ replica }) => replica.status().lastIndex));
      return members.every(({ replica }) => replica.status().appliedIndex === last);
    });
    assertSameLogs(group);
    const { state, removed } = await this.#leaderNow();
    for (const nodeId of this.#gone) {
      ok(removed.includes(nodeId), `${nodeId} ended, and nobody has removed it`);
    }
    for (const id of this.#acknowledged) ok(state.firstOutcome('t', id) !== null, `${id} is there`);
    const digests = this.#runningMembers().map(({ replica }) => replica.state.digest());
    equal(new Set(digests).size, 1);
    await this.#admins.stopAll();
  }

  /** Often what makes sense: else nothing would ever get far enough to go wrong. */
  #wish(): AdminChange {
    const learners = this.#admins.group.serving?.replica.status().membership.membership.learners;
    if (this.#unfinished !== null && this.#below(3) === 0) return this.#unfinished;
    if (learners !== undefined && learners.length > 0 && this.#below(3) === 0) {
      const nodeIds = this.#below(3) === 0 ? learners : [this.#pick(learners)];
      return { kind: 'promote', nodeIds };
    }
    const nodeId = this.#node();
    const raftAddress = addressOf(this.#below(8) === 0 ? this.#node() : nodeId);
    switch (this.#below(9)) {
      case 0:
      case 1:
        return { kind: 'add', nodeId, raftAddress };
      case 2:
      case 3:
        return { kind: 'promote', nodeIds: this.#oneOrTwo(nodeId) };
      case 4:
        return { kind: 'remove', nodeIds: this.#oneOrTwo(nodeId) };
      case 5: {
        const newNodeId = this.#node();
        const at = addressOf(newNodeId);
        return { kind: 'replace', oldNodeId: nodeId, newNodeId, raftAddress: at };
      }
      case 6:
        return { kind: 'transfer', to: this.#below(2) === 0 ? null : nodeId };
      case 7:
        return this.#drainWish(nodeId);
      default:
        return { kind: 'unlock' };
    }
  }

  #drainWish(nodeId: NodeId): AdminChange {
    const [drained] = this.#admins.group.serving?.replica.state.admin.drained ?? [];
    if (drained !== undefined && this.#below(2) === 0) return { kind: 'undrain', nodeId: drained };
    return { kind: this.#below(4) === 0 ? 'undrain' : 'drain', nodeId };
  }

  /** Nobody waits for the answer before the next thing happens. */
  #ask(request: AdminChange): void {
    const at = this.#pick([...this.#admins.admins.keys()]);
    const admin = this.#admins.admins.get(at);
    ok(admin);
    const options = {
      ...NO_OPTIONS,
      actor: this.#pick(['alice', 'alice', 'alice', 'bob']),
      steal: this.#below(4) === 0,
      allow: this.#below(4) === 0 ? [] : ALLOWANCES,
    };
    const call = { remainingMs: CALL_MS, hops: 0, stale: false, request, options };
    const asking = admin.answer(call, new AbortController().signal).then((reply) => {
      this.#open.delete(asking);
      this.#onReply(request, reply);
    });
    this.#open.add(asking);
  }

  #onReply(request: AdminChange, reply: AdminReply): void {
    if (reply.kind !== 'answer') {
      this.#count(reply.kind === 'failure' ? reply.code : reply.kind);
      return;
    }
    const { response } = reply;
    const how = response.kind === 'changed' ? response.state : response.kind;
    this.#count(`${request.kind} ${how}`);
    if (response.kind !== 'changed') return;
    const isOfSeveral = 'nodeIds' in request && new Set(request.nodeIds).size > 1;
    if (isOfSeveral && response.state === 'done') this.#count('several at once');
    if (response.state === 'pending') this.#unfinished = request;
    else if (request === this.#unfinished) this.#unfinished = null;
    if (response.ticket === null) return;
    this.#tickets.set(response.ticket.nodeId, response.ticket);
  }

  async #crashOne(): Promise<void> {
    const running = [...this.#admins.admins.keys()];
    if (running.length < 3) return;
    const nodeId = this.#pick(running);
    await this.#admins.kill(nodeId);
    this.#crashed.add(nodeId);
    this.#count('crash');
  }

  /** One node is cut off from some of the others; or all cables are whole again. */
  #cutOrHeal(): void {
    const { network, running } = this.#admins.group;
    network.heal();
    if (!this.#hasCuts || this.#below(2) === 0) return;
    const away = this.#pick([...running.keys()]);
    for (const other of running.keys()) {
      if (other !== away && this.#below(3) > 0) network.cut(away, other);
    }
    this.#count('cut off');
  }

  async #startOne(): Promise<void> {
    if (this.#crashed.size > 0) await this.#start(this.#pick([...this.#crashed]));
  }

  async #start(nodeId: NodeId): Promise<void> {
    this.#crashed.delete(nodeId);
    await this.#admins.start(nodeId);
  }

  async #joinOne(): Promise<void> {
    const waiting = [...this.#tickets.values()];
    if (waiting.length === 0) return;
    const ticket = this.#pick(waiting);
    const { nodeId, raftAddress, token } = ticket;
    const at = this.#pick([...this.#admins.admins.keys()]);
    const request: JoinRequest = {
      ...{ kind: 'join', nodeId, raftAddress, token, storeUuid: `store-${nodeId}` },
      ...{ clusterId: 'c', groupId: 'g', diskFreeBytes: null },
    };
    const admin = this.#admins.admins.get(at);
    ok(admin);
    const call = { remainingMs: CALL_MS, hops: 0, stale: false, request, options: NO_OPTIONS };
    const asking = admin.answer(call, new AbortController().signal);
    const reply = await this.#admins.group.outcomeOf(asking);
    const isIn = reply.kind === 'answer';
    this.#count(isIn ? 'joined' : 'not joined');
    if (!isIn || this.#admins.group.stores.has(nodeId)) return;
    this.#tickets.delete(nodeId);
    await this.#admins.startJoiner(nodeId);
  }

  /** One at a time: whoever proposes a message knows where it goes. */
  #send(): void {
    const leader = this.#admins.group.serving;
    if (leader === null || this.#isSending) return;
    this.#isSending = true;
    const prefix = `m${this.#sent++}`;
    const offset = nextOffset(leader);
    const sending = leader.replica.propose(messageProposal(offset, { prefix })).then((outcome) => {
      this.#open.delete(sending);
      this.#isSending = false;
      if (outcome.kind === 'applied') this.#acknowledged.push(`${prefix}-0-${offset}`);
    });
    this.#open.add(sending);
  }

  /** A node that was told of its removal has ended; nothing else may end one. */
  async #reap(): Promise<void> {
    for (const node of [...this.#admins.group.running.values()]) {
      const [failure] = node.failures;
      if (failure === undefined) continue;
      ok(failure instanceof FatalError, failure.stack);
      equal(failure.reason, 'removedFromGroup', failure.message);
      node.failures.length = 0;
      await this.#admins.stop(node.nodeId);
      this.#gone.add(node.nodeId);
      this.#count('told of its removal');
    }
  }

  #checkMemberships(): void {
    for (const { replica } of this.#admins.group.running.values()) {
      const { membership, isMembershipCommitted } = replica.status();
      const { members, removed } = membership.membership;
      const back = members.filter(({ nodeId }) => removed.includes(nodeId));
      deepEqual(back, []);
      if (!isMembershipCommitted || removed.length < this.#removed.length) continue;
      // None is ever forgotten, and they are told in the order in which they left.
      deepEqual(removed.slice(0, this.#removed.length), this.#removed);
      this.#removed = removed;
    }
  }

  async #leaderNow() {
    const { replica } = await this.#admins.group.leader();
    return { state: replica.state, removed: replica.status().membership.membership.removed };
  }

  #runningMembers() {
    const { members } = this.#admins.group.serving!.replica.status().membership.membership; // led
    return [...this.#admins.group.running.values()].filter(({ nodeId }) =>
      members.some((member) => member.nodeId === nodeId),
    );
  }

  #oneOrTwo(nodeId: NodeId): readonly NodeId[] {
    return this.#below(3) === 0 ? [nodeId, this.#node()] : [nodeId];
  }

  #node(): NodeId {
    return n(1 + this.#below(NODE_COUNT));
  }

  #below(bound: number): number {
    return this.#prng.nextU32() % bound;
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#below(items.length)];
    ok(item !== undefined, 'there is something to choose from');
    return item;
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1);
  }
}
