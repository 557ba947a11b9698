/**
 * The one door to the broker on every node: serves here when this node leads, forwards to the leader
 * when another does, and waits for one when there is none, all within the caller's deadline.
 *
 * Asking again is safe for every verb: sends are recognised by their message id, acknowledgements and
 * dead letters find their message gone, a repeated change or poll finds its own effect (`retried`).
 * So a try that ended without an answer is simply repeated, here or elsewhere.
 *
 * A call is forwarded once at most: a node that was asked by another one and does not lead says so.
 */
import { unreachable } from '../base/assert.ts';
import { CorruptionError } from '../base/errors.ts';
import { type NodeId, Term } from '../base/units.ts';
import { BrokerCallFailure } from '../client/broker-call-client.ts';
import type { Clock } from '../io/clock.ts';
import type { BrokerCall } from '../protocol/verb-codec.ts';
import type { NodeAddresses, Replica } from '../replica/replica.ts';
import { isExpected } from './background.ts';
import type { Broker } from './broker.ts';
import { CallScope, type ScopeEnd } from './call-scope.ts';
import type { ForwardTransport } from './forward-transport.ts';
import { LeadershipLost } from './leadership-lost.ts';
import { GATEWAY_LIMITS } from './limits.ts';
import { describeTopic } from './services/topics.ts';
import {
  BrokerError,
  type BrokerGateway,
  type BrokerReply,
  type BrokerRequest,
  type BrokerResponse,
  type CallContext,
} from './verbs.ts';

export interface GatewayOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly broker: Broker;
  readonly transport: ForwardTransport;
  /** What this node tells clients about itself. */
  readonly ownAddresses: NodeAddresses;
  /** Configured address of a member's port for peers, for as long as no handshake told another. */
  readonly memberRaftAddress: (nodeId: NodeId) => string | null;
}

export interface Gateway extends BrokerGateway {
  /** A call that came in over the port for peers and administration. */
  answer(call: BrokerCall, signal: AbortSignal): Promise<BrokerReply>;
  /** Calls that wait for a leader. */
  readonly waitingCount: number;
  /** The process is about to stop: it serves on, and the routes that it gives do not name it. Idempotent. */
  beginStopping(): void;
  /** Ends all calls; later ones fail. Idempotent. */
  close(): void;
}

export function createGateway(options: GatewayOptions): Gateway {
  return new GroupGateway(options);
}

/** A call on its way through its tries. */
interface Attempt {
  readonly request: BrokerRequest;
  readonly context: CallContext;
  readonly startedAtMs: number;
  /** 0: from a client or the command line; 1: forwarded to us. */
  readonly hops: number;
  retried: boolean;
}

/** `again`: at once. `pause`: what we believe was contradicted; wait for news or a moment. */
type TryResult =
  | { readonly kind: 'answer'; readonly response: BrokerResponse }
  | { readonly kind: 'again' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'noLeader' };

class GroupGateway implements Gateway {
  readonly local: BrokerGateway['local'];
  readonly #options: GatewayOptions;
  readonly #nodeId: NodeId;
  readonly #scopes = new Set<CallScope>();
  #heldBytes = 0;
  #waiting = 0;
  #attemptCount = 0;
  #isStopping = false;
  #closed = false;
  /** Other than this node; it may lead no more. */
  #lastLeader: NodeId | null = null;

  constructor(options: GatewayOptions) {
    this.#options = options;
    const { replica, ownAddresses } = options;
    this.#nodeId = replica.status().nodeId;
    replica.onRoleChange(() => this.#onChange());
    replica.onLeadership(() => this.#onChange());
    this.local = {
      topic: (name) => {
        const config = replica.state.topic(name);
        return config === null ? null : describeTopic(replica.state, config);
      },
      liveNodes: () => [
        {
          nodeId: this.#nodeId,
          grpcAddress: ownAddresses.grpc,
          isLeaving: this.local.isLeaving(),
        },
        ...replica.status().peers.flatMap(({ nodeId, connected, addresses }) => {
          if (!connected || addresses === null || nodeId === this.#nodeId) return [];
          const isLeaving = replica.state.admin.drained.includes(nodeId);
          return [{ nodeId, grpcAddress: addresses.grpc, isLeaving }];
        }),
      ],
      isLeaving: () => this.#isStopping || replica.state.admin.drained.includes(this.#nodeId),
    };
  }

  get waitingCount(): number {
    return this.#waiting;
  }

  async call(request: BrokerRequest, context: CallContext): Promise<BrokerResponse> {
    try {
      return await this.#run(request, context, { hops: 0, retried: false });
    } catch (error) {
      const failure = asBrokerError(error);
      this.#options.broker.counters.rejected[failure.code]++;
      throw failure;
    }
  }

  async answer(call: BrokerCall, signal: AbortSignal): Promise<BrokerReply> {
    const { clock, replica } = this.#options;
    const budgetMs = Math.min(call.remainingMs, GATEWAY_LIMITS.callMsMax);
    const deadlineAtMonotonicMs = clock.monotonicMs() + budgetMs;
    const context = { deadlineAtMonotonicMs, signal };
    try {
      const response = await this.#run(call.request, context, call);
      return { kind: 'answer', response };
    } catch (error) {
      if (error instanceof LeadershipLost) {
        const { term } = replica.status();
        return { kind: 'notLeader', term, leader: replica.leader() };
      }
      const { code, message } = asBrokerError(error);
      return { kind: 'failure', code, message };
    }
  }

  beginStopping(): void {
    this.#isStopping = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const scope of [...this.#scopes]) scope.end('closed');
    this.#options.transport.close();
  }

  /** @throws LeadershipLost for forwarded calls only */
  async #run(
    request: BrokerRequest,
    context: CallContext,
    origin: { readonly hops: number; readonly retried: boolean },
  ): Promise<BrokerResponse> {
    const sizeBytes = bodyBytesOf(request);
    if (sizeBytes > 0 && this.#heldBytes + sizeBytes > GATEWAY_LIMITS.heldBytesMax) {
      throw new BrokerError(
        'busy',
        `Calls in progress hold ${this.#heldBytes} bytes on this node, the most is ${GATEWAY_LIMITS.heldBytesMax}. Send slower.`,
      );
    }
    this.#heldBytes += sizeBytes;
    try {
      return await this.#untilAnswered({
        request: this.#named(request),
        context,
        startedAtMs: this.#options.clock.monotonicMs(),
        hops: origin.hops,
        retried: origin.retried,
      });
    } finally {
      this.#heldBytes -= sizeBytes;
    }
  }

