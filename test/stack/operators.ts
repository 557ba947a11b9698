/**
 * Two operators, each with a command line of its own. They type what the script says, wait as `--wait` does,
 * lose patience, type it again, type what the other one has typed; they walk to new machines and start them with
 * the line that they were given. What they are told is compared with what the log says.
 */
import { Prng } from '../../src/base/prng.ts';
import type { NodeId } from '../../src/base/units.ts';
import { actionOf } from '../../src/broker/admin/wish.ts';
import {
  type AdminChange,
  type AdminReply,
  type ChangeOptions,
  type JoinRequest,
  type JoinTicket,
  NO_OPTIONS,
} from '../../src/protocol/admin.ts';
import { ALLOWANCES } from '../../src/protocol/admin-plan.ts';
import { textOf } from './admin-link.ts';
import { ClaimBook, type OpenCall } from './claim-book.ts';
import type { GroupWatch } from './group-watch.ts';
import type { OperationKind, StackOperation } from './operation-script.ts';
import { type Typed, wishOf } from './operation-wish.ts';
import { addressOf, type StackNode } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

const CALL_MS = 5_000;
const WAIT_MS = 300;
const NAMES = ['alice', 'bob'] as const;

/** A command that was typed, and whether anybody still looks at it. */
export interface Session {
  readonly change: AdminChange;
  readonly options: ChangeOptions;
  readonly random: Prng;
  isLeft: boolean;
  /** It was told that it has ended: done, already so, refused. */
  outcome: 'open' | 'ended';
}

export class Operators {
  readonly #world: StackWorld;
  readonly #group: GroupWatch;
  readonly #due: StackOperation[];
  readonly #claims: ClaimBook;
  /** The newest of each operator. */
  readonly #sessions: (Session | null)[] = [null, null];
  readonly #tickets = new Map<NodeId, JoinTicket>();
  /** When somebody arrives at a machine. */
  #walks: { readonly atMs: number; readonly ticket: JoinTicket }[] = [];
  readonly counts = new Map<string, number>();
  #staleCount = 0;
  #isHurried = false;

  constructor(world: StackWorld, group: GroupWatch, operations: readonly StackOperation[]) {
    this.#world = world;
    this.#group = group;
    this.#due = [...operations];
    this.#claims = new ClaimBook(world, group);
  }

