/** The findings of a run as a table for people. */
import type { CatchUpReport, SendLatency } from './catch-up.ts';
import type { RecoveryReport } from './recovery.ts';

const GIB = 1024 ** 3;

export interface StorageRun {
  readonly recovery: RecoveryReport;
  readonly catchUp: CatchUpReport | null;
}

export function storageTable({ recovery, catchUp }: StorageRun): string {
  const { sizeBytes, messages, lastIndex, fillMibPerSecond, starts } = recovery;
  const lines = [
    `log of ${gib(sizeBytes)} GiB, ${messages} messages in ${lastIndex} entries, written at ${Math.round(fillMibPerSecond)} MiB/s`,
    ...starts.map(({ how, toReadyMs, mibPerSecond, peakResidentMib }) =>
      row(`start ${how}`, toReadyMs, mibPerSecond, `peak ${Math.round(peakResidentMib)} MiB`),
    ),
  ];
  if (catchUp === null) return lines.join('\n');
  const { replica, leader } = catchUp.peakResidentMib;
  const peaks = `peak ${Math.round(replica)} MiB, leader ${Math.round(leader)} MiB`;
  const { toCaughtUpMs, mibPerSecond, sends } = catchUp;
  return [
    ...lines,
    row(`catch-up of ${gib(catchUp.sizeBytes)} GiB`, toCaughtUpMs, mibPerSecond, peaks),
    `sends without    ${sentence(sends.without)}`,
    `sends meanwhile  ${sentence(sends.meanwhile)}`,
  ].join('\n');
}

function row(name: string, durationMs: number, mibPerSecond: number, rest: string): string {
  const seconds = (durationMs / 1000).toFixed(2).padStart(8);
  const rate = Math.round(mibPerSecond).toString().padStart(6);
  return `${name.padEnd(28)} ${seconds} s ${rate} MiB/s  ${rest}`;
}

function sentence({ perSecond, p50Ms, p99Ms, maxMs }: SendLatency): string {
  const ms = (value: number): string => value.toFixed(2);
  return `${Math.round(perSecond)}/s, p50 ${ms(p50Ms)} ms, p99 ${ms(p99Ms)} ms, max ${ms(maxMs)} ms`;
}

function gib(sizeBytes: number): string {
  return (sizeBytes / GIB).toFixed(1);
}
