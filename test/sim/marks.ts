/**
 * Situations that a good set of seeds must have met. A checker that was never near trouble proves
 * nothing: the test fails when one of these stays at zero.
 */
import type { NodeId } from '../../src/base/units.ts';
import type { PersistEffect } from '../../src/raft/effects.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { Checker, Step } from './checkers/observers.ts';
import type { SimNode } from './node.ts';

export const MARKS = [
  'elected',
  'electedBehindNewerLeader',
  'steppedDownUnheard',
  'voteRefused',
  'appendRejected',
  'logCut',
  'durableEntriesCut',
  'severalTermsCut',
  'queuedEntriesCut',
  'oldTermCommitted',
  'fillerCommitted',
  'proposalRefused',
] as const;
export type Mark = (typeof MARKS)[number];

/** Met by the long runs of main.ts only. */
export const RARE_MARKS: ReadonlySet<Mark> = new Set(['electedBehindNewerLeader']);

export class Marks implements Checker {
  readonly #nodes: readonly SimNode[];
  readonly #counts = new Map<Mark, number>();

  constructor(nodes: readonly SimNode[]) {
    this.#nodes = nodes;
  }

  get counts(): ReadonlyMap<Mark, number> {
    return this.#counts;
  }

  elected(node: SimNode): void {
    this.#hit('elected');
    const newer = this.#nodes.some((other) => {
      return other.isLeader && other.status.term > node.status.term;
    });
    if (newer) this.#hit('electedBehindNewerLeader');
  }

  stepped({ input, before, after }: Step): void {
    const isDeposed = before.role === 'leader' && after.role !== 'leader';
    if (input.kind === 'tick' && isDeposed) this.#hit('steppedDownUnheard');
  }

  released(_node: SimNode, _to: NodeId, message: Message): void {
    if (message.kind === 'voteReply' && !message.granted) this.#hit('voteRefused');
    if (message.kind === 'appendRejected') this.#hit('appendRejected');
  }

  persisting(node: SimNode, { truncateFrom }: PersistEffect): void {
    if (truncateFrom === null) return;
    this.#hit('logCut');
    const first = node.log[truncateFrom - 1];
    const last = node.log.at(-1);
    if (first?.term !== last?.term) this.#hit('severalTermsCut');
    // The situation of hazard H14: an index is written, cut and written while writes are queued.
    const isQueued = node.disk.queue.some(({ persist }) => {
      return persist.entries.some(({ index }) => index >= truncateFrom);
    });
    if (isQueued) this.#hit('queuedEntriesCut');
  }

  cut(_node: SimNode, removed: readonly EntryDesc[]): void {
    if (removed.length > 0) this.#hit('durableEntriesCut');
  }

  committed(node: SimNode, entry: EntryDesc): void {
    if (entry.term < node.status.term) this.#hit('oldTermCommitted');
    if (entry.type === 'filler') this.#hit('fillerCommitted');
  }

  refused(): void {
    this.#hit('proposalRefused');
  }

  #hit(mark: Mark): void {
    this.#counts.set(mark, (this.#counts.get(mark) ?? 0) + 1);
  }
}