  async #untilAnswered(attempt: Attempt): Promise<BrokerResponse> {
    for (;;) {
      const result = await this.#tryOnce(attempt);
      switch (result.kind) {
        case 'answer':
          return result.response;
        case 'again':
          break;
        case 'pause':
          await this.#untilChange(attempt, GATEWAY_LIMITS.retryPauseMs);
          break;
        case 'noLeader':
          await this.#untilLeader(attempt);
          break;
        default:
          unreachable(result);
      }
    }
  }

  async #tryOnce(attempt: Attempt): Promise<TryResult> {
    const { replica } = this.#options;
    const leadership = replica.leadership();
    if (attempt.request.kind === 'status' || leadership !== null) {
      return this.#serveHere(attempt, leadership?.term ?? null);
    }
    const leader = replica.leader();
    // We won, and are still applying what came before: whoever asks waits here.
    if (leader === this.#nodeId) return { kind: 'noLeader' };
    if (attempt.hops > 0) throw new LeadershipLost();
    if (leader === null) return this.#withoutLeader(attempt);
    this.#lastLeader = leader;
    return this.#forward(attempt, leader, () => replica.leader() === leader);
  }

  /**
   * A node that was removed hears of no leader any more, so nobody shall wait for one here: the last one it
   * knew answers, or tells who leads now.
   */
  async #withoutLeader(attempt: Attempt): Promise<TryResult> {
    if (!this.#options.replica.status().isRemoved) return { kind: 'noLeader' };
    const last = this.#lastLeader;
    if (last !== null) return this.#forward(attempt, last, () => true);
    throw new BrokerError('timeout', 'This node was removed from its group. Ask another one.');
  }

  async #serveHere(attempt: Attempt, term: Term | null): Promise<TryResult> {
    const { broker, replica } = this.#options;
    const isStillRight = () => term === null || replica.leadership()?.term === term;
    const scope = this.#openScope(attempt, isStillRight);
    const serving = broker.serve(this.#currentRequest(attempt), {
      remainingMs: this.#remainingMs(attempt),
      get signal() {
        return scope.signal;
      },
      isRetry: attempt.retried,
    });
    try {
      const first = await Promise.race([serving.then(answered), scope.ended]);
      if (typeof first === 'object') return first;
      ignoreExpected(serving);
      return this.#onScopeEnd(attempt, first);
    } catch (error) {
      if (!(error instanceof LeadershipLost)) throw error;
      if (attempt.hops > 0) throw error;
      attempt.retried = true;
      return { kind: isStillRight() ? 'pause' : 'again' };
    } finally {
      scope.complete();
    }
  }

  async #forward(
    attempt: Attempt,
    leader: NodeId,
    isStillRight: () => boolean,
  ): Promise<TryResult> {
    const { broker, memberRaftAddress, replica, transport } = this.#options;
    const address = replica.addressesOf(leader)?.raft ?? memberRaftAddress(leader);
    if (address === null) return { kind: 'pause' };
    const scope = this.#openScope(attempt, isStillRight);
    broker.counters.forwarded++;
    const forwarding = transport.call(
      address,
      {
        remainingMs: this.#remainingMs(attempt),
        hops: attempt.hops + 1,
        leaderTerm: Term(replica.status().term),
        retried: attempt.retried,
        request: this.#currentRequest(attempt),
      },
      scope.signal,
    );
    try {
      const first = await Promise.race([forwarding, scope.ended]);
      if (typeof first === 'object') {
        if (first.kind === 'notLeader') this.#lastLeader = first.leader ?? this.#lastLeader;
        return resultOf(first, attempt);
      }
      ignoreExpected(forwarding);
      return this.#onScopeEnd(attempt, first);
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      attempt.retried = true;
      return { kind: 'pause' };
    } finally {
      scope.complete();
    }
  }

  #onScopeEnd(attempt: Attempt, end: ScopeEnd): TryResult {
    switch (end) {
      case 'moved':
        if (attempt.hops > 0) throw new LeadershipLost();
        attempt.retried = true;
        return { kind: 'again' };
      case 'timedOut':
        throw new BrokerError(
          'timeout',
          'The group did not answer in time: no majority, or too much load. Whether a write took effect is unknown; repeat it with the same message id.',
        );
      case 'gone':
        throw new BrokerError('timeout', 'The caller went away before the answer.');
      case 'closed':
        throw new BrokerError('timeout', 'This node is shutting down. Ask another one.');
      default:
        return unreachable(end);
    }
  }

  async #untilLeader(attempt: Attempt): Promise<void> {
    if (this.#waiting >= GATEWAY_LIMITS.waitingCallsMax) {
      throw new BrokerError(
        'busy',
        `The group has no leader and ${this.#waiting} calls wait for one, the most is ${GATEWAY_LIMITS.waitingCallsMax}. Try again in a moment.`,
      );
    }
    this.#waiting++;
    try {
      await this.#untilChange(attempt, null);
    } finally {
      this.#waiting--;
    }
  }

  /** @param pauseMsMax null: as long as the caller waits */
  async #untilChange(attempt: Attempt, pauseMsMax: number | null): Promise<void> {
    const { clock, replica } = this.#options;
    const scope = this.#openScope(attempt, () => false);
    const timer = pauseMsMax === null ? null : clock.setTimer(pauseMsMax, () => scope.end('moved'));
    try {
      const end = await scope.ended;
      if (end === 'moved') return;
      if (end === 'timedOut' && replica.leader() === null) throw noLeader();
      this.#onScopeEnd(attempt, end);
    } finally {
      timer?.cancel();
      scope.complete();
    }
  }

  #openScope(attempt: Attempt, isStillRight: () => boolean): CallScope {
    const scope = new CallScope({
      clock: this.#options.clock,
      remainingMs: this.#remainingMs(attempt),
      callerSignal: attempt.context.signal,
      onDispose: (disposed) => this.#scopes.delete(disposed),
      isStillRight,
    });
    // It can be over from the start: the caller has gone already.
    if (!scope.isOver) this.#scopes.add(scope);
    if (this.#closed) scope.end('closed');
    return scope;
  }

  #onChange(): void {
    for (const scope of [...this.#scopes]) scope.onLeadershipChange();
  }

  #remainingMs({ context }: Attempt): number {
    return Math.max(0, context.deadlineAtMonotonicMs - this.#options.clock.monotonicMs());
  }

  /** A long poll that moves from one leader to the next does not start its waiting time again. */
  #currentRequest({ request, startedAtMs }: Attempt): BrokerRequest {
    if (request.kind !== 'receive') return request;
    const waitedMs = this.#options.clock.monotonicMs() - startedAtMs;
    return { ...request, waitMs: Math.max(0, Math.round(request.waitMs - waitedMs)) };
  }

  /** A poll without an attempt id gets one, so that a repeated try can find what it was given. */
  #named(request: BrokerRequest): BrokerRequest {
    if (request.kind !== 'receive' || request.attemptId !== '') return request;
    const { clock } = this.#options;
    this.#attemptCount++;
    return { ...request, attemptId: `${this.#nodeId}.${clock.wallMs()}.${this.#attemptCount}` };
  }
}