  /** What was typed last by each and has not ended, as far as its operator knows. */
  get unfinished(): readonly Session[] {
    return this.#sessions.filter(
      (session) => session !== null && session.outcome === 'open',
    ) as Session[];
  }

  /** In every round. */
  run(): void {
    const nowMs = this.#world.clock.monotonicMs();
    const arrived = this.#walks.filter(({ atMs }) => atMs <= nowMs);
    this.#walks = this.#walks.filter(({ atMs }) => atMs > nowMs);
    for (const { ticket } of arrived) this.#startNew(ticket);
    while ((this.#due[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const operation = this.#due.shift();
      if (operation !== undefined) this.#type(operation);
    }
    this.#claims.check();
  }

  /** Whoever was to come comes now, and nobody types anything any more by himself. */
  hurry(): void {
    this.#isHurried = true;
    this.#due.length = 0;
    for (const { ticket } of this.#walks) this.#startNew(ticket);
    this.#walks = [];
    for (const session of this.#sessions) if (session !== null) session.isLeft = true;
  }

  /** What was not answered yet must be so by now. */
  checkClaims(): void {
    this.#claims.check();
    this.#claims.checkOpen();
  }

  /** Once, of a node that runs; null: nobody answered. */
  async ask(session: Session): Promise<AdminReply | null> {
    const running = this.#world.nodes.filter(({ running }) => running?.admin != null);
    if (running.length === 0) return null;
    const node = session.random.pick(running);
    const { change, options } = session;
    const call = this.#claims.open(change, options);
    const reply = await this.#call(node, session);
    this.#note(session, call, reply);
    return reply;
  }

  /** As a session that goes on until it has ended or is left. */
  type(operator: 0 | 1, { change, ifConfig }: Typed, how: Partial<ChangeOptions>, salt: number) {
    const before = this.#sessions[operator];
    if (before != null) before.isLeft = true;
    // Whoever asks for a config entry is asked about this one command.
    const name = NAMES[operator];
    const actor = ifConfig === null ? name : `${name}-${++this.#staleCount}`;
    const session = this.session(change, { actor, ifConfig, ...how }, salt);
    this.#sessions[operator] = session;
    this.#count(`typed ${change.kind}`);
    void this.#follow(session); // Never rejects: what fails is a violation.
  }

  /** That nobody follows. */
  session(change: AdminChange, how: Partial<ChangeOptions>, salt = 1): Session {
    const options: ChangeOptions = { ...NO_OPTIONS, ...how };
    this.#claims.allow(change, options);
    const random = new Prng(salt, 'session');
    return { change, options, random, isLeft: false, outcome: 'open' };
  }

  #type({ kind, operator, salt, steals, dares }: StackOperation): void {
    const random = new Prng(salt, 'operation');
    if (kind === 'rogueJoin') {
      void this.#joinAsRogue(random); // Never rejects.
      return;
    }
    const typed = this.#wish(kind, operator, random);
    if (typed === null) return;
    const allow = dares ? ALLOWANCES : [];
    this.type(operator, typed, { steal: steals, allow }, salt);
  }

  #wish(kind: Exclude<OperationKind, 'rogueJoin'>, operator: 0 | 1, random: Prng): Typed | null {
    if (kind !== 'same' && kind !== 'again') return wishOf(kind, this.#world, this.#group, random);
    const session = this.#sessions[kind === 'same' ? 1 - operator : operator];
    return session == null ? null : { change: session.change, ifConfig: null };
  }

  async #follow(session: Session): Promise<void> {
    const { random } = session;
    while (!session.isLeft) {
      await this.ask(session);
      if (session.outcome === 'ended') return;
      await this.#world.sleep(50 + random.below(WAIT_MS));
    }
  }

  async #call(node: StackNode, { change, options }: Session): Promise<AdminReply | null> {
    const { running } = node;
    if (running?.admin == null) return null;
    const call = { remainingMs: CALL_MS, hops: 0, stale: false, request: change, options };
    try {
      const asking = running.admin.answer(call, new AbortController().signal);
      const first = await Promise.race([asking, running.died]);
      return first === 'died' ? null : first;
    } catch (error) {
      this.#world.observer.violation('C1', `a command failed: ${textOf(error)}`);
      return null;
    }
  }

  #note(session: Session, call: OpenCall, reply: AdminReply | null): void {
    const { observer } = this.#world;
    const { change } = session;
    const response = reply?.kind === 'answer' ? reply.response : null;
    const how = outcomeOf(reply);
    observer.note('command', actionOf(change), session.options.actor, how);
    this.#count(`${change.kind} ${how}`);
    this.#claims.close(call, response);
    if (reply?.kind === 'failure' && reply.code !== 'timeout' && reply.code !== 'busy') {
      if (reply.code !== 'badRequest') observer.violation('C1', `${reply.code}: ${reply.message}`);
      session.outcome = 'ended';
    }
    if (response?.kind === 'refused') session.outcome = 'ended';
    if (response?.kind !== 'changed') return;
    if (response.state !== 'pending') session.outcome = 'ended';
    if (response.ticket !== null) this.#onTicket(response.ticket, session.random);
  }

  #onTicket(ticket: JoinTicket, random: Prng): void {
    this.#tickets.set(ticket.nodeId, ticket);
    if (this.#isHurried) {
      this.#startNew(ticket);
      return;
    }
    // Sometimes nobody goes there.
    if (random.chance(1, 8)) return;
    const atMs = this.#world.clock.monotonicMs() + 50 + random.below(1_500);
    this.#walks.push({ atMs, ticket });
  }

  #startNew(ticket: JoinTicket): void {
    const { nodeId, joinAddresses: addresses, token } = ticket;
    const node = this.#world.nodeOf(nodeId) ?? this.#world.addNode(nodeId);
    // A founder stays what it is; one that has a log needs no token.
    if (this.#world.founderIds.includes(nodeId)) return;
    node.joinPlan = { addresses, token };
    this.#count('walked');
    if (node.running?.log != null) return;
    void node.kill().then(() => node.start()); // In memory: done when it returns.
  }

  /** A process with a token that is not its own, or with a store that was here before. */
  async #joinAsRogue(random: Prng): Promise<void> {
    const tickets = [...this.#tickets.values()];
    const running = this.#world.nodes.filter(({ running }) => running?.admin != null);
    if (tickets.length === 0 || running.length === 0) return;
    const ticket = random.pick(tickets);
    // For the node of the ticket, or for one that is waited for.
    const { members, learners } = this.#group.ledger.current.membership;
    const awaited = members.filter(
      ({ nodeId, storeUuid }) => storeUuid === null && learners.includes(nodeId),
    );
    const isForOther = awaited.length > 0 && random.chance(1, 2);
    const { nodeId } = isForOther ? random.pick(awaited) : ticket;
    const goneStores = [...this.#group.ledger.goneStores];
    const isOld = goneStores.length > 0 && random.chance(1, 2);
    // A token that nobody has used lets in whoever comes first; nobody comes second.
    const storeUuid = isOld ? random.pick(goneStores) : `rogue-${nodeId}`;
    const request: JoinRequest = {
      ...{ kind: 'join', token: ticket.token, nodeId, storeUuid },
      ...{ raftAddress: addressOf(nodeId), clusterId: '', groupId: '', diskFreeBytes: null },
    };
    const node = random.pick(running);
    const asking = { remainingMs: CALL_MS, hops: 0, stale: false, request, options: NO_OPTIONS };
    const admin = node.running?.admin;
    const { died } = node.running ?? {};
    if (admin == null || died === undefined) return;
    const onReply = this.#group.onCall(asking);
    const reply = await Promise.race([admin.answer(asking, new AbortController().signal), died]);
    if (reply === 'died') return;
    onReply(reply);
    this.#count(reply.kind === 'answer' ? 'rogue taken in' : 'rogue refused');
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

/** For the tables. */
function outcomeOf(reply: AdminReply | null): string {
  if (reply === null) return 'unanswered';
  if (reply.kind === 'failure') return reply.code;
  if (reply.kind === 'notLeader') return reply.kind;
  const { response } = reply;
  return response.kind === 'changed' ? response.state : response.kind;
}
