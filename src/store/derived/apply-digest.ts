/**
 * A running digest of everything that was applied and what came of it: two replicas that agree at an
 * index have applied the same records with the same results, and have written the same rows of metadata
 * (H19). It finds programs that went different ways, not forgers: 64 bits, mixed fast, because it runs for
 * every record.
 *
 * Rows of messages are not among them: what they say is the record itself and its result. Nor are rows that
 * are written when a replica happens to commit, or removed when nobody sees them any more.
 */
import { unreachable } from '../../base/assert.ts';
import { crc32 } from '../../base/crc32.ts';
import type { AdminOutcome } from './admin-view.ts';
import type { CommittedEntry, HandleOutcome, RecordResult } from './derived-state.ts';
import { TABLE } from './key-codec.ts';
import type { KvKey } from './kv-store.ts';

const ENTRY_TYPE_CODE = { data: 1, noop: 2, config: 3, filler: 4 } as const;
const OUTCOME_CODE: Readonly<Record<HandleOutcome, number>> = { ok: 1, gone: 2, stale: 3 };
const ADMIN_OUTCOME_CODE: Readonly<Record<AdminOutcome, number>> = {
  done: 1,
  lockHeld: 2,
  lockLost: 3,
  noToken: 4,
  tokenExpired: 5,
  tokenUsed: 6,
  storeRetired: 7,
  levelLower: 8,
};
const TWO_TO_32 = 2 ** 32;
/** By first character of the key. */
const DIGESTED_TABLES: ReadonlySet<number> = new Set(
  [
    TABLE.topic,
    TABLE.deletedTopic,
    TABLE.group,
    TABLE.progress,
    TABLE.inFlight,
    TABLE.subscription,
  ].map((letter) => letter.charCodeAt(0)),
);

export class ApplyDigest {
  #high: number;
  #low: number;

  constructor(high: number, low: number) {
    this.#high = high >>> 0;
    this.#low = low >>> 0;
  }

  get words(): { readonly high: number; readonly low: number } {
    return { high: this.#high, low: this.#low };
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return [this.#high, this.#low].map((word) => word.toString(16).padStart(8, '0')).join('');
  }

  add(entry: CommittedEntry, results: readonly RecordResult[]): void {
    this.#u64(entry.index);
    this.#u64(entry.term);
    this.#u32(ENTRY_TYPE_CODE[entry.type]);
    this.#u64(entry.payloadOffset);
    this.#u32(crc32(entry.payload));
    for (const result of results) this.#addResult(result);
  }

  /** Of a row that a record has changed. */
  addChange(key: KvKey, value: Uint8Array | null): void {
    if (!DIGESTED_TABLES.has(key.charCodeAt(0))) return;
    this.#u32(crc32(Buffer.from(key, 'latin1')));
    this.#u32(value === null ? 0 : crc32(value, 1));
  }

  #addResult(result: RecordResult): void {
    switch (result.kind) {
      case 'messageStored':
        this.#u32(1);
        this.#u32(result.queueId);
        this.#u64(result.queueOffset);
        return;
      case 'topicPut':
        this.#u32(result.created ? 3 : 2);
        return;
      case 'topicDeleted':
        this.#u32(result.existed ? 5 : 4);
        return;
      case 'groupPut':
        this.#u32(result.created ? 7 : 6);
        return;
      case 'delivered':
        this.#u32(8);
        for (const accepted of result.accepted) this.#u32(accepted ? 1 : 0);
        return;
      case 'acknowledged':
        this.#u32(9);
        for (const outcome of result.outcomes) this.#u32(OUTCOME_CODE[outcome]);
        return;
      case 'invisibleChanged':
        this.#u32(10);
        this.#u32(OUTCOME_CODE[result.outcome]);
        return;
      case 'offsetSaved':
        this.#u32(11);
        return;
      case 'logStartAdvanced':
        this.#u32(result.advanced ? 13 : 12);
        this.#u64(result.messageCount);
        this.#u64(result.deliveryCount);
        return;
      case 'topicRetentionPut':
        this.#u32(result.existed ? 15 : 14);
        return;
      case 'adminApplied':
        this.#u32(20);
        this.#u32(ADMIN_OUTCOME_CODE[result.outcome]);
        this.#u64(result.sequence);
        return;
      case 'checkpointMarked':
        this.#u32(16);
        return;
      case 'checkpointClaimed':
        this.#u32(result.isKnown ? 18 : 17);
        return;
      default:
        unreachable(result);
    }
  }

  #u64(value: number): void {
    this.#u32(Math.floor(value / TWO_TO_32));
    this.#u32(value % TWO_TO_32);
  }

  /** Each word changes both halves, and each half the other: order counts. */
  #u32(word: number): void {
    let high = Math.imul(this.#high ^ word, 0x85ebca6b);
    let low = Math.imul((this.#low + word) | 0, 0xc2b2ae35) ^ 0x9e3779b9;
    high ^= low >>> 15;
    low ^= Math.imul(high, 0x27d4eb2f) >>> 13;
    this.#high = (Math.imul(high, 5) + low) >>> 0;
    this.#low = ((low << 13) | (low >>> 19)) >>> 0;
  }
}
