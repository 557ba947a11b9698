/**
 * The asking side of administration. Any node of a group can be asked; it forwards to the leader what is the
 * leader's. A change may be asked again as it is: it is a wish for a state (protocol/admin.ts).
 *
 * Not here: what an operator is shown (cli/).
 */
import type { Clock } from '../io/clock.ts';
import {
  type AdminCall,
  type AdminChange,
  AdminError,
  type AdminQuestion,
  type AdminReply,
  type AdminRequest,
  type AdminResponse,
  type ChangeOptions,
  isChange,
  NO_OPTIONS,
} from '../protocol/admin.ts';
import { adminServiceDefinition } from '../protocol/admin-codec.ts';
import type { NodeHealth } from '../protocol/admin-report.ts';
import { BrokerCallFailure, type CallClient, createCallClient } from './call-client.ts';
import { delay } from './delay.ts';
import {
  ATTEMPT_TIMEOUT_MS,
  CHANGE_ATTEMPT_TIMEOUT_MS,
  RETRY_DELAY_MS_MAX,
  RETRY_DELAY_MS_MIN,
  STATUS_TIMEOUT_MS,
} from './limits.ts';
import {
  type KnownGroup,
  type KnownNode,
  type NodeDirectory,
  NoNodesKnown,
} from './node-directory.ts';
import { shortReason } from './short-reason.ts';

export type AdminCallClient = CallClient<AdminCall, AdminReply>;

/** @param address `host:port` of a broker's port for peers and administration */
export function createAdminCallClient(address: string): AdminCallClient {
  return createCallClient(address, adminServiceDefinition().call);
}

export interface AdminClientOptions {
  readonly directory: NodeDirectory;
  readonly connect: (raftAddress: string) => AdminCallClient;
  readonly clock: Clock;
  /** Of a whole call, all attempts together. */
  readonly timeoutMs: number;
  /** The broker group that is meant; null: the only one. */
  readonly group: string | null;
}

export interface AdminCallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  /** What the asked node knows by itself is enough. */
  readonly stale?: boolean;
}

/** Of several groups none was named. */
export class GroupUnclear extends Error {
  override readonly name = 'GroupUnclear';
  readonly groups: readonly string[];
  constructor(asked: string | null, groups: readonly string[]) {
    super(asked === null ? 'There are several broker groups' : `There is no broker group ${asked}`);
    this.groups = groups;
  }
}

export class AdminClient {
  readonly directory: NodeDirectory;
  readonly #options: AdminClientOptions;
  readonly #connections = new Map<string, AdminCallClient>();

  constructor(options: AdminClientOptions) {
    this.directory = options.directory;
    this.#options = options;
  }

  question(question: AdminQuestion, options: AdminCallOptions): Promise<AdminResponse> {
    return this.#call(question, NO_OPTIONS, options);
  }

  change(
    change: AdminChange,
    changeOptions: ChangeOptions,
    options: AdminCallOptions,
  ): Promise<AdminResponse> {
    return this.#call(change, changeOptions, options);
  }

  /** What this very node says of itself; no other is asked. @returns a sentence when it is away */
  async nodeHealth(node: KnownNode, signal: AbortSignal): Promise<NodeHealth | string> {
    const request = { kind: 'health' } as const;
    const call = { remainingMs: STATUS_TIMEOUT_MS, hops: 0, stale: true, request };
    const answer = await this.#attempt(node, { ...call, options: NO_OPTIONS }, signal);
    if (answer instanceof AdminError) {
      signal.throwIfAborted();
      return answer.message;
    }
    return answer.kind === 'health' ? answer.health : `it answered ${answer.kind}`;
  }

  /** The nodes of the group that is meant. @throws GroupUnclear, NoNodesKnown */
  async group(): Promise<KnownGroup> {
    const groups = await this.directory.groups();
    const { group: asked } = this.#options;
    const fitting = groups.filter(({ group }) => asked === null || group === '' || group === asked);
    const [only, ...others] = fitting;
    if (only !== undefined && others.length === 0) return only;
    throw new GroupUnclear(
      asked,
      groups.map(({ group }) => group),
    );
  }

