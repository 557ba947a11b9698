/**
 * Values of rows: numbers big-endian, texts as u16 length and UTF-8. Written into shared blocks, because
 * handing a value to the database costs more per memory block than per byte.
 */
import { assert } from '../../base/assert.ts';
import { readU64, viewOf, writeU64 } from '../../base/bytes.ts';
import { ROW_BLOCK_SIZE_BYTES } from './limits.ts';

const TEXT_SIZE_BYTES_MAX = 0xffff;
/** UTF-8 needs at most three bytes per UTF-16 unit. */
const UTF8_BYTES_PER_UNIT_MAX = 3;

/** Writes one row at a time: `begin`, fields, `finish`. */
export class RowWriter {
  #block = Buffer.allocUnsafeSlow(ROW_BLOCK_SIZE_BYTES);
  #view = viewOf(this.#block);
  #start = 0;
  #at = 0;

  /** @param fixedSizeBytes of all numbers of the row */
  begin(fixedSizeBytes: number, ...texts: readonly string[]): this {
    let sizeBytesMax = fixedSizeBytes;
    for (const text of texts) sizeBytesMax += 2 + UTF8_BYTES_PER_UNIT_MAX * text.length;
    if (this.#block.length - this.#at < sizeBytesMax) {
      this.#block = Buffer.allocUnsafeSlow(Math.max(ROW_BLOCK_SIZE_BYTES, sizeBytesMax));
      this.#view = viewOf(this.#block);
      this.#at = 0;
    }
    this.#start = this.#at;
    return this;
  }

  u8(value: number): this {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
    return this;
  }

  u64(value: number): this {
    writeU64(this.#view, this.#at, value);
    this.#at += 8;
    return this;
  }

  text(text: string): this {
    const sizeBytes = this.#block.write(text, this.#at + 2);
    assert(sizeBytes <= TEXT_SIZE_BYTES_MAX, 'a text in a row fits its length');
    this.#view.setUint16(this.#at, sizeBytes);
    this.#at += 2 + sizeBytes;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#block.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  finish(): Uint8Array {
    return this.#block.subarray(this.#start, this.#at);
  }
}

/** Reads what {@link RowWriter} wrote; asserts that nothing is left. */
export class RowReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  u8(): number {
    this.#at += 1;
    return this.#view.getUint8(this.#at - 1);
  }

  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }

  u64(): number {
    this.#at += 8;
    return readU64(this.#view, this.#at - 8);
  }

  text(): string {
    const from = this.#at + 2;
    this.#at = from + this.#view.getUint16(this.#at);
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + from, this.#at - from).toString();
  }

  /** A view: valid as long as the row. */
  bytes(sizeBytes: number): Uint8Array {
    this.#at += sizeBytes;
    return this.#bytes.subarray(this.#at - sizeBytes, this.#at);
  }

  end(): void {
    assert(this.#at === this.#bytes.length, 'a row is read to its end');
  }
}
