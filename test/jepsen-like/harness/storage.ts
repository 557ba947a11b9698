/** How much the brokers of a run keep of their log: everything, unless a fault of the run is about that. */
import {
  MEMBER_GRACE_SECONDS,
  MEMBER_GRACE_SECONDS_NONE,
  RETENTION_BYTES,
  RETENTION_BYTES_OF_LARGE,
  SEGMENT_SIZE_BYTES,
  SEGMENT_SIZE_BYTES_SMALL,
} from '../limits.ts';
import type { RunPlan } from '../plan.ts';

export interface Storage {
  readonly segmentSizeBytes: number;
  /** 0: everything is kept. */
  readonly retentionBytes: number;
  readonly memberGraceSeconds: number;
}

const EVERYTHING: Storage = {
  segmentSizeBytes: SEGMENT_SIZE_BYTES,
  retentionBytes: 0,
  memberGraceSeconds: MEMBER_GRACE_SECONDS_NONE,
};

export function storageOf({ schedule, workloads }: RunPlan): Storage {
  if (!schedule.some(({ step }) => step.kind === 'compactPast')) return EVERYTHING;
  const isLarge = workloads.includes('large');
  return {
    segmentSizeBytes: isLarge ? SEGMENT_SIZE_BYTES : SEGMENT_SIZE_BYTES_SMALL,
    retentionBytes: isLarge ? RETENTION_BYTES_OF_LARGE : RETENTION_BYTES,
    memberGraceSeconds: MEMBER_GRACE_SECONDS,
  };
}
