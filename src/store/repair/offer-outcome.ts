/** What became of entries that a peer offered. */
import type { StoredEntry } from '../commit-log.ts';

/**
 * `accepted`: something was written. `contradicted`: what was wanted is another entry now.
 * `unusable`: it fits nothing here; `problem` says why.
 */
export type OfferOutcome =
  | { readonly kind: 'accepted'; readonly entryCount: number; readonly sizeBytes: number }
  | { readonly kind: 'contradicted' }
  | { readonly kind: 'unusable'; readonly problem: string };

export function accepted(entries: readonly StoredEntry[]): OfferOutcome {
  let sizeBytes = 0;
  for (const { desc } of entries) sizeBytes += desc.sizeBytes;
  return { kind: 'accepted', entryCount: entries.length, sizeBytes };
}
