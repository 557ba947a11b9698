/**
 * Java's String.hashCode: RocketMQ's tags code in the consume queue. Computed over UTF-16 units, which
 * JavaScript strings have too; the result is a signed 32-bit number.
 */
const MULTIPLIER = 31;

export function javaHashCode(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) {
    hash = (Math.imul(hash, MULTIPLIER) + text.charCodeAt(i)) | 0;
  }
  return hash;
}

/** 0 without a tag, as RocketMQ's tagsString2tagsCode. */
export function tagsCodeOf(tag: string | null): number {
  return tag === null ? 0 : javaHashCode(tag);
}
