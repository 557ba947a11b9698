/** First in, first out, with a running size; taking from the front costs nothing. */
import { assert } from '../base/assert.ts';
import type { PendingProposal } from './proposals.ts';

/** Dead places at the front are dropped when there are this many and they are the majority. */
const COMPACT_COUNT_MIN = 1024;

export class ProposalQueue {
  #items: PendingProposal[] = [];
  #first = 0;
  #sizeBytes = 0;

  get count(): number {
    return this.#items.length - this.#first;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  push(item: PendingProposal): void {
    this.#items.push(item);
    this.#sizeBytes += item.proposal.records.length;
  }

  /** As many as fit in `sizeBytesMax`, but at least one. */
  take(sizeBytesMax: number): readonly PendingProposal[] {
    assert(this.count > 0, 'the queue has something to take');
    let end = this.#first;
    let sizeBytes = 0;
    while (end < this.#items.length) {
      const next = this.#items[end]!.proposal.records.length; // end < length
      if (end > this.#first && sizeBytes + next > sizeBytesMax) break;
      sizeBytes += next;
      end++;
    }
    const taken = this.#items.slice(this.#first, end);
    this.#first = end;
    this.#sizeBytes -= sizeBytes;
    this.#compact();
    return taken;
  }

  takeAll(): readonly PendingProposal[] {
    const taken = this.#items.slice(this.#first);
    this.#items = [];
    this.#first = 0;
    this.#sizeBytes = 0;
    return taken;
  }

  /** The opposite of `take`. */
  putBack(items: readonly PendingProposal[]): void {
    this.#items = [...items, ...this.#items.slice(this.#first)];
    this.#first = 0;
    for (const item of items) this.#sizeBytes += item.proposal.records.length;
  }

  #compact(): void {
    if (this.#first < COMPACT_COUNT_MIN || this.#first * 2 < this.#items.length) return;
    this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }
}
