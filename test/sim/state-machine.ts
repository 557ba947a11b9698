/**
 * The state machine of the model: a running digest over everything applied and a count of values.
 * Equal digests at equal indexes mean equal histories, and the digest travels in snapshots, so that
 * a replica that was brought up by one can still be compared (I9).
 */
import { LogIndex } from '../../src/base/units.ts';
import type { EntryDesc, SnapshotDesc } from '../../src/raft/entry.ts';
import { mixDigest } from './keyed-random.ts';

/** A snapshot as it lies on disk and travels. */
export interface SnapshotContent {
  readonly desc: SnapshotDesc;
  readonly digest: number;
  readonly valueCount: number;
}

const DIGEST_START = 0x811c9dc5;

export function emptyContent(desc: SnapshotDesc): SnapshotContent {
  return { desc, digest: DIGEST_START, valueCount: 0 };
}

export class StateMachine {
  appliedIndex = LogIndex(0);
  digest = DIGEST_START;
  /** Data entries applied so far: what a read of the model returns. */
  valueCount = 0;

  load({ desc, digest, valueCount }: SnapshotContent): void {
    this.appliedIndex = desc.last.index;
    this.digest = digest;
    this.valueCount = valueCount;
  }

  apply(entry: EntryDesc): void {
    this.appliedIndex = entry.index;
    this.digest = digestAfter(this.digest, entry);
    if (entry.type === 'data') this.valueCount += 1;
  }

  contentAs(desc: SnapshotDesc): SnapshotContent {
    return { desc, digest: this.digest, valueCount: this.valueCount };
  }
}

export function digestAfter(digest: number, entry: EntryDesc): number {
  return mixDigest(mixDigest(mixDigest(digest, entry.index), entry.term), entry.payloadCrc);
}
