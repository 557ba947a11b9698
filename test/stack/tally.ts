/** Sums over runs, and the table that shows them. */
import type { RunResult } from './run.ts';

const HOUR_MS = 3_600_000;
const COLUMNS = [
  ...['runs', 'sim hours', 'answered', 'acked', 'entries', 'leaders', 'configs', 'checks', 'speed'],
];

interface Row {
  runs: number;
  simulatedMs: number;
  realMs: number;
  answered: number;
  acknowledged: number;
  entries: number;
  leaders: number;
  configs: number;
  checks: number;
}

export class StackTally {
  readonly #rows = new Map<string, Row>();
  readonly #total = emptyRow();
  readonly #faults = new Map<string, number>();

  readonly #commands = new Map<string, number>();

  add(result: RunResult, realMs: number): void {
    for (const [what, count] of result.commands) {
      this.#commands.set(what, (this.#commands.get(what) ?? 0) + count);
    }
    const row = this.#rows.get(result.profile) ?? emptyRow();
    this.#rows.set(result.profile, row);
    for (const sum of [row, this.#total]) {
      sum.runs++;
      sum.simulatedMs += result.simulatedMs;
      sum.realMs += realMs;
      sum.answered += result.answered;
      sum.acknowledged += result.acknowledged;
      sum.entries += result.entries;
      sum.leaders += result.leaders;
      sum.configs += result.configs;
      sum.checks += result.checkCount;
    }
    for (const [kind, count] of result.faults) {
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count);
    }
  }

  table(): string {
    const head = ['profile', ...COLUMNS];
    const body = [...this.#rows, ['total', this.#total] as const].map(([name, row]) => [
      name,
      String(row.runs),
      (row.simulatedMs / HOUR_MS).toFixed(2),
      String(row.answered),
      String(row.acknowledged),
      String(row.entries),
      String(row.leaders),
      String(row.configs),
      String(row.checks),
      `${Math.round(row.simulatedMs / Math.max(1, row.realMs))}x`,
    ]);
    const rows = [head, ...body];
    const widths = head.map((_, column) =>
      Math.max(...rows.map((row) => row[column]?.length ?? 0)),
    );
    const lines = rows.map((row) =>
      row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '),
    );
    const kinds = [...this.#faults].sort(([a], [b]) => (a < b ? -1 : 1));
    const total = kinds.reduce((sum, [, count]) => sum + count, 0);
    const faults = kinds.map(([kind, count]) => `${kind} ${count}`).join(', ');
    const commands = [...this.#commands]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, count]) => `${what} ${count}`);
    const typed = commands.length === 0 ? '' : `\ncommands: ${commands.join(', ')}`;
    return `${lines.join('\n')}\nfaults: ${total} (${faults})${typed}`;
  }
}

function emptyRow(): Row {
  const counts = { runs: 0, simulatedMs: 0, realMs: 0, answered: 0, acknowledged: 0 };
  return { ...counts, entries: 0, leaders: 0, configs: 0, checks: 0 };
}
