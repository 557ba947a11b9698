/**
 * Sees everything the nodes say and apply, and remembers it across their deaths. A violation is kept
 * and ends the run: exceptions in the middle of production code would be taken for something else.
 *
 * The names in brackets are those of the invariants that every Raft group must keep.
 */
import { crc32 } from '../../src/base/crc32.ts';
import type { NodeId, Term } from '../../src/base/units.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { RecoveredLog } from '../../src/store/commit-log.ts';
import type { CommittedEntry } from '../../src/store/derived/derived-state.ts';

/** What one directory has promised to the others. */
interface Promised {
  term: number;
  /** In `term`; null: nobody. */
  vote: NodeId | null;
  /** Acknowledged in `term`. */
  matchIndex: number;
}

export class Observer {
  readonly violations: string[] = [];
  readonly #promised = new Map<NodeId, Promised>();
  readonly #leaders = new Map<Term, NodeId>();
  readonly #applied = new Map<number, string>();
  /** Highest applied entry, and elections won. */
  appliedMax = 0;

  get leaderCount(): number {
    return this.#leaders.size;
  }

  violation(sentence: string): void {
    this.violations.push(sentence);
  }

  onSend(from: NodeId, to: NodeId, message: Message): void {
    if (message.kind === 'voteReply' && message.granted) this.#onVote(from, message.term, to);
    if (message.kind === 'voteRequest') this.#onVote(from, message.term, from);
    if (message.kind === 'appendAccepted') {
      const promised = this.#promisedBy(from, message.term);
      promised.matchIndex = Math.max(promised.matchIndex, message.matchIndex);
    }
  }

  /** Whatever left the node must be on its disk: term, vote (N1) and acknowledged entries (N5, N6). */
  onBoot(nodeId: NodeId, recovered: RecoveredLog): void {
    const promised = this.#promised.get(nodeId);
    if (promised === undefined) return;
    const { term, votedFor } = recovered.hardState;
    if (term < promised.term) {
      this.violation(`${nodeId} forgot term ${promised.term} and is in ${term} (N1)`);
    }
    if (term !== promised.term) return;
    if (promised.vote !== null && votedFor !== promised.vote) {
      this.violation(`${nodeId} voted for ${promised.vote} in ${term}, now ${votedFor} (N1)`);
    }
    if (recovered.entries.length < promised.matchIndex) {
      this.violation(
        `${nodeId} acknowledged entry ${promised.matchIndex} and has ${recovered.entries.length} (N6)`,
      );
    }
  }

  /** One leader per term (I1). */
  onLeader(nodeId: NodeId, term: Term): void {
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== nodeId) {
      this.violation(`${known} and ${nodeId} lead in term ${term} (I1)`);
    }
    this.#leaders.set(term, nodeId);
  }

  /** Nobody ever applies another entry at an index (I9). */
  onApplied(nodeId: NodeId, entry: CommittedEntry): void {
    const { index, term, type, payloadOffset, payload } = entry;
    const print = `${term} ${type} ${payloadOffset} ${payload.length} ${crc32(payload)}`;
    const known = this.#applied.get(index);
    if (known !== undefined && known !== print) {
      this.violation(`${nodeId} applied entry ${index} as ${print}, before it was ${known} (I9)`);
    }
    this.#applied.set(index, print);
    this.appliedMax = Math.max(this.appliedMax, index);
  }

  #onVote(from: NodeId, term: Term, candidate: NodeId): void {
    const promised = this.#promisedBy(from, term);
    if (promised.term !== term) return;
    if (promised.vote !== null && promised.vote !== candidate) {
      this.violation(`${from} voted for ${promised.vote} and ${candidate} in term ${term} (N1)`);
    }
    promised.vote = candidate;
  }

  /** A message that promises something belongs to the newest term its sender has spoken in. */
  #promisedBy(nodeId: NodeId, term: Term): Promised {
    const known = this.#promised.get(nodeId);
    if (known !== undefined && known.term >= term) {
      // Late news of an older term: already outdone, so a copy takes the changes.
      return known.term === term ? known : { ...known };
    }
    const promised: Promised = { term, vote: null, matchIndex: 0 };
    this.#promised.set(nodeId, promised);
    return promised;
  }
}
