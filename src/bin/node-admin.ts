/** Administration on this node, with what only the process knows of itself. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { KIB } from '../base/sizes.ts';
import { type Admin, createAdmin } from '../broker/admin/admin.ts';
import {
  createGrpcAdminTransport,
  type NodeFacts,
  type NodeTasks,
} from '../broker/admin/admin-ports.ts';
import type { Clock } from '../io/clock.ts';
import { AdminError } from '../protocol/admin.ts';
import type { Departure } from '../protocol/admin-report.ts';
import type { RoomReport } from '../protocol/verbs.ts';
import type { RunningReplica } from '../replica/replica-options.ts';
import type { BrokerOptions } from './broker-options.ts';
import type { Soundness } from './soundness.ts';
import { VERSION } from './version.ts';

const NS_PER_MS = 1e6;
const MS_PER_SECOND = 1_000;
/** Delays of long ago say nothing about now. */
const DELAY_WINDOW_MS = 60_000;

export interface NodeAdminOptions {
  readonly replica: RunningReplica;
  readonly clock: Clock;
  readonly diskRoom: () => RoomReport;
  readonly soundness: Pick<Soundness, 'report' | 'scrubNow'>;
  readonly departure: () => Departure;
}

export function startAdmin(
  { members, zone }: BrokerOptions,
  { replica, clock, diskRoom, soundness, departure }: NodeAdminOptions,
): Admin {
  const delays = monitorEventLoopDelay();
  delays.enable();
  const reset = setInterval(() => delays.reset(), DELAY_WINDOW_MS);
  reset.unref();
  const facts = (): NodeFacts => ({
    version: VERSION,
    zone: zone ?? '',
    uptimeMs: process.uptime() * MS_PER_SECOND,
    loopDelayMsP99: delays.count === 0 ? null : delays.percentile(99) / NS_PER_MS,
    swapUsedBytes: swapUsedBytes(),
    scrubFinishedAtMs: soundness.report().scrub?.lastFinishedAtMs ?? null,
    // Damage that is found and not mended: nobody else may leave meanwhile.
    repair: soundness.report().scrub?.damage ?? '',
    departure: departure(),
  });
  const admin = createAdmin({
    ...{ replica, clock, diskRoom, facts, randomBytes },
    transport: createGrpcAdminTransport(),
    founders: members,
    tasks: nodeTasks(replica, soundness),
  });
  return {
    answer: (call, signal) => admin.answer(call, signal),
    stepAside: () => admin.stepAside(),
    close: () => {
      clearInterval(reset);
      delays.disable();
      admin.close();
    },
  };
}

/** Of this process. null where the system does not tell. */
function swapUsedBytes(): number | null {
  try {
    const kib = /^VmSwap:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kib === undefined ? null : Number(kib) * KIB;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return null;
  }
}

export function nodeTasks(
  { snapshotKeeper }: Pick<RunningReplica, 'snapshotKeeper'>,
  { scrubNow }: Pick<Soundness, 'scrubNow'>,
): NodeTasks {
  return {
    takeSnapshot: async () => {
      if (snapshotKeeper === null) {
        throw new AdminError(
          'unsupported',
          'This node keeps its whole log and takes no snapshots.',
        );
      }
      const outcome = await snapshotKeeper.take();
      if (outcome.kind === 'failed') {
        throw new AdminError('internal', `No snapshot was taken: ${outcome.why}.`);
      }
      const { appliedIndex, chunkCount } = outcome.info;
      return `The snapshot after entry ${appliedIndex} is durable, in ${chunkCount} chunks.`;
    },
    scrub: async () => {
      const sentence = scrubNow();
      if (sentence !== null) return sentence;
      throw new AdminError(
        'unsupported',
        'Scrubbing is switched off in the settings of this node.',
      );
    },
  };
}
