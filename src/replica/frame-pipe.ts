/**
 * Frames on their way into a socket: what the socket does not take at once waits here, bounded in
 * bytes. A frame that is in is never dropped alone, because the next one's sequence number would
 * break the stream.
 */
import { OUTBOUND_SIZE_BYTES_MAX } from './limits.ts';

export class FramePipe {
  /** Hands a frame to the socket; false: it is full now. */
  readonly #write: (frame: Uint8Array) => boolean;
  #waiting: Uint8Array[] = [];
  #waitingSizeBytes = 0;
  #blocked = false;

  constructor(write: (frame: Uint8Array) => boolean) {
    this.#write = write;
  }

  /** Ask before encoding a frame: its sequence number commits us to sending it. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.#waitingSizeBytes + sizeBytes <= OUTBOUND_SIZE_BYTES_MAX;
  }

  push(frame: Uint8Array): void {
    if (!this.#blocked) {
      this.#blocked = !this.#write(frame);
      return;
    }
    this.#waiting.push(frame);
    this.#waitingSizeBytes += frame.length;
  }

  /** The socket takes frames again. */
  drain(): void {
    this.#blocked = false;
    let written = 0;
    while (written < this.#waiting.length && !this.#blocked) {
      const frame = this.#waiting[written]!; // written < length
      this.#blocked = !this.#write(frame);
      this.#waitingSizeBytes -= frame.length;
      written++;
    }
    this.#waiting = this.#waiting.slice(written);
  }
}
