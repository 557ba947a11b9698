/** One page, and one document, over all runs below a folder; those with a planted bug are left out. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FaultGap, gapsPerFault } from '../checkers/availability.ts';
import type { Verdict } from '../checkers/verdict.ts';
import { EVIDENCE_FILES, json, readEvidence } from '../history/evidence.ts';
import { isVerb } from '../history/operation.ts';
import type { RunPlan } from '../plan.ts';
import { type Cell, escaped, page, table } from './html.ts';

export interface RunNumbers {
  readonly name: string;
  readonly rows: readonly string[];
  readonly workloads: readonly string[];
  readonly nodeCount: number;
  readonly seed: number;
  readonly network: string;
  readonly faultSeconds: number;
  readonly seconds: number;
  readonly operations: number;
  readonly ok: number;
  readonly fail: number;
  readonly info: number;
  readonly acknowledgedMessages: number;
  readonly faults: number;
  readonly faultsSkipped: number;
  readonly healMs: number | null;
  readonly gaps: readonly FaultGap[];
  readonly valid: boolean | 'unknown';
  readonly anomalies: Readonly<Record<string, number>>;
}

export function writeSummary(folder: string): void {
  if (!existsSync(folder)) return;
  const runs = runsBelow(folder, '').map((name) => numbersOf(join(folder, name), name));
  writeFileSync(
    join(folder, 'summary.json'),
    `${JSON.stringify({ total: totalOf(runs), runs }, null, 2)}\n`,
  );
  writeFileSync(join(folder, 'index.html'), summaryPage(runs));
}

function runsBelow(folder: string, name: string): readonly string[] {
  const place = join(folder, name);
  if (existsSync(join(place, EVIDENCE_FILES.verdicts))) {
    return json<RunPlan>(join(place, EVIDENCE_FILES.plan)).canary === null ? [name] : [];
  }
  return readdirSync(place, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .flatMap((below) => runsBelow(folder, join(name, below)));
}

/** Kept beside the verdicts: a grid asks for those of all its cells again and again. */
function numbersOf(folder: string, name: string): RunNumbers {
  const path = join(folder, EVIDENCE_FILES.numbers);
  const kept = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (kept < statSync(join(folder, EVIDENCE_FILES.verdicts)).mtimeMs) {
    writeFileSync(path, `${JSON.stringify(countedIn(folder))}\n`);
  }
  return { name, ...json<Omit<RunNumbers, 'name'>>(path) };
}

function countedIn(folder: string): Omit<RunNumbers, 'name'> {
  const evidence = readEvidence(folder);
  const { plan, summary, operations, faults } = evidence;
  const verdicts = json<readonly Verdict[]>(join(folder, EVIDENCE_FILES.verdicts));
  const anomalies: Record<string, number> = {};
  for (const { kind } of verdicts.flatMap((verdict) => verdict.anomalies)) {
    anomalies[kind] = (anomalies[kind] ?? 0) + 1;
  }
  const count = (outcome: string): number =>
    operations.filter((each) => each.outcome === outcome).length;
  const valids = verdicts.map(({ valid }) => valid);
  const took = faults.filter(({ skipped }) => skipped === null).length;
  const acknowledgedMessages = operations
    .filter(isVerb('send'))
    .filter(({ outcome }) => outcome === 'ok')
    .reduce((sum, { action }) => sum + action.messages.length, 0);
  return {
    ...{ rows: plan.rows, workloads: plan.workloads, nodeCount: plan.nodeCount },
    ...{ seed: plan.seed, network: summary.network, faultSeconds: plan.seconds },
    ...{ seconds: summary.seconds, operations: operations.length },
    ...{ ok: count('ok'), fail: count('fail'), info: count('info'), acknowledgedMessages },
    ...{ faults: took, faultsSkipped: faults.length - took, healMs: summary.healMs },
    gaps: gapsPerFault(evidence),
    valid: valids.includes(false) ? false : valids.includes('unknown') ? 'unknown' : true,
    anomalies,
  };
}

