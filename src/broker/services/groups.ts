/** Consumer groups by command: put and describe. */
import type { DerivedState, GroupConfig } from '../../store/derived/derived-state.ts';
import { METADATA_LIMITS } from '../limits.ts';
import { checkGroupName } from '../names.ts';
import type { Proposer } from '../proposer.ts';
import type { RoomGate } from '../room-gate.ts';
import { BrokerError, type GroupDescription } from '../verbs.ts';
import { groupNotFound, type Metadata } from './metadata.ts';

export interface GroupsOptions {
  readonly state: DerivedState;
  readonly proposer: Proposer;
  readonly metadata: Metadata;
  readonly gate: RoomGate;
}

export class Groups {
  readonly #options: GroupsOptions;

  constructor(options: GroupsOptions) {
    this.#options = options;
  }

  /** @returns whether it is new */
  async put(group: string, maxAttempts: number): Promise<boolean> {
    const { proposer, metadata, gate } = this.#options;
    checkGroupName(group);
    const { maxAttemptsMax } = METADATA_LIMITS;
    if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > maxAttemptsMax) {
      throw new BrokerError(
        'badRequest',
        `The most attempts is given as ${maxAttempts}, from 1 to ${maxAttemptsMax} are allowed.`,
      );
    }
    gate.requireRoom();
    return metadata.putGroup(proposer.requireTerm(), group, maxAttempts);
  }

  /** @throws BrokerError groupNotFound, illegalGroup */
  describe(group: string): GroupDescription {
    checkGroupName(group);
    const { state } = this.#options;
    const config = state.group(group);
    if (config === null) throw groupNotFound(group);
    const { maxAttempts, fifo, createdAtMs } = config;
    const queues = state.topicsOf(group).flatMap((topic) => describeQueues(state, config, topic));
    return { group, maxAttempts, fifo, createdAtMs, queues };
  }
}

/** The lag counts what the group has still to consume: never delivered, or not acknowledged. */
function describeQueues(
  state: DerivedState,
  { group }: GroupConfig,
  topic: string,
): GroupDescription['queues'] {
  const queueCount = state.topic(topic)?.queueCount ?? 0;
  return Array.from({ length: queueCount }, (_, queueId) => {
    const { min, next } = state.queueRange(topic, queueId);
    const { consumerOffset, nextOffset, inFlight } = state.progress(group, topic, queueId);
    return {
      topic,
      queueId,
      consumerOffset,
      nextOffset,
      inFlightCount: inFlight.length,
      lag: next - Math.max(nextOffset, min) + inFlight.length,
    };
  });
}