function answered(response: BrokerResponse): TryResult {
  return { kind: 'answer', response };
}

function resultOf(reply: BrokerReply, attempt: Attempt): TryResult {
  switch (reply.kind) {
    case 'answer':
      return { kind: 'answer', response: reply.response };
    case 'failure':
      throw new BrokerError(reply.code, reply.message);
    case 'notLeader':
      attempt.retried = true;
      return { kind: 'pause' };
    default:
      return unreachable(reply);
  }
}

/** Nobody waits for it any more, but a bug in it must still end this program. */
function ignoreExpected(abandoned: Promise<unknown>): void {
  abandoned.catch((error: unknown) => {
    if (!isExpected(error) && !(error instanceof BrokerCallFailure)) throw error;
  });
}

/** What is not for the caller's eyes goes on as it is: a bug. */
function asBrokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  if (error instanceof CorruptionError) {
    return new BrokerError(
      'internal',
      'The message is damaged on the disk of the leader. The operator must look at its log.',
      { cause: error },
    );
  }
  throw error;
}

function noLeader(): BrokerError {
  return new BrokerError(
    'timeout',
    'The group had no leader until the deadline. Nothing that was asked for has been lost; repeat it.',
  );
}

function bodyBytesOf(request: BrokerRequest): number {
  if (request.kind !== 'send') return 0;
  return request.messages.reduce((sum, { body }) => sum + body.length, 0);
}
