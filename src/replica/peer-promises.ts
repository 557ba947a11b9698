/**
 * Hears what peers promise by what they say to the core, and has it remembered (peer-history.ts): terms
 * from messages that wait for the sender's disk, or that only a leader sends, who waited for it before;
 * and what a follower acknowledges to us while we lead.
 */
import { LogIndex, type NodeId } from '../base/units.ts';
import type { EntryId } from '../raft/entry.ts';
import type { Message } from '../raft/messages.ts';
import type { RaftCore } from '../raft/raft-core.ts';
import type { CommitLog } from '../store/commit-log.ts';
import { NO_PROMISE, type PeerPromise } from '../store/remembered-peer.ts';
import { withPromise } from './peer-history.ts';

export interface PeerPromisesOptions {
  readonly core: Pick<RaftCore, 'status' | 'termAt'>;
  readonly log: Pick<CommitLog, 'peers' | 'notePeer'>;
  /** Of the peer that talks to us. */
  readonly storeOf: (peer: NodeId) => string | null;
}

export class PeerPromises {
  readonly #options: PeerPromisesOptions;

  constructor(options: PeerPromisesOptions) {
    this.#options = options;
  }

  /** @param message which the core has taken already */
  observe(from: NodeId, message: Message): void {
    const { log, storeOf } = this.#options;
    const known = log.peers.get(from);
    if (known === undefined || message.term < known.promise.term) return;
    const news = this.#promiseIn(message);
    if (news === null || (news.term === known.promise.term && news.last.index === 0)) return;
    // A stranger, or a store that the membership has only just named: it is not the one remembered.
    if (storeOf(from) !== known.storeUuid) return;
    log.notePeer(from, { ...known, promise: withPromise(known.promise, news) });
  }

  #promiseIn(message: Message): PeerPromise | null {
    switch (message.kind) {
      case 'voteRequest':
      case 'voteReply':
      case 'appendRequest':
      case 'heartbeat':
      case 'campaignNow':
        return { ...NO_PROMISE, term: message.term };
      case 'appendAccepted':
        return this.#acknowledged(message);
      // The others leave before the term they name is durable.
      default:
        return null;
    }
  }

  #acknowledged({ term, matchIndex }: Extract<Message, { kind: 'appendAccepted' }>): PeerPromise {
    const status = this.#options.core.status();
    const isOurs = status.role === 'leader' && status.term === term;
    if (!isOurs || matchIndex > status.lastIndex) return { ...NO_PROMISE, term };
    const committedIndex = LogIndex(Math.min(matchIndex, status.commitIndex));
    return { term, last: this.#entry(matchIndex), committed: this.#entry(committedIndex) };
  }

  /** Of an entry that is in a snapshot only, nothing needs to be remembered: it was committed. */
  #entry(index: LogIndex): EntryId {
    const term = this.#options.core.termAt(index);
    return typeof term === 'number' ? { term, index } : NO_PROMISE.last;
  }
}
