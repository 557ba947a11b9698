/**
 * What this replica was at the last checkpoints of the group, and what the leader of the time said that it
 * should have been (H19). Comparing the two is not done here, and changes nothing here: apply notes both, on
 * all replicas alike. A replica that went another way has other notes of itself, which is the point of it.
 */
import type { LogIndex } from '../../base/units.ts';
import { LogIndex as Index } from '../../base/units.ts';
import type { CheckpointClaimCommand } from '../../protocol/command-record.ts';
import { prefixEnd, TABLE, u64Key } from './key-codec.ts';
import type { KvKey } from './kv-store.ts';
import { CHECKPOINTS_KEPT_MAX } from './limits.ts';
import type { Overlay } from './overlay.ts';
import { RowReader, type RowWriter } from './row-codec.ts';

/** What the leader said. */
export type CheckpointClaim = Omit<CheckpointClaimCommand, 'kind' | 'index'>;

export interface Checkpoint {
  /** The entry before the checkpoint. */
  readonly index: LogIndex;
  /** Of this replica's state after that entry; 16 hexadecimal digits. */
  readonly digest: string;
  /** null: not said, or not yet. */
  readonly claim: CheckpointClaim | null;
}

const DIGEST_SIZE_BYTES = 8;
const RANGE_DIGEST_SIZE_BYTES = 32;
const ROW_SIZE_BYTES = DIGEST_SIZE_BYTES + 1;
const CLAIM_SIZE_BYTES = 4 + DIGEST_SIZE_BYTES + 8 + RANGE_DIGEST_SIZE_BYTES;

export class CheckpointTable {
  readonly #overlay: Overlay;
  readonly #rows: RowWriter;

  constructor(overlay: Overlay, rows: RowWriter) {
    this.#overlay = overlay;
    this.#rows = rows;
  }

  /** Ascending. */
  all(): readonly Checkpoint[] {
    const rows = this.#overlay.range(TABLE.checkpoint, prefixEnd(TABLE.checkpoint));
    return [...rows].map(({ value }) => decode(value));
  }

  /** Noting the same again is harmless. */
  mark(index: LogIndex, digest: string): void {
    this.#put({ index, digest, claim: null });
    const known = this.all();
    for (const { index: old } of known.slice(0, -CHECKPOINTS_KEPT_MAX)) {
      this.#overlay.delete(keyOf(old));
    }
  }

  /** @returns false when there is no such checkpoint, or no longer; the first claim counts. */
  claim({ index, ...claim }: Omit<CheckpointClaimCommand, 'kind'>): boolean {
    const value = this.#overlay.get(keyOf(index));
    if (value === null) return false;
    const known = decode(value);
    if (known.claim === null) this.#put({ ...known, claim });
    return true;
  }

  #put({ index, digest, claim }: Checkpoint): void {
    const row = this.#rows.begin(8 + ROW_SIZE_BYTES + (claim === null ? 0 : CLAIM_SIZE_BYTES));
    row
      .u64(index)
      .bytes(Buffer.from(digest, 'hex'))
      .u8(claim === null ? 0 : 1);
    if (claim !== null) {
      row.u32(claim.headerCrc).bytes(Buffer.from(claim.stateDigest, 'hex')).u64(claim.firstIndex);
      row.bytes(Buffer.from(claim.rangeDigest, 'hex'));
    }
    this.#overlay.put(keyOf(index), row.finish());
  }
}

function keyOf(index: LogIndex): KvKey {
  return TABLE.checkpoint + u64Key(index);
}

function decode(value: Uint8Array): Checkpoint {
  const row = new RowReader(value);
  const index = Index(row.u64());
  const digest = hex(row.bytes(DIGEST_SIZE_BYTES));
  const hasClaim = row.u8() === 1;
  const claim = hasClaim ? claimIn(row) : null;
  row.end();
  return { index, digest, claim };
}

function claimIn(row: RowReader): CheckpointClaim {
  return {
    headerCrc: row.u32(),
    stateDigest: hex(row.bytes(DIGEST_SIZE_BYTES)),
    firstIndex: Index(row.u64()),
    rangeDigest: hex(row.bytes(RANGE_DIGEST_SIZE_BYTES)),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
