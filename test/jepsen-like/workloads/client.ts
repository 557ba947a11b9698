/**
 * A client that keeps books: each operation through the project's own client becomes one line of the
 * history, with an outcome that claims no more than is known.
 *
 * The client under it tries several nodes. What a whole call came to is certain only when each of its
 * tries is: so every try is watched here, and one whose outcome is open makes the call `info`.
 */
import { crc32 } from '../../../src/base/crc32.ts';
import {
  type BrokerCallClient,
  BrokerCallFailure,
  createBrokerCallClient,
} from '../../../src/client/broker-call-client.ts';
import { MqClient } from '../../../src/client/mq-client.ts';
import { NameServerClient } from '../../../src/client/name-server-client.ts';
import { NodeDirectory, NoNodesKnown } from '../../../src/client/node-directory.ts';
import { NodeClock } from '../../../src/io/node/node-clock.ts';
import {
  BrokerError,
  type BrokerErrorCode,
  type OutgoingMessage,
} from '../../../src/protocol/verbs.ts';
import type { Action, Delivery, Operation, Outcome, Receipt } from '../history/operation.ts';
import type { Recorder } from '../history/recorder.ts';
import { INVISIBLE_MS, OPERATION_TIMEOUT_MS, RECEIVE_BATCH, RECEIVE_WAIT_MS } from '../limits.ts';
import { bodyFor, readBody } from './body.ts';

/** Where clients can go. */
export interface Endpoints {
  /** Ports for calls of nodes, as clients reach them. */
  readonly nodes: readonly string[];
  readonly nameServers: readonly string[];
}

/** Answers after which the effect is open; all others are given before anything was appended. */
const OPEN_CODES: readonly BrokerErrorCode[] = ['timeout', 'internal'];
/** Words of the gRPC library for a call that never left this machine. */
const NEVER_SENT = /No connection established|ECONNREFUSED|Name resolution failed/;

export interface Message {
  readonly id: string;
  readonly sequence: number;
  readonly sizeBytes: number;
}

/** A delivery that can be acknowledged. */
export interface Held extends Delivery {
  readonly handle: string;
}

export interface BookkeeperOptions {
  readonly recorder: Recorder;
  readonly workload: string;
  readonly name: string;
  readonly endpoints: Endpoints;
  /** Where it begins to look; odd numbers ask the name servers, as users do. */
  readonly number: number;
}

export class Bookkeeper {
  readonly #options: BookkeeperOptions;
  readonly #client: MqClient;
  readonly #watched = { isOpen: false };
  #life = 0;

  constructor(options: BookkeeperOptions) {
    this.#options = options;
    this.#client = clientOf(options.endpoints, options.number, this.#watched);
  }

  /** The name under which it acts now; another one after each operation whose outcome is open. */
  get name(): string {
    return `${this.#options.name}.${this.#life}`;
  }

  close(): void {
    this.#client.close();
  }

