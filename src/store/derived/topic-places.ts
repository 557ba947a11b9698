/**
 * Which topic a message belongs to, told from its topic's name and its place in the log: a name may have
 * stood for several topics, one after the other.
 */
import type { PhysicalOffset } from '../../base/units.ts';
import { prefixEnd, TABLE } from './key-codec.ts';
import type { Overlay } from './overlay.ts';
import { decodeDeletedTopic, decodeTopic } from './topic-table.ts';

export interface TopicPlace {
  readonly number: number;
  /** Not deleted since. */
  readonly isLive: boolean;
}

interface Lifetime extends TopicPlace {
  readonly from: number;
  readonly to: number;
}

export class TopicPlaces {
  readonly #byName = new Map<string, Lifetime[]>();

  constructor(overlay: Overlay) {
    for (const { value } of overlay.range(TABLE.topic, prefixEnd(TABLE.topic))) {
      const { number, config, createdOffset } = decodeTopic(value);
      const to = Number.POSITIVE_INFINITY;
      this.#add(config.topic, { number, isLive: true, from: createdOffset, to });
    }
    const deletedTopics = overlay.range(TABLE.deletedTopic, prefixEnd(TABLE.deletedTopic));
    for (const { key, value } of deletedTopics) {
      const { number, topic, createdOffset, deletedOffset } = decodeDeletedTopic(key, value);
      this.#add(topic, { number, isLive: false, from: createdOffset, to: deletedOffset });
    }
  }

  find(topic: string, placedAt: PhysicalOffset): TopicPlace | null {
    const lifetimes = this.#byName.get(topic) ?? [];
    return lifetimes.find(({ from, to }) => from < placedAt && placedAt < to) ?? null;
  }

  #add(topic: string, lifetime: Lifetime): void {
    const lifetimes = this.#byName.get(topic);
    if (lifetimes === undefined) this.#byName.set(topic, [lifetime]);
    else lifetimes.push(lifetime);
  }
}
