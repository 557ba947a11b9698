/**
 * The clients of one node's life: what they asked for and have not been told the end of. A crash
 * leaves them without an answer, which is an outcome of its own (H29) and told to nobody.
 */
import { assert, unreachable } from '../../src/base/assert.ts';
import type { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import type {
  ChangeResult,
  ProposeResult,
  ReadResult,
  TransferResult,
} from '../../src/raft/effects.ts';
import type { EntryDesc } from '../../src/raft/entry.ts';
import type { MembershipStep } from '../../src/raft/membership.ts';
import { entryKey } from './checkers/entry-registry.ts';
import type { Observers } from './checkers/observers.ts';
import type { SimNode } from './node.ts';
import type { DriverBug } from './planted-bugs.ts';

/** A proposal that has a place in the log and no outcome yet. */
export interface Accepted {
  readonly tag: number;
  readonly value: number;
  readonly index: LogIndex;
  readonly term: Term;
}

interface ConfirmedRead {
  readonly tag: number;
  readonly index: LogIndex;
}

export class NodeClients {
  readonly #node: SimNode;
  readonly #observers: Observers;
  readonly #bug: DriverBug | null;
  /** Proposed in this life, outcome open: tag to value. */
  #openTags = new Map<number, number>();
  /** Accepted in this life, not applied here yet; by entry key. */
  #accepted = new Map<number, Accepted>();
  /** Tag of an accepted proposal to its entry key. */
  #keyOf = new Map<number, number>();
  /** A snapshot took the place of the entry: nobody here can tell what became of it. */
  #unknown = new Map<number, number>();
  #reads = new Set<number>();
  /** Confirmed, and waiting for the state machine. */
  #confirmed: ConfirmedRead[] = [];
  #transfers = new Set<number>();
  #changes = new Set<number>();
  #ledTerm = 0;
  #unanswered = 0;
  #nextTag = 1;

  constructor(node: SimNode, observers: Observers, bug: DriverBug | null) {
    this.#node = node;
    this.#observers = observers;
    this.#bug = bug;
  }

  /** Of the next question. */
  get nextTag(): number {
    return this.#nextTag;
  }

  /**
   * Questions to which an answer is due. What became of an entry that is not in the log any more is
   * known only when the log has grown past its place: until then the proposal may stay open.
   */
  get dueCount(): number {
    const { appliedIndex, lastIndex } = this.#node;
    let count = this.#reads.size + this.#transfers.size + this.#changes.size;
    for (const { index, term } of this.#accepted.values()) {
      if (term < this.#ledTerm) continue;
      const isPassed = index <= appliedIndex;
      const isHere = index <= lastIndex && this.#node.termAt(index) === term;
      if (isPassed || isHere) count += 1;
    }
    return count;
  }

  describe(): string {
    const waiting = [...this.#accepted.values()].map(({ index, term }) => `${index}/${term}`);
    const others = `reads ${this.#reads.size}, transfers ${this.#transfers.size}`;
    return `proposals ${this.#openTags.size} [${waiting.join(' ')}], ${others}`;
  }

  /** The process died: nobody will ever be told. */
  forget(): void {
    this.#ledTerm = 0;
    this.#openTags = new Map();
    this.#accepted = new Map();
    this.#keyOf = new Map();
    this.#unknown = new Map();
    this.#reads = new Set();
    this.#confirmed = [];
    this.#transfers = new Set();
    this.#changes = new Set();
  }

  propose(values: readonly number[], payloadSizeBytes: number): void {
    const proposals = values.map((value) => {
      const tag = this.#nextTag++;
      this.#openTags.set(tag, value);
      return { tag, type: 'data' as const, payloadSizeBytes, payloadCrc: value };
    });
    this.#unanswered = proposals.length;
    this.#node.step({ kind: 'propose', proposals });
    assert(this.#unanswered === 0, 'every proposal is answered at once');
  }

  read(): number {
    const tag = this.#nextTag++;
    this.#reads.add(tag);
    this.#observers.readAsked(this.#node, tag);
    this.#node.step({ kind: 'read', tag });
    return tag;
  }

  transfer(to: NodeId): void {
    const tag = this.#nextTag++;
    this.#transfers.add(tag);
    this.#node.step({ kind: 'transfer', tag, to });
  }

  changeMembership(steps: readonly MembershipStep[], ifMembershipIndex: LogIndex): void {
    const tag = this.#nextTag++;
    this.#changes.add(tag);
    this.#node.step({ kind: 'changeMembership', tag, steps, ifMembershipIndex });
    assert(!this.#changes.has(tag), 'a change is answered at once');
  }

  onProposeResult(result: ProposeResult): void {
    const value = this.#openTags.get(result.tag) ?? this.#unknown.get(result.tag);
    assert(value !== undefined, 'an answer belongs to a proposal', () => ({ tag: result.tag }));
    switch (result.result) {
      case 'accepted':
        this.#unanswered--;
        this.#accept({ ...result, value });
        return;
      case 'rejected':
        this.#unanswered--;
        break;
      case 'overwritten':
        break;
      default:
        unreachable(result);
    }
    this.#openTags.delete(result.tag);
    this.#unknown.delete(result.tag);
    this.#accepted.delete(this.#keyOf.get(result.tag) ?? 0);
    this.#keyOf.delete(result.tag);
    this.#observers.refused(this.#node, value);
  }

  onReadResult(result: ReadResult): void {
    const { tag } = result;
    assert(this.#reads.has(tag), 'an answer belongs to a read', () => ({ tag }));
    if (result.result === 'confirmed') {
      this.#confirmed.push({ tag, index: result.index });
      return;
    }
    this.#reads.delete(tag);
    this.#observers.readRefused(this.#node, tag);
  }

  onTransferResult(result: TransferResult): void {
    const { tag } = result;
    assert(this.#transfers.delete(tag), 'an answer belongs to a transfer', () => ({ tag }));
    this.#observers.transferEnded(this.#node, result);
  }

  onChangeResult(result: ChangeResult): void {
    const { tag } = result;
    assert(this.#changes.delete(tag), 'an answer belongs to a change', () => ({ tag }));
    this.#observers.changeEnded(this.#node, result);
  }

  /** An entry was applied: whoever proposed it here learns of the success. */
  applied(entry: EntryDesc): void {
    const key = entryKey(entry.index, entry.term);
    const accepted = this.#accepted.get(key);
    if (accepted === undefined) return;
    this.#accepted.delete(key);
    this.#keyOf.delete(accepted.tag);
    this.#openTags.delete(accepted.tag);
    if (this.#bug !== 'acknowledgesUnapplied') this.#observers.acknowledged(this.#node, accepted);
  }

  /** Reads whose index the state machine has reached are answered from it. */
  answerReads(): void {
    if (this.#confirmed.length === 0) return;
    const index = this.#node.appliedIndex;
    const ready = this.#confirmed.filter((read) => read.index <= index);
    this.#confirmed = this.#confirmed.filter((read) => read.index > index);
    for (const read of ready) {
      this.#reads.delete(read.tag);
      const { appliedValueCount } = this.#node;
      this.#observers.readAnswered(this.#node, read.tag, read.index, appliedValueCount);
    }
  }

  /** Another leadership begins: the core forgets what those before left open. */
  leads(term: Term): void {
    this.#ledTerm = term;
  }

  /** What a snapshot sums up has no outcome that anybody here could tell. */
  installed(index: LogIndex): void {
    for (const [key, accepted] of this.#accepted) {
      if (accepted.index > index) continue;
      this.#accepted.delete(key);
      this.#keyOf.delete(accepted.tag);
      this.#openTags.delete(accepted.tag);
      this.#unknown.set(accepted.tag, accepted.value);
    }
  }

  #accept(accepted: Accepted): void {
    if (this.#bug === 'acknowledgesUnapplied') {
      this.#observers.acknowledged(this.#node, accepted);
    }
    const key = entryKey(accepted.index, accepted.term);
    this.#accepted.set(key, accepted);
    this.#keyOf.set(accepted.tag, key);
  }
}
