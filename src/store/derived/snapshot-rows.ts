/**
 * A row in the stream of a snapshot: u16 key length, u32 value length, key, value. Rows do not care
 * where chunks end.
 */
import { concatBytes, viewOf } from '../../base/bytes.ts';
import type { KvRow } from './kv-store.ts';
import { SNAPSHOT_ROW_SIZE_BYTES_MAX } from './limits.ts';
import { refuseUnless } from './snapshot-format.ts';

const VALUE_SIZE_AT = 2;
const KEY_AT = VALUE_SIZE_AT + 4;

export function encodeRow({ key, value }: KvRow): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(KEY_AT + key.length + value.length);
  bytes.writeUInt16BE(key.length, 0);
  bytes.writeUInt32BE(value.length, VALUE_SIZE_AT);
  bytes.write(key, KEY_AT, 'latin1');
  bytes.set(value, KEY_AT + key.length);
  return bytes;
}

/** Takes the stream in parts; gives rows as they become whole. */
export class RowParser {
  #rest: Uint8Array = new Uint8Array(0);

  /** Bytes of a row that is not whole. */
  get restSizeBytes(): number {
    return this.#rest.length;
  }

  /** @throws CorruptionError for what cannot be a row */
  push(part: Uint8Array): readonly KvRow[] {
    const bytes = this.#rest.length === 0 ? part : concatBytes([this.#rest, part]);
    const view = viewOf(bytes);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const rows: KvRow[] = [];
    let at = 0;
    while (bytes.length - at >= KEY_AT) {
      const keyEnd = at + KEY_AT + view.getUint16(at);
      const end = keyEnd + view.getUint32(at + VALUE_SIZE_AT);
      refuseUnless(
        keyEnd > at + KEY_AT && end - at <= SNAPSHOT_ROW_SIZE_BYTES_MAX,
        'a row that cannot be',
      );
      if (end > bytes.length) break;
      const key = text.toString('latin1', at + KEY_AT, keyEnd);
      rows.push({ key, value: bytes.slice(keyEnd, end) });
      at = end;
    }
    this.#rest = bytes.slice(at);
    return rows;
  }
}
