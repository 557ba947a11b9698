/**
 * What may be gone of what was acknowledged, where a group keeps little of its log: the beginning, and
 * nothing else. The producer's own books say so: a send that began after another one was acknowledged lies
 * behind it, so where the earlier one is still there, the later one has to be.
 */
import type { Sent } from './official-client.ts';

type Times = Pick<Sent, 'messageId' | 'begunAtMs' | 'acknowledgedAtMs'>;

/**
 * What is there, and what has to be because something before it is. By age everything may go, also the newest:
 * whoever knows that something was kept says so in `isThere`.
 */
export function unexpiredOf<T extends Times>(
  sent: readonly T[],
  isThere: (messageId: string) => boolean,
): readonly T[] {
  const kept = sent.filter(({ messageId }) => isThere(messageId));
  const firstKeptAtMs = Math.min(...kept.map(({ acknowledgedAtMs }) => acknowledgedAtMs));
  return sent.filter(({ messageId, begunAtMs }) => begunAtMs > firstKeptAtMs || isThere(messageId));
}

/** Ids of acknowledged messages that are gone and have not expired. */
export function lostOf(
  sent: readonly Times[],
  isThere: (messageId: string) => boolean,
): readonly string[] {
  const unexpired = unexpiredOf(sent, isThere).map(({ messageId }) => messageId);
  return unexpired.filter((messageId) => !isThere(messageId));
}
