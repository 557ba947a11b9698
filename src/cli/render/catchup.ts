/** How far a new member is. */
import type { CatchupReport } from '../../protocol/admin-report.ts';
import { jsonLine } from './json.ts';
import { sizeText } from './log-words.ts';

const STATE_WORDS: Readonly<Record<CatchupReport['state'], string>> = {
  joining: 'its process was not met yet',
  copying: 'copying',
  caughtUp: 'caught up',
  silent: 'it was met, and does not answer now',
  voting: 'it votes already',
};

/** `n4: copying, 812 MiB of 1.20 GiB left, 98.2 MiB/s, 8 s left`. */
export function catchupText(report: CatchupReport): string {
  const { nodeId, state, lagBytes, logBytes, bytesPerSecond, remainingMs } = report;
  const parts = [STATE_WORDS[state]];
  if (state === 'copying' || lagBytes > 0) {
    parts.push(`${sizeText(lagBytes)} of ${sizeText(logBytes)} to go`);
  }
  if (state === 'copying' && bytesPerSecond !== null) {
    parts.push(`${sizeText(Math.round(bytesPerSecond))}/s`);
  }
  if (remainingMs !== null && state === 'copying') parts.push(`${remainingText(remainingMs)} left`);
  return `${nodeId}: ${parts.join(', ')}`;
}

export function catchupJsonLine(report: CatchupReport): string {
  return jsonLine({ kind: 'catchup', ...catchupJson(report) });
}

export function catchupJson(report: CatchupReport): object {
  const { nodeId, state, lagBytes, logBytes, bytesPerSecond, remainingMs } = report;
  return {
    nodeId,
    state,
    lagBytes: String(lagBytes),
    logBytes: String(logBytes),
    bytesPerSecond,
    remainingMs,
  };
}

/** `8 s`, `12 min`, `2 h 18 min`. */
export function remainingText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = `${Math.floor(minutes / 60)} h`;
  return minutes % 60 === 0 ? hours : `${hours} ${minutes % 60} min`;
}
