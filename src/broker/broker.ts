/**
 * The broker of one replica: the services behind the verbs, and what wakes them. Serves only while the
 * replica leads; whoever asks at another time gets LeadershipLost and belongs to the gateway.
 *
 * Invariant: nothing of one leadership reaches into the next. Claims, lanes and locks empty themselves
 * as their proposals end; what remains is reset here.
 */
import { unreachable } from '../base/assert.ts';
import { FatalError } from '../base/errors.ts';
import type { Clock } from '../io/clock.ts';
import { parseHostAddress } from '../protocol/host-address.ts';
import type { Leadership, Replica } from '../replica/replica.ts';
import type { CommittedEntry, RecordResult } from '../store/derived/derived-state.ts';
import { Background } from './background.ts';
import { type BrokerCounters, newBrokerCounters } from './counters.ts';
import { freshAnswer } from './fresh-answer.ts';
import { LeaderTime } from './leader-time.ts';
import { LeadershipLost } from './leadership-lost.ts';
import { NAME_LIMITS, RETENTION } from './limits.ts';
import { MessageLocks } from './message-locks.ts';
import { Proposer } from './proposer.ts';
import { QueueAppender } from './queue-appender.ts';
import { RoomGate } from './room-gate.ts';
import { AckMessage } from './services/ack-message.ts';
import { ChangeInvisible } from './services/change-invisible.ts';
import { ClientTable } from './services/clients.ts';
import { deadLetter } from './services/dead-letter.ts';
import { DeadLetterer } from './services/dead-letterer.ts';
import { Groups } from './services/groups.ts';
import { LeaseKeeper } from './services/lease-keeper.ts';
import { Metadata } from './services/metadata.ts';
import { nodeReport, type SoundnessReport } from './services/node-report.ts';
import { ReceiveMessage } from './services/receive-message.ts';
import { NOTHING_MAY_GO, Retention, type RetentionBounds } from './services/retention.ts';
import type { RetentionLimits } from './services/retention-decision.ts';
import { SendMessage } from './services/send-message.ts';
import { Topics } from './services/topics.ts';
import { BrokerError, type BrokerRequest, type BrokerResponse, type RoomReport } from './verbs.ts';

export interface BrokerOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly autoCreateTopics: boolean;
  /** `ip:port` that the messages stored here carry. */
  readonly storeHost: string;
  /** Left out: the disk is never full. */
  readonly diskRoom?: () => RoomReport;
  /** Left out: this node does not look after its log. */
  readonly soundness?: () => SoundnessReport;
  /** Left out: the defaults. */
  readonly retention?: RetentionLimits;
  /** Left out: nothing may go, whatever the limits say. */
  readonly retentionBounds?: RetentionBounds;
  /** How often the leader looks. */
  readonly retentionPeriodMs?: number;
}

/** How a call is served on this node. */
export interface ServeContext {
  /** What is left of the caller's time. */
  readonly remainingMs: number;
  /** Aborted when nobody will read the answer. May be made on first use. */
  readonly signal: AbortSignal;
  /** An earlier try ended without an answer: its effect may be there already. */
  readonly isRetry: boolean;
}

export interface Broker {
  /**
   * @throws LeadershipLost when this node does not lead, or ceased to while it worked
   * @throws BrokerError for everything the caller can understand
   * @throws CorruptionError when a record could not be read
   */
  serve(request: BrokerRequest, context: ServeContext): Promise<BrokerResponse>;
  readonly counters: BrokerCounters;
  /** Long polls that wait here. */
  readonly pollCount: number;
  /** Ends timers and polls; what is being proposed ends with the replica. Idempotent. */
  close(): void;
}

/** @throws FatalError when `storeHost` cannot be stored */
export function createBroker(options: BrokerOptions): Broker {
  if (parseHostAddress(options.storeHost) === null) {
    throw new FatalError(
      'badConfiguration',
      `The store host "${options.storeHost}" is not an IP address with a port, such as 10.0.0.9:8081`,
    );
  }
  return new LocalBroker(options);
}

type ServedRequest = Exclude<BrokerRequest, { kind: 'status' }>;

class LocalBroker implements Broker {
  readonly counters = newBrokerCounters();
  readonly #replica: Replica;
  readonly #clients: ClientTable;
  readonly #send: SendMessage;
  readonly #receive: ReceiveMessage;
  readonly #ack: AckMessage;
  readonly #changeInvisible: ChangeInvisible;
  readonly #deadLetterer: DeadLetterer;
  readonly #keeper: LeaseKeeper;
  readonly #retention: Retention;
  readonly #topics: Topics;
  readonly #groups: Groups;
  readonly #room: () => RoomReport | null;
  readonly #soundness: () => SoundnessReport;
  readonly #wake = (group: string, topic: string) => this.#receive.wake(group, topic);
  #closed = false;

