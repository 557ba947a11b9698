/** Sums over runs, and the tables that show them. */
import { MARKS, type Mark, SCRIPTED_MARKS } from './marks.ts';
import type { RunResult } from './run.ts';

const HOUR_MS = 3_600_000;
const SECOND_MS = 1_000;

interface Row {
  seeds: number;
  simulatedMs: number;
  realMs: number;
  events: number;
  committed: number;
  acknowledged: number;
  readsAnswered: number;
  changesAccepted: number;
  transfersDone: number;
}

function emptyRow(): Row {
  return {
    seeds: 0,
    simulatedMs: 0,
    realMs: 0,
    events: 0,
    committed: 0,
    acknowledged: 0,
    readsAnswered: 0,
    changesAccepted: 0,
    transfersDone: 0,
  };
}

export class Tally {
  readonly #rows = new Map<string, Row>();
  readonly #total = emptyRow();
  readonly #faults = new Map<string, number>();
  readonly #marks = new Map<Mark, number>();

  add(profile: string, result: RunResult, realMs: number): void {
    const row = this.#rows.get(profile) ?? emptyRow();
    this.#rows.set(profile, row);
    const { ops } = result;
    for (const sum of [row, this.#total]) {
      sum.seeds += 1;
      sum.simulatedMs += result.simulatedMs;
      sum.realMs += realMs;
      sum.events += result.events;
      sum.committed += result.committedIndex;
      sum.acknowledged += ops.acknowledged;
      sum.readsAnswered += ops.readsAnswered;
      sum.changesAccepted += ops.changesAccepted;
      sum.transfersDone += ops.transfersDone;
    }
    addAll(this.#faults, result.faults);
    addAll(this.#marks, result.marks);
  }

  get rows(): ReadonlyMap<string, Readonly<Row>> {
    return this.#rows;
  }

  get total(): Readonly<Row> {
    return this.#total;
  }

  get faults(): ReadonlyMap<string, number> {
    return this.#faults;
  }

  get marks(): ReadonlyMap<Mark, number> {
    return this.#marks;
  }

  /** Situations that chance should have brought about, and that no run has met. */
  missingMarks(): readonly Mark[] {
    return MARKS.filter((mark) => !SCRIPTED_MARKS.has(mark) && !this.#marks.has(mark));
  }

  /** One line. */
  summary(): string {
    const { seeds, simulatedMs, events, acknowledged } = this.#total;
    const hours = (simulatedMs / HOUR_MS).toFixed(2);
    return `${seeds} runs, ${hours} simulated h, ${events} events, ${acknowledged} acknowledged, ${speedOf(this.#total)}`;
  }
}

export function formatTable(tally: Tally): string {
  const head = [
    'profile',
    'runs',
    'sim hours',
    'events',
    'events/s',
    'committed',
    'proposals',
    'reads',
    'changes',
    'transfers',
    'speed',
  ];
  const body = [...tally.rows, ['total', tally.total] as const].map(([name, row]) => [
    name,
    String(row.seeds),
    (row.simulatedMs / HOUR_MS).toFixed(2),
    String(row.events),
    String(Math.round((row.events * SECOND_MS) / Math.max(1, row.realMs))),
    String(row.committed),
    String(row.acknowledged),
    String(row.readsAnswered),
    String(row.changesAccepted),
    String(row.transfersDone),
    speedOf(row),
  ]);
  const missing = tally.missingMarks();
  return [
    align([head, ...body]),
    `faults: ${formatCounts(tally.faults)}`,
    `marks: ${formatCounts(tally.marks)}`,
    `marks not met: ${missing.join(', ') || 'none'}`,
  ].join('\n');
}

function addAll<K>(sums: Map<K, number>, counts: ReadonlyMap<K, number>): void {
  for (const [key, count] of counts) sums.set(key, (sums.get(key) ?? 0) + count);
}

function formatCounts(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([key, count]) => `${key} ${count}`).join(', ') || 'none';
}

function speedOf({ simulatedMs, realMs }: Readonly<Row>): string {
  return `${Math.round(simulatedMs / Math.max(1, realMs))}x`;
}

function align(table: readonly (readonly string[])[]): string {
  const widths = table[0]?.map((_, column) => {
    return Math.max(...table.map((row) => row[column]?.length ?? 0));
  });
  const pad = (cell: string, column: number) => {
    const width = widths?.[column] ?? 0;
    return column === 0 ? cell.padEnd(width) : cell.padStart(width);
  };
  return table.map((row) => row.map(pad).join('  ')).join('\n');
}
