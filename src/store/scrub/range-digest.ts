/** SHA-256 over entries as they lie on the device, read and checked at a bounded pace. */
import { createHash } from 'node:crypto';
import type { LogIndex } from '../../base/units.ts';
import type { Clock } from '../../io/clock.ts';
import { SCRUB_READ_SIZE_BYTES } from './limits.ts';
import type { LogDamage, LogOnDisk } from './log-on-disk.ts';
import { pause } from './pause.ts';

export interface RangeRead {
  readonly from: LogIndex;
  readonly to: LogIndex;
  readonly bytesPerSecondMax: number;
  readonly signal: AbortSignal;
}

export type RangeDigest =
  /** 64 hexadecimal digits. */
  | { readonly kind: 'digest'; readonly digest: string }
  | { readonly kind: 'damaged'; readonly damages: readonly LogDamage[] }
  /** Cut or removed meanwhile, or it was stopped. */
  | { readonly kind: 'gone' };

export async function rangeDigest(
  log: Pick<LogOnDisk, 'check'>,
  clock: Clock,
  { from, to, bytesPerSecondMax, signal }: RangeRead,
): Promise<RangeDigest> {
  const hash = createHash('sha256');
  for (let next = from; next <= to; ) {
    const outcome = await log.check(next, to, SCRUB_READ_SIZE_BYTES);
    if (outcome.kind === 'damaged') return { kind: 'damaged', damages: outcome.damages };
    if (outcome.kind === 'gone') return outcome;
    for (const entry of outcome.entries) hash.update(entry);
    next = (outcome.lastIndex + 1) as LogIndex;
    const waitMs = (outcome.sizeBytes * 1_000) / bytesPerSecondMax;
    if (next <= to && !(await pause(clock, waitMs, signal))) return { kind: 'gone' };
  }
  return { kind: 'digest', digest: hash.digest('hex') };
}
