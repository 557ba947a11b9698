/**
 * Everything by which a broker process looks after the soundness of its replica: the scrubber, the checkpoints
 * and their comparison, verifying on demand, and what follows from what they find.
 */
import { FatalError } from '../base/errors.ts';
import type { SoundnessReport } from '../broker/services/node-report.ts';
import type { Clock } from '../io/clock.ts';
import type { Disk } from '../io/disk.ts';
import { CheckpointJudge } from '../replica/checkpoints/checkpoint-judge.ts';
import { CheckpointProposer } from '../replica/checkpoints/checkpoint-proposer.ts';
import { type Divergence, divergenceText } from '../replica/checkpoints/divergence.ts';
import { createGrpcWitnesses } from '../replica/checkpoints/grpc-witnesses.ts';
import { CHECKPOINT_RECORDS, CHECKPOINT_SIZE_BYTES } from '../replica/checkpoints/limits.ts';
import { DamageResponse } from '../replica/damage-response.ts';
import type { RunningReplica } from '../replica/replica-options.ts';
import { type VerifyService, verifyService } from '../replica/verify/verify-service.ts';
import { DerivedDirectory } from '../store/derived/derived-directory.ts';
import type { KvStore } from '../store/derived/kv-store.ts';
import { withScratchDatabase } from '../store/derived/scratch-database.ts';
import type { LogDamage } from '../store/scrub/log-on-disk.ts';
import { Scrubber, type ScrubEvent, type ScrubProgress } from '../store/scrub/scrubber.ts';
import { logSoundnessEvent, type SoundnessEvent } from './broker-logging.ts';
import { type BrokerOptions, scrubLimitsOf } from './broker-options.ts';
import { noteDivergence } from './divergence-note.ts';
import { exitWith } from './exit.ts';
import type { Logger } from './logger.ts';

/** A second database is as large as the first, or a little larger while it grows. */
const SCRATCH_ROOM_FACTOR = 1.5;

export interface SoundnessParts {
  readonly options: BrokerOptions;
  readonly replica: RunningReplica;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the disk, for others than us. */
  readonly reserveBytes: () => number;
}

export interface Soundness {
  readonly verify: VerifyService;
  report(): SoundnessReport;
  /** Begins a pass of the scrubber. @returns what came of it, in words; null: this node does not scrub */
  scrubNow(): string | null;
  /** Before the replica is closed. Idempotent. */
  stop(): Promise<void>;
}

export function startSoundness(parts: SoundnessParts): Soundness {
  const { options, replica, clock, logger } = parts;
  const onEvent = (event: SoundnessEvent): void => logSoundnessEvent(logger, event);
  const common = { replica, clock, onEvent, onFatal: exitWith };
  const response = new DamageResponse(common);
  const onDamage = (damage: LogDamage): void => response.onDamage(damage);
  const scrubber = scrubberOf(parts, onEvent, onDamage);
  const judge = new CheckpointJudge({
    ...common,
    witnesses: createGrpcWitnesses(),
    onDamage,
    onWrong: (divergence) => {
      condemn(parts, divergence).then((reason) => response.endSoon(reason), exitWith);
    },
  });
  const proposer = new CheckpointProposer({
    ...common,
    limits: { records: CHECKPOINT_RECORDS, sizeBytes: CHECKPOINT_SIZE_BYTES },
    onDamage,
    onClaimed: (index) => judge.onClaimed(index),
  });
  const verify = verifyService({
    ...common,
    standingAt: (index) => judge.standingAt(index),
    withScratch: (work) => withScratch(parts, work),
    snapshots: replica.snapshotKeeper?.files ?? null,
    onDamage,
    checkpoint: () => proposer.checkpoint(),
  });
  scrubber?.start();
  judge.start();
  const { directory } = options;
  logger.debug({ event: 'soundness.started', directory }, 'Looks after its log');
  return {
    verify,
    report: () => ({
      scrub: scrubber === null ? null : { ...reportOf(scrubber.progress), damage: response.damage },
      checkpoints: {
        lastIndex: replica.state.checkpoints().at(-1)?.index ?? null,
        agreedIndex: judge.agreedIndex,
        divergence: judge.divergence,
      },
    }),
    scrubNow: () => scrubNow(scrubber),
    stop: async () => {
      response.stop();
      await Promise.all([scrubber?.stop(), verify.stop(), proposer.stop(), judge.stop()]);
    },
  };
}

function scrubberOf(
  { options, replica, clock }: SoundnessParts,
  onEvent: (event: ScrubEvent) => void,
  onDamage: (damage: LogDamage) => void,
): Scrubber | null {
  const limits = scrubLimitsOf(options);
  if (limits === null) return null;
  return new Scrubber({
    log: replica.log.onDisk,
    ...{ clock, limits, onFatal: exitWith },
    oldestPendingMs: () => replica.log.diskStats.oldestPendingMs(),
    onEvent: (event) => {
      onEvent(event);
      if (event.kind === 'scrubFound') onDamage(event.damage);
    },
  });
}

function scrubNow(scrubber: Scrubber | null): string | null {
  if (scrubber === null) return null;
  if (scrubber.passNow()) return 'A pass over the whole log begins.';
  const { passDoneBytes, passTotalBytes } = scrubber.progress;
  return `A pass is under way: ${passDoneBytes} of ${passTotalBytes} bytes are read.`;
}

function reportOf(progress: ScrubProgress) {
  const { passCount, findingCount, readBytes, passDoneBytes, passTotalBytes } = progress;
  const { bytesPerSecond, lastFinishedAtMs, isLate } = progress;
  const sizes = { readBytes, passDoneBytes, passTotalBytes };
  return { passCount, findingCount, ...sizes, bytesPerSecond, lastFinishedAtMs, isLate };
}

/** Sees to it that the next start does not go on with what is wrong. */
async function condemn(
  { options: { directory }, disk }: SoundnessParts,
  divergence: Divergence,
): Promise<FatalError> {
  const what = divergenceText(divergence);
  if (divergence.kind === 'state') {
    const derived = new DerivedDirectory(disk, directory);
    await derived.condemn(await derived.current(), what);
    const sentence = `${what}. This node ends, and makes its state anew from its log when it starts again`;
    return new FatalError('logDamaged', sentence);
  }
  await noteDivergence(disk, directory, what);
  return new FatalError('logDamaged', `${what}. This node must be rebuilt with an empty directory`);
}

async function withScratch<T>(
  { options: { directory }, disk, reserveBytes }: SoundnessParts,
  work: (store: KvStore) => Promise<T>,
): Promise<T | string> {
  const derived = new DerivedDirectory(disk, directory);
  const path = `${derived.pathOf(await derived.current())}/data.mdb`;
  const sizeBytes = (await disk.sizeOf(path)) ?? 0;
  const { freeBytes } = await disk.room(directory);
  const neededBytes = Math.ceil(sizeBytes * SCRATCH_ROOM_FACTOR) + reserveBytes();
  if (freeBytes < neededBytes) {
    return `${freeBytes} bytes are free on the disk, and a second database wants ${neededBytes} to be`;
  }
  return withScratchDatabase(disk, directory, work);
}
