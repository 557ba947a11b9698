/** The findings of a run as a table for people. */
import type { CatchUpReport, SendLatency } from './catch-up.ts';
import type { RecoveryReport } from './recovery.ts';
import type { RepairReport } from './repair.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const KIB = 1024;

export interface StorageRun {
  readonly recovery: RecoveryReport | null;
  readonly catchUp: CatchUpReport | null;
  readonly repairs: readonly RepairReport[];
}

export function storageTable({ recovery, catchUp, repairs }: StorageRun): string {
  return [
    ...(recovery === null ? [] : recoveryLines(recovery)),
    ...(catchUp === null ? [] : catchUpLines(catchUp)),
    ...repairs.flatMap(repairLines),
  ].join('\n');
}

function recoveryLines(recovery: RecoveryReport): readonly string[] {
  const { sizeBytes, messages, lastIndex, fillMibPerSecond, starts } = recovery;
  return [
    `log of ${gib(sizeBytes)} GiB, ${messages} messages in ${lastIndex} entries, written at ${Math.round(fillMibPerSecond)} MiB/s`,
    ...starts.map(({ how, toReadyMs, mibPerSecond, peakResidentMib }) =>
      row(`start ${how}`, toReadyMs, mibPerSecond, `peak ${Math.round(peakResidentMib)} MiB`),
    ),
  ];
}

function catchUpLines(catchUp: CatchUpReport): readonly string[] {
  const { replica, leader } = catchUp.peakResidentMib;
  const peaks = `peak ${Math.round(replica)} MiB, leader ${Math.round(leader)} MiB`;
  const { toCaughtUpMs, mibPerSecond, sends } = catchUp;
  return [
    row(`catch-up of ${gib(catchUp.sizeBytes)} GiB`, toCaughtUpMs, mibPerSecond, peaks),
    `sends without    ${sentence(sends.without)}`,
    `sends meanwhile  ${sentence(sends.meanwhile)}`,
  ];
}

function repairLines(repair: RepairReport): readonly string[] {
  const { lostSizeBytes, entrySizeBytes, filledSizeBytes, fillMs, mibPerSecond, sends } = repair;
  const what = `repair ${mib(lostSizeBytes)} MiB of ${kib(entrySizeBytes)} KiB`;
  const isWhole = repair.toReadyMs !== null;
  const end = isWhole
    ? `ready after ${((repair.toReadyMs ?? 0) / 1000).toFixed(2)} s`
    : 'cut short';
  const { replica, leader } = repair.peakResidentMib;
  const rest = `${mib(filledSizeBytes)} MiB came, ${end}, peak ${replica.toFixed(0)} MiB, leader ${leader.toFixed(0)} MiB`;
  return [
    row(what, fillMs, mibPerSecond, rest),
    `sends without    ${sentence(sends.without)}`,
    `sends meanwhile  ${sentence(sends.meanwhile)}`,
  ];
}

function row(name: string, durationMs: number, mibPerSecond: number, rest: string): string {
  const seconds = (durationMs / 1000).toFixed(2).padStart(8);
  const rate = (mibPerSecond < 10 ? mibPerSecond.toFixed(2) : mibPerSecond.toFixed(0)).padStart(6);
  return `${name.padEnd(28)} ${seconds} s ${rate} MiB/s  ${rest}`;
}

function sentence({ perSecond, p50Ms, p99Ms, maxMs }: SendLatency): string {
  const ms = (value: number): string => value.toFixed(2);
  return `${Math.round(perSecond)}/s, p50 ${ms(p50Ms)} ms, p99 ${ms(p99Ms)} ms, max ${ms(maxMs)} ms`;
}

function gib(sizeBytes: number): string {
  return (sizeBytes / GIB).toFixed(1);
}

function mib(sizeBytes: number): string {
  return (sizeBytes / MIB).toFixed(sizeBytes < MIB ? 2 : 0);
}

function kib(sizeBytes: number): string {
  return (sizeBytes / KIB).toFixed(0);
}