  constructor(options: BrokerOptions) {
    const { replica, clock, autoCreateTopics, storeHost, diskRoom } = options;
    this.#replica = replica;
    this.#room = diskRoom ?? (() => null);
    this.#soundness = options.soundness ?? (() => UNKNOWN_SOUNDNESS);
    const { state } = replica;
    const time = new LeaderTime(clock);
    const proposer = new Proposer(replica);
    const appender = new QueueAppender(state, proposer, time);
    const gate = new RoomGate(this.#room);
    const metadata = new Metadata({ state, proposer, time, gate, autoCreateTopics });
    const shared = {
      ...{ replica, state, clock, time, proposer, appender, metadata, gate, storeHost },
      locks: new MessageLocks(),
      clients: new ClientTable(clock),
      background: new Background(),
      counters: this.counters,
      wake: this.#wake,
    };
    this.#clients = shared.clients;
    this.#send = new SendMessage(shared);
    this.#deadLetterer = new DeadLetterer(shared);
    this.#receive = new ReceiveMessage({ ...shared, deadLetterer: this.#deadLetterer });
    this.#ack = new AckMessage(shared);
    this.#changeInvisible = new ChangeInvisible(shared);
    this.#keeper = new LeaseKeeper({ ...shared, deadLetterer: this.#deadLetterer });
    this.#retention = new Retention({
      ...shared,
      limits: options.retention ?? { ageMsMax: RETENTION.ageMsDefault, sizeBytesMax: null },
      bounds: options.retentionBounds ?? NOTHING_MAY_GO,
      periodMs: options.retentionPeriodMs ?? RETENTION.checkPeriodMs,
    });
    this.#topics = new Topics(shared);
    this.#groups = new Groups(shared);
    replica.onLeadership((leadership) => this.#onLeadership(leadership));
    replica.onApplied((entry, results) => this.#onApplied(entry, results));
    this.#onLeadership(replica.leadership());
  }

  get pollCount(): number {
    return this.#receive.pollCount;
  }

  async serve(request: BrokerRequest, context: ServeContext): Promise<BrokerResponse> {
    if (request.kind === 'status') {
      return { kind: 'status', status: nodeReport(this.#replica, this.#room(), this.#soundness()) };
    }
    if (this.#closed || this.#replica.leadership() === null) throw new LeadershipLost();
    return freshAnswer(this.#replica, () => this.#answer(request, context), isReadFromState);
  }

  async #answer(request: ServedRequest, context: ServeContext): Promise<BrokerResponse> {
    switch (request.kind) {
      case 'send':
        return { kind: 'sent', receipts: await this.#send.send(request) };
      case 'receive':
        return { kind: 'received', messages: await this.#receive.receive(request, context) };
      case 'ack':
        return { kind: 'acked', outcomes: await this.#ack.acknowledge(request) };
      case 'changeInvisible': {
        const handle = await this.#changeInvisible.change(request, context.isRetry);
        return { kind: 'invisibleChanged', handle };
      }
      case 'deadLetter': {
        const { state } = this.#replica;
        const wake = this.#wake;
        await deadLetter(request, { state, deadLetterer: this.#deadLetterer, wake });
        return { kind: 'deadLettered' };
      }
      case 'topicPut':
        return {
          kind: 'topicPut',
          created: await this.#topics.put(request.topic, request.queueCount),
        };
      case 'topicDelete':
        return { kind: 'topicDeleted', existed: await this.#topics.delete(request.topic) };
      case 'topicDescribe':
        return { kind: 'topic', topic: this.#topics.describe(request.topic) };
      case 'topicList':
        return { kind: 'topicList', topics: this.#topics.list() };
      case 'groupPut':
        return {
          kind: 'groupPut',
          created: await this.#groups.put(request.group, request.maxAttempts),
        };
      case 'groupDescribe':
        return { kind: 'group', group: this.#groups.describe(request.group) };
      case 'clientSeen':
        this.#clients.seen(checkedClientId(request.clientId));
        return { kind: 'noted' };
      case 'clientGone':
        this.#clients.gone(checkedClientId(request.clientId));
        this.#keeper.release(request.clientId);
        return { kind: 'noted' };
      default:
        return unreachable(request);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keeper.stop();
    this.#retention.stop();
    this.#receive.failAll(new LeadershipLost());
  }

  #onLeadership(leadership: Leadership | null): void {
    if (this.#closed) return;
    this.#clients.reset();
    if (leadership !== null) {
      this.#keeper.start();
      this.#retention.start();
      return;
    }
    this.#keeper.stop();
    this.#retention.stop();
    // The gateway takes them to the next leader.
    this.#receive.failAll(new LeadershipLost());
  }

  #onApplied(_entry: CommittedEntry, results: readonly RecordResult[]): void {
    const topics = new Set<string>();
    for (const result of results) {
      if (result.kind === 'messageStored') topics.add(result.topic);
    }
    for (const topic of topics) this.#receive.wakeTopic(topic);
  }
}

const UNKNOWN_SOUNDNESS: SoundnessReport = {
  scrub: null,
  checkpoints: { lastIndex: null, agreedIndex: null, divergence: null },
};

/** Written to the log, or not: what went through the log was decided by the group itself. */
function isReadFromState(response: BrokerResponse): boolean {
  switch (response.kind) {
    case 'topic':
    case 'topicList':
    case 'group':
      return true;
    case 'acked':
      return response.outcomes.some((outcome) => outcome !== 'ok');
    default:
      return false;
  }
}

function checkedClientId(clientId: string): string {
  if (clientId !== '' && clientId.length <= NAME_LIMITS.clientIdLengthMax) return clientId;
  throw new BrokerError(
    'badRequest',
    `A client id has ${clientId.length} characters, from 1 to ${NAME_LIMITS.clientIdLengthMax} are allowed.`,
  );
}
