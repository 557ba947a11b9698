/**
 * What is on its way between the nodes. Messages and queues of messages are values with numbers, so
 * that a state of the group is a few integers.
 */
import { assert } from '../../../src/base/assert.ts';
import type { Message } from '../../../src/raft/messages.ts';

export class Messages {
  readonly #messages: Message[] = [];
  readonly #ids = new Map<string, number>();

  idOf(message: Message): number {
    const key = JSON.stringify(message);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#messages.length;
    this.#messages.push(message);
    this.#ids.set(key, id);
    return id;
  }

  get(id: number): Message {
    const message = this.#messages[id];
    assert(message !== undefined, 'a message is known', () => ({ id }));
    return message;
  }
}

export const EMPTY_QUEUE = 0;

/** Queues of messages by number; 0 is the empty one. */
export class Queues {
  readonly #queues: (readonly number[])[] = [[]];
  readonly #ids = new Map<string, number>([['', EMPTY_QUEUE]]);
  readonly #pushed = new Map<number, number>();
  readonly #taken = new Map<number, number>();

  get(id: number): readonly number[] {
    const queue = this.#queues[id];
    assert(queue !== undefined, 'a queue is known', () => ({ id }));
    return queue;
  }

  push(id: number, messageId: number): number {
    const edge = id * 2 ** 24 + messageId;
    const known = this.#pushed.get(edge);
    if (known !== undefined) return known;
    const pushed = this.#idOf([...this.get(id), messageId]);
    this.#pushed.set(edge, pushed);
    return pushed;
  }

  /** Without the message at `position`, 0 for the oldest. */
  take(id: number, position: number): number {
    const edge = id * 16 + position;
    const known = this.#taken.get(edge);
    if (known !== undefined) return known;
    const taken = this.#idOf(this.get(id).toSpliced(position, 1));
    this.#taken.set(edge, taken);
    return taken;
  }

  #idOf(queue: readonly number[]): number {
    const key = queue.join();
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#queues.length;
    this.#queues.push(queue);
    this.#ids.set(key, id);
    return id;
  }
}
