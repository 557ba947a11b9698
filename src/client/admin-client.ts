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
  type AdminFailureCode,
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
import { Connections } from './connections.ts';
import { ATTEMPT_TIMEOUT_MS, CHANGE_ATTEMPT_TIMEOUT_MS, STATUS_TIMEOUT_MS } from './limits.ts';
import type { KnownGroup, KnownNode, NodeDirectory } from './node-directory.ts';
import { type AttemptOutcome, attemptsText, type FailedAttempt, inRounds } from './rounds.ts';
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
  readonly #connections: Connections<AdminCallClient>;

  constructor(options: AdminClientOptions) {
    this.directory = options.directory;
    this.#options = options;
    this.#connections = new Connections(options.connect);
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
    const outcome = await this.#attempt(node, { ...call, options: NO_OPTIONS }, signal);
    if (outcome.kind === 'trouble') {
      signal.throwIfAborted();
      return outcome.trouble.message;
    }
    const { answer } = outcome;
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
    this.#connections.close();
  }

  async #call(
    request: AdminRequest,
    changeOptions: ChangeOptions,
    options: AdminCallOptions,
  ): Promise<AdminResponse> {
    const { clock } = this.#options;
    const { directory } = this;
    const { signal, stale = false, timeoutMs = this.#options.timeoutMs } = options;
    const attemptMs = isChange(request) ? CHANGE_ATTEMPT_TIMEOUT_MS : ATTEMPT_TIMEOUT_MS;
    const outcome = await inRounds<AdminResponse, AdminError>({
      ...{ directory, clock, timeoutMs, signal },
      findGroup: () => this.group(),
      attempt: (node, { leftMs }) => {
        const remainingMs = Math.ceil(Math.min(leftMs, attemptMs));
        const call = { remainingMs, hops: 0, stale, request, options: changeOptions };
        return this.#attempt(node, call, signal);
      },
    });
    if (outcome.kind === 'answer') return outcome.answer;
    throw summaryOf(timeoutMs, outcome.attempts);
  }

  async #attempt(
    node: KnownNode,
    call: AdminCall,
    signal: AbortSignal,
  ): Promise<AttemptOutcome<AdminResponse, AdminError>> {
    try {
      return outcomeOf(await this.#connections.to(node.raft).call(call, signal));
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      signal.throwIfAborted();
      const isOld = error.reason === 'unsupported';
      const message = isOld ? 'its program knows no administration' : shortReason(error.message);
      return troubled(isOld ? 'unsupported' : 'timeout', message, { cause: error });
    }
  }
}

/** @throws AdminError that no other node or moment cures */
function outcomeOf(reply: AdminReply): AttemptOutcome<AdminResponse, AdminError> {
  switch (reply.kind) {
    case 'answer':
      return { kind: 'answer', answer: reply.response };
    case 'notLeader':
      return troubled('timeout', `it does not lead term ${reply.term}`);
    case 'failure':
      if (!PASSING.includes(reply.code)) throw new AdminError(reply.code, reply.message);
      return troubled(reply.code, reply.message);
  }
}

const PASSING: readonly AdminFailureCode[] = ['timeout', 'busy', 'underRepair'];

function troubled(...words: ConstructorParameters<typeof AdminError>) {
  return { kind: 'trouble', trouble: new AdminError(...words) } as const;
}

/** One attempt whose outcome is unknown makes the outcome of the whole call unknown. */
function summaryOf(timeoutMs: number, attempts: readonly FailedAttempt<AdminError>[]): AdminError {
  const last = attempts.at(-1)?.trouble;
  const isUnknown = attempts.some(({ trouble }) => trouble.code === 'timeout');
  const code = last === undefined || isUnknown ? 'timeout' : last.code;
  const tried = last === undefined ? 'no node was asked' : attemptsText(attempts);
  const cause = last === undefined ? {} : { cause: last };
  return new AdminError(code, `No answer within ${timeoutMs} ms; ${tried}`, cause);
}