  close(): void {
    this.directory.close();
    for (const connection of this.#connections.values()) connection.close();
  }

  /** Goes round the nodes until one answers or the deadline is over. */
  async #call(
    request: AdminRequest,
    changeOptions: ChangeOptions,
    options: AdminCallOptions,
  ): Promise<AdminResponse> {
    const { clock } = this.#options;
    const { signal, stale = false, timeoutMs = this.#options.timeoutMs } = options;
    const deadlineAtMs = clock.monotonicMs() + timeoutMs;
    const seen = new Map<string, string>();
    let last: AdminError | NoNodesKnown = new AdminError('timeout', 'No node was asked');
    let pauseMs = RETRY_DELAY_MS_MIN;
    // Ends at the deadline; each round takes at least its pause.
    for (;;) {
      const nodes = await this.#nodes();
      if (nodes instanceof NoNodesKnown) last = nodes;
      for (const node of nodes instanceof NoNodesKnown ? [] : nodes) {
        const leftMs = deadlineAtMs - clock.monotonicMs();
        if (leftMs <= 0) break;
        const attemptMs = isChange(request) ? CHANGE_ATTEMPT_TIMEOUT_MS : ATTEMPT_TIMEOUT_MS;
        const remainingMs = Math.ceil(Math.min(leftMs, attemptMs));
        const call = { remainingMs, hops: 0, stale, request, options: changeOptions };
        const answer = await this.#attempt(node, call, signal);
        if (!(answer instanceof AdminError)) return answer;
        signal.throwIfAborted();
        last = answer;
        seen.set(node.nodeId ?? node.raft, answer.message);
      }
      this.directory.forget();
      const leftMs = deadlineAtMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      await delay(clock, Math.min(pauseMs, leftMs), signal);
      pauseMs = Math.min(pauseMs * 2, RETRY_DELAY_MS_MAX);
    }
    if (last instanceof NoNodesKnown) throw last;
    const tried = [...seen].map(([node, message]) => `${node}: ${message}`).join('; ');
    throw new AdminError(last.code, `No answer within ${timeoutMs} ms; ${tried}`, { cause: last });
  }

  /** The leader by the name servers' word first: it need not forward. */
  async #nodes(): Promise<readonly KnownNode[] | NoNodesKnown> {
    try {
      const { master, nodes } = await this.group();
      const isMaster = ({ nodeId }: KnownNode): boolean => nodeId !== null && nodeId === master;
      return [...nodes.filter(isMaster), ...nodes.filter((node) => !isMaster(node))];
    } catch (error) {
      if (!(error instanceof NoNodesKnown)) throw error;
      return error;
    }
  }

  /** @returns an error that another node or moment may cure; rejects with the others. */
  async #attempt(
    node: KnownNode,
    call: AdminCall,
    signal: AbortSignal,
  ): Promise<AdminResponse | AdminError> {
    try {
      return outcomeOf(await this.#connection(node.raft).call(call, signal));
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      signal.throwIfAborted();
      const isOld = error.reason === 'unsupported';
      const message = isOld ? 'its program knows no administration' : shortReason(error.message);
      return new AdminError(isOld ? 'unsupported' : 'timeout', message, { cause: error });
    }
  }

  #connection(address: string): AdminCallClient {
    const open = this.#connections.get(address);
    if (open !== undefined) return open;
    const connection = this.#options.connect(address);
    this.#connections.set(address, connection);
    return connection;
  }
}

/** @throws AdminError that no other node or moment cures */
function outcomeOf(reply: AdminReply): AdminResponse | AdminError {
  switch (reply.kind) {
    case 'answer':
      return reply.response;
    case 'notLeader':
      return new AdminError('timeout', `it does not lead term ${reply.term}`);
    case 'failure': {
      const error = new AdminError(reply.code, reply.message);
      const isForNow = ['timeout', 'busy', 'underRepair'].includes(reply.code);
      if (isForNow) return error;
      throw error;
    }
  }
}
