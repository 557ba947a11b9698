/** CPU and memory of other processes, from /proc: Linux only, like the recorded results. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
/** Fields of /proc/<pid>/stat, counted after the closing parenthesis of the name. */
const USER_TICKS_FIELD = 11;
const SYSTEM_TICKS_FIELD = 12;
const KIB = 1024;

export function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[USER_TICKS_FIELD]) + Number(fields[SYSTEM_TICKS_FIELD])) / TICKS_PER_SECOND;
}

export function residentBytesOf(pid: number): number {
  return statusBytesOf(pid, 'VmRSS');
}

/** The most that it ever had. */
export function peakResidentBytesOf(pid: number): number {
  return statusBytesOf(pid, 'VmHWM');
}

function statusBytesOf(pid: number, name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'utf8'),
  );
  if (line === null) throw new Error(`No ${name} of process ${pid}`);
  return Number(line[1]) * KIB;
}
