/** What all clients and disks together say of each message: where it is, who sent it, who has seen it. */
import type { Evidence, StoredPlace } from '../history/evidence.ts';
import { isVerb, type Operation, type OperationOf } from '../history/operation.ts';

export interface Sending {
  readonly topic: string;
  readonly producer: string;
  readonly sequence: number;
  readonly isOk: boolean;
  readonly isOpen: boolean;
  /** Several producers sent it: nobody's order. */
  readonly isShared: boolean;
}

export interface Seen {
  readonly queueId: number;
  readonly queueOffset: number;
}

export class Sightings {
  readonly sends: readonly OperationOf<'send'>[];
  readonly receives: readonly OperationOf<'receive'>[];
  readonly acks: readonly OperationOf<'ack'>[];
  readonly sendings = new Map<string, Sending>();
  /** By topic and id: every place that anybody has named. */
  readonly placesOf = new Map<string, Map<string, Seen>>();
  /** By place: every id that anybody has named. */
  readonly idsAt = new Map<string, Set<string>>();
  /** By topic and id: where the log has it, by its receipt. */
  readonly physicalOf = new Map<string, number>();
  readonly received = new Set<string>();
  /** By queue: the highest offset that anybody was given. */
  readonly highest = new Map<string, number>();

  constructor(operations: readonly Operation[], stored: readonly StoredPlace[] = []) {
    this.sends = operations.filter(isVerb('send'));
    this.receives = operations.filter(isVerb('receive')).filter(({ outcome }) => outcome === 'ok');
    this.acks = operations.filter(isVerb('ack'));
    for (const send of this.sends) this.#noteSend(send);
    for (const { action } of this.receives) {
      for (const { id, queueId, queueOffset } of action.deliveries) {
        this.received.add(`${action.topic} ${id}`);
        this.#notePlace(action.topic, id, queueId, queueOffset);
        const queue = `${action.topic} ${queueId}`;
        this.highest.set(queue, Math.max(this.highest.get(queue) ?? -1, queueOffset));
      }
    }
    for (const { topic, id, queueId, queueOffset } of stored) {
      // Such topics are deleted and made again: their places are used again.
      if (!topic.startsWith('admin-')) this.#notePlace(topic, id, queueId, queueOffset);
    }
  }

  static of({ operations, places }: Evidence): Sightings {
    return new Sightings(operations, places);
  }

  #noteSend({ action, outcome }: OperationOf<'send'>): void {
    const { topic, producer } = action;
    for (const { id, sequence } of action.messages) {
      const name = `${topic} ${id}`;
      const before = this.sendings.get(name);
      this.sendings.set(name, {
        ...{ topic, producer, sequence },
        isOk: outcome === 'ok' || (before?.isOk ?? false),
        isOpen: outcome === 'info' || (before?.isOpen ?? false),
        isShared: before !== undefined,
      });
    }
    if (outcome !== 'ok') return;
    for (const { id, queueId, queueOffset, physicalOffset } of action.receipts) {
      this.#notePlace(topic, id, queueId, queueOffset);
      this.physicalOf.set(`${topic} ${id}`, physicalOffset);
    }
  }

  #notePlace(topic: string, id: string, queueId: number, queueOffset: number): void {
    // The official client does not tell places.
    if (queueOffset < 0) return;
    const name = `${topic} ${id}`;
    const places = this.placesOf.get(name) ?? new Map<string, Seen>();
    places.set(`${queueId}@${queueOffset}`, { queueId, queueOffset });
    this.placesOf.set(name, places);
    const at = `${topic} ${queueId}@${queueOffset}`;
    this.idsAt.set(at, (this.idsAt.get(at) ?? new Set()).add(id));
  }
}

/** Physical offset from which on the group has promised to keep everything. */
export function keptFrom({ replicas }: Evidence): number {
  return Math.max(0, ...replicas.map(({ logStart }) => logStart.physicalOffset));
}
