/**
 * The project's own client, for the command line, the bench and tests: each verb goes to a node of
 * the right group, and on trouble to the next one until the deadline (rounds.ts).
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
import { Connections } from './connections.ts';
import { ATTEMPT_TIMEOUT_MS, LONG_POLL_SLACK_MS, STATUS_TIMEOUT_MS } from './limits.ts';
import type { KnownGroup, KnownNode, NodeDirectory } from './node-directory.ts';
import {
  type Attempt,
  type AttemptOutcome,
  attemptsText,
  type FailedAttempt,
  inRounds,
} from './rounds.ts';
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

export class MqClient {
  readonly directory: NodeDirectory;
  readonly #options: MqClientOptions;
  readonly #connections: Connections<BrokerCallClient>;

  constructor(options: MqClientOptions) {
    this.directory = options.directory;
    this.#options = options;
    this.#connections = new Connections(options.connect);
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
    const how = { leftMs: STATUS_TIMEOUT_MS, isRetry: false };
    const outcome = await this.#attempt(node, { kind: 'status' }, how, used);
    if (outcome.kind === 'answer') return narrowed('status', outcome.answer).status;
    used.throwIfAborted();
    return outcome.trouble.message;
  }

  close(): void {
    this.directory.close();
    this.#connections.close();
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
    const { directory } = this;
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
    const signal = options.signal ?? new AbortController().signal;
    const outcome = await inRounds<BrokerResponse, BrokerError>({
      ...{ directory, clock, timeoutMs, signal, findGroup },
      attempt: (node, how) => this.#attempt(node, request, how, signal),
    });
    if (outcome.kind === 'answer') return outcome.answer;
    throw summaryOf(request, timeoutMs, outcome.attempts);
  }

  async #attempt(
    node: KnownNode,
    request: BrokerRequest,
    { leftMs, isRetry: retried }: Attempt,
    signal: AbortSignal,
  ): Promise<AttemptOutcome<BrokerResponse, BrokerError>> {
    const waitMs = request.kind === 'receive' ? request.waitMs : 0;
    const attemptMs = waitMs > 0 ? waitMs + LONG_POLL_SLACK_MS : ATTEMPT_TIMEOUT_MS;
    const remainingMs = Math.ceil(Math.min(leftMs, attemptMs));
    const call = { remainingMs, hops: 0, leaderTerm: Term(0), retried, request };
    try {
      return outcomeOf(await this.#connections.to(node.raft).call(call, signal));
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      signal.throwIfAborted();
      return troubled('timeout', shortReason(error.message), { cause: error });
    }
  }
}

const TOPIC_LIST = { kind: 'topicList' } as const;

/** @throws BrokerError that no other node or moment cures */
function outcomeOf(reply: BrokerReply): AttemptOutcome<BrokerResponse, BrokerError> {
  switch (reply.kind) {
    case 'answer':
      return { kind: 'answer', answer: reply.response };
    case 'notLeader':
      return troubled('busy', `It does not lead term ${reply.term}`);
    case 'failure':
      if (reply.code !== 'timeout' && reply.code !== 'busy') {
        throw new BrokerError(reply.code, reply.message);
      }
      return troubled(reply.code, reply.message);
  }
}

function troubled(...words: ConstructorParameters<typeof BrokerError>) {
  return { kind: 'trouble', trouble: new BrokerError(...words) } as const;
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
  attempts: readonly FailedAttempt<BrokerError>[],
): BrokerError {
  const tried = attemptsText(attempts);
  const code = attempts.some(({ trouble }) => trouble.code === 'timeout') ? 'timeout' : 'busy';
  const cause = attempts.at(-1)?.trouble;
  return new BrokerError(
    attempts.length === 0 ? 'timeout' : code,
    `No answer to ${request.kind} within ${timeoutMs} ms after ${attempts.length} attempts` +
      (tried === '' ? '' : `; ${tried}`),
    cause === undefined ? {} : { cause },
  );
}
