/**
 * The project's own client, for the command line, the bench and tests: each verb goes to a node of
 * the right group, the leader first, and on trouble to the next one until the deadline.
 *
 * A retry repeats the request as it is. That is safe: a message keeps its id, under which the log
 * keeps one copy (design, promise 2), and the other verbs may be repeated by nature.
 *
 * Not here: which errors a user sees and how (cli/).
 */
import { Term } from '../base/units.ts';
import type { Clock } from '../io/clock.ts';
import {
  type AckOutcome,
  BrokerError,
  type BrokerReply,
  type BrokerRequest,
  type BrokerResponse,
  type DeliveredMessage,
  type GroupDescription,
  type NodeReport,
  type OutgoingMessage,
  type ReceiveRequest,
  type SendReceipt,
  type TopicDescription,
} from '../protocol/verbs.ts';
import { type BrokerCallClient, BrokerCallFailure } from './broker-call-client.ts';
import { delay } from './delay.ts';
import {
  ATTEMPT_TIMEOUT_MS,
  LONG_POLL_SLACK_MS,
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

export interface MqClientOptions {
  readonly directory: NodeDirectory;
  readonly connect: (raftAddress: string) => BrokerCallClient;
  readonly clock: Clock;
  /** Of a whole call, all attempts together. */
  readonly timeoutMs: number;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

type Answer<Kind extends BrokerResponse['kind']> = Extract<BrokerResponse, { kind: Kind }>;

/** What was tried in one call, for the sentence at its end. */
interface Attempt {
  readonly node: string;
  readonly error: BrokerError;
}

export class MqClient {
  readonly directory: NodeDirectory;
  readonly #options: MqClientOptions;
  readonly #connections = new Map<string, BrokerCallClient>();

  constructor(options: MqClientOptions) {
    this.directory = options.directory;
    this.#options = options;
  }

  async send(
    messages: readonly OutgoingMessage[],
    options: CallOptions = {},
  ): Promise<readonly SendReceipt[]> {
    return (await this.#ask('sent', { kind: 'send', messages }, options)).receipts;
  }

  async receive(
    request: Omit<ReceiveRequest, 'kind'>,
    options: CallOptions = {},
  ): Promise<readonly DeliveredMessage[]> {
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs + request.waitMs;
    const asked = { kind: 'receive' as const, ...request };
    return (await this.#ask('received', asked, { ...options, timeoutMs })).messages;
  }

  async ack(
    request: {
      readonly group: string;
      readonly topic: string;
      readonly handles: readonly string[];
    },
    options: CallOptions = {},
  ): Promise<readonly AckOutcome[]> {
    return (await this.#ask('acked', { kind: 'ack', ...request }, options)).outcomes;
  }

  /** @returns whether it is new; false also when a first attempt, whose answer was lost, made it. */
  async topicPut(topic: string, queueCount: number, options: CallOptions = {}): Promise<boolean> {
    return (await this.#ask('topicPut', { kind: 'topicPut', topic, queueCount }, options)).created;
  }

  async topicDelete(topic: string, options: CallOptions = {}): Promise<boolean> {
    return (await this.#ask('topicDeleted', { kind: 'topicDelete', topic }, options)).existed;
  }

  async topicDescribe(topic: string, options: CallOptions = {}): Promise<TopicDescription> {
    return (await this.#ask('topic', { kind: 'topicDescribe', topic }, options)).topic;
  }

  /** Of all groups, by name. */
  async topicList(options: CallOptions = {}): Promise<readonly TopicDescription[]> {
    const groups = await this.directory.groups();
    const answers = await Promise.all(
      groups.map((group) => this.#callGroup(() => Promise.resolve(group), TOPIC_LIST, options)),
    );
    return answers
      .flatMap((answer) => narrowed('topicList', answer).topics)
      .sort((a, b) => (a.topic < b.topic ? -1 : 1));
  }

  async groupPut(group: string, maxAttempts: number, options: CallOptions = {}): Promise<boolean> {
    return (await this.#ask('groupPut', { kind: 'groupPut', group, maxAttempts }, options)).created;
  }

  async groupDescribe(group: string, options: CallOptions = {}): Promise<GroupDescription> {
    return (await this.#ask('group', { kind: 'groupDescribe', group }, options)).group;
  }

  /** What this very node says of itself; no other is asked. @returns a sentence when it is away */
  async nodeReport(node: KnownNode, signal?: AbortSignal): Promise<NodeReport | string> {
    const used = signal ?? new AbortController().signal;
    const tried = { leftMs: STATUS_TIMEOUT_MS, retried: false, signal: used };
    const answer = await this.#attempt(node, { kind: 'status' }, tried);
    if (!(answer instanceof BrokerError)) return narrowed('status', answer).status;
    used.throwIfAborted();
    return answer.message;
  }

  close(): void {
    this.directory.close();
    for (const connection of this.#connections.values()) connection.close();
  }

  async #ask<Kind extends BrokerResponse['kind']>(
    kind: Kind,
    request: BrokerRequest,
    options: CallOptions,
  ): Promise<Answer<Kind>> {
    const topic = topicOf(request);
    const find = (): Promise<KnownGroup> => this.directory.groupOf(topic);
    return narrowed(kind, await this.#callGroup(find, request, options));
  }

  /** Goes round the nodes until one answers or the deadline is over. */
  async #callGroup(
    findGroup: () => Promise<KnownGroup>,
    request: BrokerRequest,
    options: CallOptions,
  ): Promise<BrokerResponse> {
    const { clock } = this.#options;
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
    const signal = options.signal ?? new AbortController().signal;
    const deadlineAtMs = clock.monotonicMs() + timeoutMs;
    const attempts: Attempt[] = [];
    let retryDelayMs = RETRY_DELAY_MS_MIN;
    let noNodes: NoNodesKnown | null = null;
    // Ends at the deadline; each round takes at least its delay.
    for (;;) {
      const found = await groupOrNone(findGroup);
      noNodes = found instanceof NoNodesKnown ? found : null;
      for (const node of found instanceof NoNodesKnown ? [] : leaderFirst(found)) {
        const leftMs = deadlineAtMs - clock.monotonicMs();
        if (leftMs <= 0) break;
        const retried = attempts.length > 0;
        const answer = await this.#attempt(node, request, { leftMs, retried, signal });
        if (!(answer instanceof BrokerError)) return answer;
        signal.throwIfAborted();
        attempts.push({ node: nameOf(node), error: answer });
      }
      this.directory.forget();
      const leftMs = deadlineAtMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      await delay(clock, Math.min(retryDelayMs, leftMs), signal);
      retryDelayMs = Math.min(retryDelayMs * 2, RETRY_DELAY_MS_MAX);
    }
    if (attempts.length === 0 && noNodes !== null) throw noNodes;
    throw summaryOf(request, timeoutMs, attempts);
  }

  /** @returns an error that another node or moment may cure; rejects with the others. */
  async #attempt(
    node: KnownNode,
    request: BrokerRequest,
    tried: { readonly leftMs: number; readonly retried: boolean; readonly signal: AbortSignal },
  ): Promise<BrokerResponse | BrokerError> {
    const waitMs = request.kind === 'receive' ? request.waitMs : 0;
    const attemptMs = waitMs > 0 ? waitMs + LONG_POLL_SLACK_MS : ATTEMPT_TIMEOUT_MS;
    const remainingMs = Math.ceil(Math.min(tried.leftMs, attemptMs));
    const { retried } = tried;
    const call = { remainingMs, hops: 0, leaderTerm: Term(0), retried, request };
    try {
      const reply = await this.#connection(node.raft).call(call, tried.signal);
      return outcomeOf(reply);
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      tried.signal.throwIfAborted();
      return new BrokerError('timeout', shortReason(error.message), { cause: error });
    }
  }

  #connection(address: string): BrokerCallClient {
    const open = this.#connections.get(address);
    if (open !== undefined) return open;
    const connection = this.#options.connect(address);
    this.#connections.set(address, connection);
    return connection;
  }
}

const TOPIC_LIST = { kind: 'topicList' } as const;

/** @throws BrokerError that no other node or moment cures */
function outcomeOf(reply: BrokerReply): BrokerResponse | BrokerError {
  switch (reply.kind) {
    case 'answer':
      return reply.response;
    case 'notLeader':
      return new BrokerError('busy', `It does not lead term ${reply.term}`);
    case 'failure': {
      const error = new BrokerError(reply.code, reply.message);
      if (reply.code === 'timeout' || reply.code === 'busy') return error;
      throw error;
    }
  }
}

async function groupOrNone(find: () => Promise<KnownGroup>): Promise<KnownGroup | NoNodesKnown> {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof NoNodesKnown)) throw error;
    return error;
  }
}

function leaderFirst({ master, nodes }: KnownGroup): readonly KnownNode[] {
  const isMaster = ({ nodeId }: KnownNode): boolean => nodeId !== null && nodeId === master;
  return [...nodes.filter(isMaster), ...nodes.filter((node) => !isMaster(node))];
}

function nameOf({ nodeId, raft }: KnownNode): string {
  return nodeId === null ? raft : `${nodeId} (${raft})`;
}

function topicOf(request: BrokerRequest): string | null {
  if (request.kind === 'send') return request.messages[0]?.topic ?? null;
  return 'topic' in request ? request.topic : null;
}

function narrowed<Kind extends BrokerResponse['kind']>(
  kind: Kind,
  response: BrokerResponse,
): Answer<Kind> {
  if (response.kind === kind) return response as Answer<Kind>;
  throw new BrokerError('internal', `The broker answered ${response.kind} where ${kind} was asked`);
}

/** One attempt whose outcome is unknown makes the outcome of the whole call unknown. */
function summaryOf(
  request: BrokerRequest,
  timeoutMs: number,
  attempts: readonly Attempt[],
): BrokerError {
  const last = new Map(attempts.map(({ node, error }) => [node, error.message]));
  const tried = [...last].map(([node, message]) => `${node}: ${message}`).join('; ');
  const code = attempts.some(({ error }) => error.code === 'timeout') ? 'timeout' : 'busy';
  const cause = attempts.at(-1)?.error;
  return new BrokerError(
    attempts.length === 0 ? 'timeout' : code,
    `No answer to ${request.kind} within ${timeoutMs} ms after ${attempts.length} attempts` +
      (tried === '' ? '' : `; ${tried}`),
    cause === undefined ? {} : { cause },
  );
}
