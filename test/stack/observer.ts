/**
 * Sees everything the nodes say and apply, and remembers it across their deaths. A violation is kept
 * and ends the run: exceptions in the middle of production code would be taken for something else.
 *
 * Everything seen goes into a running digest: two runs with the same digest were the same run.
 */
import { crc32 } from '../../src/base/crc32.ts';
import type { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import { recordsOf } from '../../src/protocol/records.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { RecoveredLog } from '../../src/store/commit-log.ts';
import type { CommittedEntry } from '../../src/store/derived/derived-state.ts';
import type { CheckId, Violation } from './check-id.ts';

/** A directory in one line of its life: a copy that is started elsewhere is another store. */
export interface StoreName {
  readonly nodeId: NodeId;
  readonly lineage: number;
}

/** What one store has promised to the others. */
interface Promised {
  term: number;
  /** In `term`; null: nobody. */
  vote: NodeId | null;
  /** Acknowledged in `term`. */
  matchIndex: number;
}

export interface CommittedMessage {
  readonly index: LogIndex;
  readonly messageId: string;
  /** By the clock of its leader. */
  readonly storeTimestampMs: number;
}

const encoder = new TextEncoder();

export class Observer {
  readonly violations: Violation[] = [];
  readonly #muted: ReadonlySet<CheckId>;
  readonly #nowMs: () => number;
  readonly #promised = new Map<string, Promised>();
  readonly #leaders = new Map<Term, NodeId>();
  readonly #applied = new Map<number, string>();
  /** Committed for sure, in the order in which somebody applied them first. */
  readonly messages: CommittedMessage[] = [];
  /** What these do is not part of the history any more. */
  readonly outcasts = new Set<NodeId>();
  readonly #nextOffsets = new Map<string, number>();
  #digest = 0;
  eventCount = 0;
  compactionCount = 0;
  installCount = 0;
  /** Highest applied entry. */
  appliedMax = 0;
  /** Checks that were made: facts about single things that could have been wrong. */
  checkCount = 0;

  constructor(nowMs: () => number, muted: readonly CheckId[] = []) {
    this.#nowMs = nowMs;
    this.#muted = new Set(muted);
  }

  get leaderCount(): number {
    return this.#leaders.size;
  }

  get digest(): number {
    return this.#digest;
  }

  get isBroken(): boolean {
    return this.violations.length > 0;
  }

  violation(check: CheckId, sentence: string): void {
    if (this.#muted.has(check)) return;
    const { eventCount } = this;
    this.violations.push({ check, atMs: this.#nowMs(), eventCount, sentence });
  }

  /** Something that happened: part of the digest. */
  note(...facts: readonly (string | number | boolean | null)[]): void {
    this.eventCount++;
    this.#digest = crc32(encoder.encode(`${this.#nowMs()} ${facts.join(' ')}`), this.#digest);
  }

  noteBytes(bytes: Uint8Array): void {
    this.#digest = crc32(bytes, this.#digest);
  }

  onSend(from: StoreName, to: NodeId, message: Message): void {
    this.note('send', from.nodeId, from.lineage, to, message.kind, message.term);
    if (message.kind === 'voteReply' && message.granted) this.#onVote(from, message.term, to);
    if (message.kind === 'voteRequest') this.#onVote(from, message.term, from.nodeId);
    if (message.kind === 'appendAccepted') {
      const promised = this.#promisedBy(from, message.term);
      promised.matchIndex = Math.max(promised.matchIndex, message.matchIndex);
    }
  }

  /** Whatever left the store must be on its disk: term, vote (N1) and acknowledged entries (N6). */
  onBoot(store: StoreName, recovered: RecoveredLog): void {
    const { nodeId } = store;
    const { term, votedFor } = recovered.hardState;
    const { base, entries } = recovered;
    const count = entries.at(-1)?.index ?? base.desc?.last.index ?? 0;
    this.note('boot', nodeId, recovered.bootCount, term, votedFor, count, recovered.tornBytes);
    const promised = this.#promised.get(keyOf(store));
    if (promised === undefined) return;
    this.checkCount += 2;
    if (term < promised.term) {
      this.violation('N1', `${nodeId} forgot term ${promised.term} and is in ${term}`);
    }
    if (term !== promised.term) return;
    if (promised.vote !== null && votedFor !== promised.vote) {
      this.violation('N1', `${nodeId} voted for ${promised.vote} in ${term}, now ${votedFor}`);
    }
    if (count < promised.matchIndex) {
      this.violation(
        'N6',
        `${nodeId} acknowledged entry ${promised.matchIndex} and has ${count} left`,
      );
    }
  }

  onLeader(nodeId: NodeId, term: Term): void {
    if (this.outcasts.has(nodeId)) return;
    this.note('leader', nodeId, term);
    this.checkCount++;
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== nodeId) {
      this.violation('I1', `${known} and ${nodeId} lead in term ${term}`);
    }
    this.#leaders.set(term, nodeId);
  }

  onApplied(nodeId: NodeId, entry: CommittedEntry): void {
    if (this.outcasts.has(nodeId)) return;
    const { index, term, type, payloadOffset, payload } = entry;
    const print = `${term} ${type} ${payloadOffset} ${payload.length} ${crc32(payload)}`;
    this.note('applied', nodeId, index, print);
    this.checkCount++;
    const known = this.#applied.get(index);
    if (known !== undefined && known !== print) {
      this.violation('I9', `${nodeId} applied entry ${index} as ${print}, before it was ${known}`);
    }
    this.#applied.set(index, print);
    if (type === 'data') this.#countMessages(index, payload, known === undefined);
    this.appliedMax = Math.max(this.appliedMax, index);
  }

  /** How far the queue reaches in the part of the log that somebody has applied. */
  nextOffset(topic: string, queueId: number): number {
    return this.#nextOffsets.get(`${topic} ${queueId}`) ?? 0;
  }

  /** What was applied at the index, as text; null: nothing yet. */
  printAt(index: number): string | null {
    return this.#applied.get(index) ?? null;
  }

  /** Another history goes on from here, and the old one may have gone on, too. */
  forgetAfter(index: number, term: Term): void {
    for (const each of [...this.#leaders.keys()]) if (each >= term) this.#leaders.delete(each);
    for (const each of [...this.#applied.keys()]) if (each > index) this.#applied.delete(each);
    this.appliedMax = Math.min(this.appliedMax, index);
  }

  #countMessages(index: LogIndex, payload: Uint8Array, isFirst: boolean): void {
    for (const record of recordsOf(payload)) {
      if (record.kind !== 'message') continue;
      const { topic, queueId, queueOffset, storeTimestampMs } = record.message;
      const messageId = record.message.properties.get('UNIQ_KEY') ?? '';
      if (isFirst) this.messages.push({ index, messageId, storeTimestampMs });
      const next = Math.max(this.nextOffset(topic, queueId), queueOffset + 1);
      this.#nextOffsets.set(`${topic} ${queueId}`, next);
    }
  }

  #onVote(from: StoreName, term: Term, candidate: NodeId): void {
    this.checkCount++;
    const promised = this.#promisedBy(from, term);
    if (promised.term !== term) return;
    if (promised.vote !== null && promised.vote !== candidate) {
      const both = `${promised.vote} and ${candidate}`;
      this.violation('N1', `${from.nodeId} voted for ${both} in term ${term}`);
    }
    promised.vote = candidate;
  }

  /** A message that promises something belongs to the newest term its sender has spoken in. */
  #promisedBy(store: StoreName, term: Term): Promised {
    const key = keyOf(store);
    const known = this.#promised.get(key);
    if (known !== undefined && known.term >= term) {
      // Late news of an older term: already outdone, so a copy takes the changes.
      return known.term === term ? known : { ...known };
    }
    const promised: Promised = { term, vote: null, matchIndex: 0 };
    this.#promised.set(key, promised);
    return promised;
  }
}

function keyOf({ nodeId, lineage }: StoreName): string {
  return `${nodeId}#${lineage}`;
}
