/**
 *     node dist/test/jepsen-like/fault-report.js jepsen-runs
 *
 * Puts the numbers of a folder of runs between the marks of docs/fault-report.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { json } from './history/evidence.ts';
import { type RunNumbers, totalOf, writeSummary } from './report/write-summary.ts';

const PAGE = 'docs/fault-report.md';
const BEGIN = '<!-- numbers: begin -->';
const END = '<!-- numbers: end -->';

const folder = process.argv[2] ?? 'jepsen-runs';
writeSummary(folder);
const { runs } = json<{ readonly runs: readonly RunNumbers[] }>(join(folder, 'summary.json'));
const text = readFileSync(PAGE, 'utf8');
const [head = '', rest = ''] = text.split(BEGIN);
const tail = rest.split(END)[1] ?? '';
writeFileSync(PAGE, `${head}${BEGIN}\n\n${numbers(runs)}\n\n${END}${tail}`);

function numbers(all: readonly RunNumbers[]): string {
  const total = totalOf(all);
  const count = (value: number): string => value.toLocaleString('en');
  const share = ((100 * total.info) / Math.max(1, total.operations)).toFixed(2);
  return [
    '| What | How much |',
    '|---|---:|',
    `| Runs (seeds) | ${count(total.runs)} |`,
    `| Runs with an anomaly | ${total.withAnomalies} |`,
    `| Runs in which a search was given up | ${total.undecided} |`,
    `| Hours under test, healing and final reading included | ${(total.seconds / 3_600).toFixed(2)} |`,
    `| Operations checked | ${count(total.operations)} |`,
    `| ... ok | ${count(total.ok)} |`,
    `| ... certainly not done | ${count(total.fail)} |`,
    `| ... outcome open | ${count(total.info)} (${share} %) |`,
    `| Acknowledged messages, each looked for on every disk | ${count(total.acknowledgedMessages)} |`,
    `| Faults injected | ${count(total.faults)} |`,
    `| Faults planned that met another fault, or a machine without the tool | ${count(total.faultsSkipped)} |`,
    '',
    '| Row | Fault | Times | Longest time without an acknowledged send |',
    '|---|---|---:|---:|',
    ...total.faultsByKind.map(
      ({ row, kind, count: times, longestMs }) =>
        `| ${row} | ${kind} | ${count(times)} | ${count(longestMs)} ms |`,
    ),
    '',
    '| Run | Nodes | Seed | Seconds | Operations ok | Faults | Back after healing | Verdict |',
    '|---|---:|---:|---:|---:|---:|---:|---|',
    ...all.map(
      (run) =>
        `| ${run.name} | ${run.nodeCount} | ${run.seed} | ${run.seconds} | ${count(run.ok)} | ${run.faults} | ` +
        `${run.healMs === null ? '' : `${run.healMs} ms`} | ${verdictOf(run)} |`,
    ),
  ].join('\n');
}

function verdictOf({ valid, anomalies }: RunNumbers): string {
  if (valid === 'unknown') return 'undecided';
  return valid ? 'ok' : Object.keys(anomalies).join(', ');
}
