/**
 * Topics and groups that come into being: by command, by a first send, by a first poll, or because a
 * message dies. Creation goes through the log before first use, and those who need the same name at
 * the same time share one creation.
 */
import { assert } from '../../base/assert.ts';
import type { Term } from '../../base/units.ts';
import type { Command } from '../../protocol/command-record.ts';
import type { DerivedState, GroupConfig, TopicConfig } from '../../store/derived/derived-state.ts';
import type { LeaderTime } from '../leader-time.ts';
import { DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE_COUNT, METADATA_LIMITS } from '../limits.ts';
import { isReservedKind } from '../names.ts';
import type { Proposer } from '../proposer.ts';
import type { RoomGate } from '../room-gate.ts';
import { BrokerError } from '../verbs.ts';

/** RocketMQ permission bits. */
export const PERMISSION = { read: 4, write: 2 } as const;
export const MESSAGE_TYPE_NORMAL = 1;

export interface MetadataOptions {
  readonly state: DerivedState;
  readonly proposer: Proposer;
  readonly time: LeaderTime;
  readonly gate: RoomGate;
  readonly autoCreateTopics: boolean;
}

export class Metadata {
  readonly #state: DerivedState;
  readonly #proposer: Proposer;
  readonly #time: LeaderTime;
  readonly #gate: RoomGate;
  readonly #autoCreateTopics: boolean;
  /** By `t` or `g`, then the name. */
  readonly #creating = new Map<string, Promise<void>>();

  constructor(options: MetadataOptions) {
    this.#state = options.state;
    this.#proposer = options.proposer;
    this.#time = options.time;
    this.#gate = options.gate;
    this.#autoCreateTopics = options.autoCreateTopics;
  }

  /** @throws BrokerError topicNotFound, unless it may be created */
  async topicForSend(topic: string): Promise<TopicConfig> {
    const known = this.#state.topic(topic);
    if (known !== null) return known;
    if (!this.#autoCreateTopics || isReservedKind(topic)) throw topicNotFound(topic);
    this.#gate.requireRoom();
    await this.#createOnce(`t${topic}`, (term) => this.putTopic(term, topic, DEFAULT_QUEUE_COUNT));
    return this.#createdTopic(topic);
  }

  /** One queue: dead letters are few, and their order is worth more than their spread. */
  async deadLetterTopic(topic: string): Promise<TopicConfig> {
    const known = this.#state.topic(topic);
    if (known !== null) return known;
    await this.#createOnce(`t${topic}`, (term) => this.putTopic(term, topic, 1));
    return this.#createdTopic(topic);
  }

  async groupForReceive(group: string): Promise<GroupConfig> {
    const known = this.#state.group(group);
    if (known !== null) return known;
    await this.#createOnce(`g${group}`, (term) => this.putGroup(term, group, DEFAULT_MAX_ATTEMPTS));
    const created = this.#state.group(group);
    assert(created !== null, 'a created group is there');
    return created;
  }

  async putTopic(term: Term, topic: string, queueCount: number): Promise<boolean> {
    if (this.#state.topic(topic) === null) {
      requireRoom('topics', this.#state.topics().length, METADATA_LIMITS.topicCountMax);
    }
    return this.#put(term, {
      kind: 'topicPut',
      topic,
      queueCount,
      permission: PERMISSION.read | PERMISSION.write,
      messageTypes: [MESSAGE_TYPE_NORMAL],
      atMs: this.#time.nowMs(),
    });
  }

  async putGroup(term: Term, group: string, maxAttempts: number): Promise<boolean> {
    const known = this.#state.group(group);
    if (known === null) {
      requireRoom('groups', this.#state.groups().length, METADATA_LIMITS.groupCountMax);
    }
    const fifo = known?.fifo ?? false;
    return this.#put(term, {
      kind: 'groupPut',
      group,
      maxAttempts,
      fifo,
      atMs: this.#time.nowMs(),
    });
  }

  async #put(term: Term, command: Command): Promise<boolean> {
    const result = await this.#proposer.proposeCommand(term, command);
    assert(result.kind === 'topicPut' || result.kind === 'groupPut', 'a put has its own result');
    return result.created;
  }

  async #createOnce(key: string, create: (term: Term) => Promise<boolean>): Promise<void> {
    const term = this.#proposer.requireTerm();
    const running = this.#creating.get(key);
    if (running !== undefined) return running;
    const creation = create(term).then(() => {});
    this.#creating.set(key, creation);
    try {
      await creation;
    } finally {
      this.#creating.delete(key);
    }
  }

  #createdTopic(topic: string): TopicConfig {
    const created = this.#state.topic(topic);
    // Someone else's delete may have come right after our put.
    if (created === null) throw topicNotFound(topic);
    return created;
  }
}

export function topicNotFound(topic: string): BrokerError {
  return new BrokerError(
    'topicNotFound',
    `Topic "${topic}" does not exist. Create it with: mq-raft topic create ${topic}`,
  );
}

export function groupNotFound(group: string): BrokerError {
  return new BrokerError(
    'groupNotFound',
    `Consumer group "${group}" does not exist. It is created by its first poll.`,
  );
}

function requireRoom(what: string, count: number, countMax: number): void {
  if (count < countMax) return;
  throw new BrokerError(
    'forbidden',
    `There are ${count} ${what}, the most is ${countMax}. Delete what is not used.`,
  );
}