  async send(topic: string, messages: readonly Message[]): Promise<readonly Receipt[] | null> {
    const producer = this.name;
    const sent = messages.map(({ id, sequence }) => ({ id, sequence }));
    const outgoing = messages.map((message) => outgoingOf(topic, producer, message));
    const action = (receipts: readonly Receipt[]): Action => ({
      verb: 'send',
      ...{ topic, producer, messages: sent, receipts },
    });
    return this.#book(
      action([]),
      async () => {
        const receipts = await this.#client.send(outgoing, { timeoutMs: OPERATION_TIMEOUT_MS });
        return receipts.map(
          ({ messageId: id, queueId, queueOffset, physicalOffset, duplicate }) => ({
            ...{ id, queueId, queueOffset, physicalOffset, duplicate },
          }),
        );
      },
      action,
    );
  }

  /** @returns null when nothing is known of what was handed out */
  async receive(
    topic: string,
    group: string,
    options: {
      readonly final?: boolean;
      readonly batchSize?: number;
      readonly waitMs?: number;
    } = {},
  ): Promise<readonly Held[] | null> {
    const { final = false, batchSize = RECEIVE_BATCH, waitMs = RECEIVE_WAIT_MS } = options;
    const { workload } = this.#options;
    const action = (held: readonly Held[]): Action => {
      const deliveries = held.map(({ handle: _, ...delivery }) => delivery);
      return { verb: 'receive', topic, group, deliveries, final };
    };
    return this.#book(
      action([]),
      async () => {
        const messages = await this.#client.receive(
          {
            ...{ group, topic, filter: { tags: [] }, batchSize, waitMs },
            ...{ invisibleMs: INVISIBLE_MS, autoRenew: false },
            ...{ clientId: this.name, attemptId: `${this.name}-${this.#options.recorder.nowMs()}` },
          },
          { timeoutMs: OPERATION_TIMEOUT_MS },
        );
        return messages.map(({ messageId, queueId, queueOffset, attempt, body, handle }) => {
          const id = readBody(body)?.id;
          // The official client mints message ids of its own: there the body alone tells.
          const intact = id !== undefined && (id === messageId || workload === 'official');
          return {
            ...{ id: id ?? messageId, queueId, queueOffset, attempt, handle },
            ...{ bodyCrc: crc32(body), intact },
          };
        });
      },
      action,
    );
  }

  async ack(
    topic: string,
    group: string,
    held: readonly Held[],
  ): Promise<readonly boolean[] | null> {
    const places = held.map(({ queueId, queueOffset }) => ({ queueId, queueOffset }));
    const action = (accepted: readonly boolean[]): Action => ({
      verb: 'ack',
      ...{ topic, group, places, accepted },
    });
    const handles = held.map(({ handle }) => handle);
    return this.#book(
      action([]),
      async () => {
        const options = { timeoutMs: OPERATION_TIMEOUT_MS };
        const outcomes = await this.#client.ack({ group, topic, handles }, options);
        return outcomes.map((outcome) => outcome === 'ok');
      },
      action,
    );
  }

  async readOffsets(topic: string, group: string): Promise<void> {
    type Offsets = readonly { queueId: number; consumerOffset: number }[];
    const action = (offsets: Offsets): Action => ({ verb: 'readOffset', topic, group, offsets });
    await this.#book<Offsets>(
      action([]),
      async () => {
        const options = { timeoutMs: OPERATION_TIMEOUT_MS };
        const { queues } = await this.#client.groupDescribe(group, options);
        return queues
          .filter((queue) => queue.topic === topic)
          .map(({ queueId, consumerOffset }) => ({ queueId, consumerOffset }));
      },
      action,
    );
  }

  async topicPut(topic: string, queueCount: number): Promise<boolean> {
    const action: Action = { verb: 'topicPut', topic };
    const put = () => this.#client.topicPut(topic, queueCount, { timeoutMs: OPERATION_TIMEOUT_MS });
    return (await this.#book(action, put, () => action)) !== null;
  }

  async topicDelete(topic: string): Promise<boolean> {
    const action: Action = { verb: 'topicDelete', topic };
    const remove = () => this.#client.topicDelete(topic, { timeoutMs: OPERATION_TIMEOUT_MS });
    return (await this.#book(action, remove, () => action)) !== null;
  }

  /** `absent` is an answer like another. */
  async topicDescribe(topic: string) {
    type Queues = Extract<Action, { verb: 'topicDescribe' }>['queues'];
    const action = (queues: Queues): Action => ({ verb: 'topicDescribe', topic, queues });
    const answer = await this.#book<{ readonly queues: Queues }>(
      action(null),
      async () => {
        try {
          const options = { timeoutMs: OPERATION_TIMEOUT_MS };
          const { queues } = await this.#client.topicDescribe(topic, options);
          return { queues };
        } catch (error) {
          if (error instanceof BrokerError && error.code === 'topicNotFound')
            return { queues: null };
          throw error;
        }
      },
      ({ queues }) => action(queues),
    );
    return answer?.queues ?? null;
  }

  async #book<T>(
    asked: Action,
    call: () => Promise<T>,
    actionOf: (answer: T) => Action,
  ): Promise<T | null> {
    const { recorder, workload } = this.#options;
    const startMs = recorder.nowMs();
    const client = this.name;
    this.#watched.isOpen = false;
    const book = (outcome: Outcome, error: string | null, action: Action): void => {
      const endMs = recorder.nowMs();
      const line: Operation = { workload, client, startMs, endMs, outcome, error, action };
      recorder.operation(line);
    };
    try {
      const answer = await call();
      book('ok', null, actionOf(answer));
      return answer;
    } catch (error) {
      if (!(error instanceof BrokerError || error instanceof NoNodesKnown)) throw error;
      const isOpen = this.#watched.isOpen;
      book(isOpen ? 'info' : 'fail', error.message.slice(0, 200), asked);
      if (isOpen) this.#life++;
      return null;
    }
  }
}

function outgoingOf(topic: string, producer: string, message: Message): OutgoingMessage {
  const { id, sequence, sizeBytes } = message;
  return {
    ...{ topic, messageId: id, tag: null, keys: [], traceContext: null, userProperties: {} },
    body: bodyFor({ id, producer, sequence }, sizeBytes),
    ...{ bodyEncoding: 'identity', bornTimestampMs: Date.now(), bornHost: '127.0.0.1:1' },
  };
}

function clientOf(
  { nodes, nameServers }: Endpoints,
  number: number,
  watched: { isOpen: boolean },
): MqClient {
  const clock = new NodeClock();
  const asksNameServers = number % 2 === 1 && nameServers.length > 0;
  const first = number % nodes.length;
  const inTurn = [...nodes.slice(first), ...nodes.slice(0, first)];
  const endpoints = inTurn.map((raft) => ({ nodeId: null, raft, grpc: null, http: null }));
  return new MqClient({
    directory: new NodeDirectory({
      nameServers: asksNameServers ? nameServers.map((each) => new NameServerClient(each)) : [],
      endpoints: asksNameServers ? [] : endpoints,
      clock,
    }),
    connect: (address) => watchedCalls(createBrokerCallClient(address), watched),
    clock,
    timeoutMs: OPERATION_TIMEOUT_MS,
  });
}

function watchedCalls(calls: BrokerCallClient, watched: { isOpen: boolean }): BrokerCallClient {
  return {
    close: () => calls.close(),
    call: async (call, signal) => {
      try {
        const reply = await calls.call(call, signal);
        if (reply.kind === 'failure' && OPEN_CODES.includes(reply.code)) watched.isOpen = true;
        return reply;
      } catch (error) {
        if (!(error instanceof BrokerCallFailure)) throw error;
        if (!NEVER_SENT.test(error.message)) watched.isOpen = true;
        throw error;
      }
    },
  };
}
