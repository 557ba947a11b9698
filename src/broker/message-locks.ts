/**
 * One decision at a time about one message of one group. The log orders decisions anyway and apply
 * refuses outdated ones; but a dead letter carries a copy that apply cannot take back, so it must not
 * race an acknowledgement or a redelivery.
 *
 * Nobody waits for a second lock while holding one, hence no deadlock.
 */
import { assert } from '../base/assert.ts';

export type ReleaseLock = () => void;

/** @returns the name under which the message is locked */
export function messageKey(
  group: string,
  topic: string,
  queueId: number,
  queueOffset: number,
): string {
  // Names have no blanks.
  return `${group} ${topic} ${queueId} ${queueOffset}`;
}

export class MessageLocks {
  readonly #waitingByKey = new Map<string, (() => void)[]>();

  tryLock(key: string): ReleaseLock | null {
    if (this.#waitingByKey.has(key)) return null;
    this.#waitingByKey.set(key, []);
    return this.#releaseOf(key);
  }

  isLocked(key: string): boolean {
    return this.#waitingByKey.has(key);
  }

  async lock(key: string): Promise<ReleaseLock> {
    const waiting = this.#waitingByKey.get(key);
    if (waiting === undefined) this.#waitingByKey.set(key, []);
    else await new Promise<void>((resolve) => waiting.push(resolve));
    return this.#releaseOf(key);
  }

  async withLock<T>(key: string, act: () => Promise<T>): Promise<T> {
    const release = await this.lock(key);
    try {
      return await act();
    } finally {
      release();
    }
  }

  #releaseOf(key: string): ReleaseLock {
    let held = true;
    return () => {
      assert(held, 'a lock is released once');
      held = false;
      const next = this.#waitingByKey.get(key)?.shift();
      if (next === undefined) this.#waitingByKey.delete(key);
      else next();
    };
  }
}
