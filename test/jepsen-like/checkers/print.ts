/** Verdicts for a terminal. */
import type { Verdict } from './verdict.ts';

const WORDS = { true: 'ok', false: 'ANOMALY', unknown: 'unknown' } as const;

export function printVerdicts(verdicts: readonly Verdict[]): void {
  for (const { checker, valid, counts, anomalies } of verdicts) {
    const numbers = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
    console.log(`  ${WORDS[`${valid}`].padEnd(8)} ${checker.padEnd(10)} ${numbers.join(', ')}`);
    for (const { kind, what } of anomalies) console.log(`           ${kind}: ${what}`);
  }
}