export function totalOf(runs: readonly RunNumbers[]) {
  const sum = (of: (run: RunNumbers) => number): number =>
    runs.reduce((total, run) => total + of(run), 0);
  return {
    runs: runs.length,
    withAnomalies: runs.filter(({ valid }) => valid === false).length,
    undecided: runs.filter(({ valid }) => valid === 'unknown').length,
    seconds: sum(({ seconds }) => seconds),
    operations: sum(({ operations }) => operations),
    ok: sum(({ ok }) => ok),
    fail: sum(({ fail }) => fail),
    info: sum(({ info }) => info),
    acknowledgedMessages: sum(({ acknowledgedMessages }) => acknowledgedMessages),
    faults: sum(({ faults }) => faults),
    faultsSkipped: sum(({ faultsSkipped }) => faultsSkipped),
    faultsByKind: gapsByKind(runs),
  };
}

/** Over all runs: how often, and the longest time without an acknowledged send. */
function gapsByKind(runs: readonly RunNumbers[]): readonly FaultGap[] {
  const kinds = new Map<string, FaultGap>();
  for (const { kind, row, count, longestMs } of runs.flatMap(({ gaps }) => gaps)) {
    const before = kinds.get(kind);
    kinds.set(kind, {
      ...{ kind, row, count: count + (before?.count ?? 0) },
      longestMs: Math.max(longestMs, before?.longestMs ?? 0),
    });
  }
  const place = (row: string): number => Number(row.replace(/\D/g, ''));
  return [...kinds.values()].sort(
    (a, b) => place(a.row) - place(b.row) || a.kind.localeCompare(b.kind),
  );
}

function summaryPage(runs: readonly RunNumbers[]): string {
  const total = totalOf(runs);
  const number = (value: number): Cell => ({ text: value.toLocaleString('en'), kind: 'number' });
  const rows = runs.map((run): readonly Cell[] => [
    { text: run.name, href: `${run.name}/${EVIDENCE_FILES.report}` },
    run.valid === true
      ? { text: 'ok', kind: 'good' }
      : run.valid === false
        ? { text: Object.keys(run.anomalies).join(', '), kind: 'bad' }
        : { text: 'undecided', kind: 'open' },
    { text: String(run.seed), kind: 'number' },
    number(run.seconds),
    number(run.ok),
    number(run.info),
    number(run.faults),
    { text: run.healMs === null ? '' : `${run.healMs} ms`, kind: 'number' },
  ]);
  const verdict =
    total.withAnomalies > 0
      ? `<span class="banner bad">${total.withAnomalies} runs with anomalies</span>`
      : '<span class="banner good">no anomaly</span>';
  const words =
    `${total.runs} runs, ${(total.seconds / 3_600).toFixed(2)} hours, ` +
    `${total.operations.toLocaleString('en')} operations (${total.ok.toLocaleString('en')} ok, ` +
    `${total.fail.toLocaleString('en')} certainly not done, ${total.info.toLocaleString('en')} open), ` +
    `${total.acknowledgedMessages.toLocaleString('en')} acknowledged messages, ${total.faults} faults`;
  const faults = total.faultsByKind.map(({ row, kind, count, longestMs }): readonly Cell[] => [
    { text: row },
    { text: kind },
    number(count),
    { text: `${longestMs} ms`, kind: 'number' },
  ]);
  return page(
    'Fault suite',
    [
      `<h1>Fault suite</h1><p>${verdict}</p><p class="note">${escaped(words)}</p>`,
      '<h2>Runs</h2>',
      table(
        ['Run', 'Verdict', 'Seed', 'Seconds', 'ok', 'open', 'Faults', 'Back after healing'],
        rows,
      ),
      '<h2>Faults</h2>',
      '<p class="note">A gap counts for every fault that it overlaps.</p>',
      table(['Row', 'Fault', 'Times', 'Longest time without an acknowledged send'], faults),
    ].join('\n'),
  );
}
