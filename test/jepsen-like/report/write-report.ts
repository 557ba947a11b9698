/** One page for a run: what was done, what was found, and how to do it again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gapsOf, gapsPerFault } from '../checkers/availability.ts';
import type { Verdict } from '../checkers/verdict.ts';
import { EVIDENCE_FILES, type Evidence, json, readEvidence } from '../history/evidence.ts';
import type { Outcome } from '../history/operation.ts';
import type { RunPlan } from '../plan.ts';
import { type Cell, escaped, page, table } from './html.ts';
import {
  axisOf,
  COLORS,
  drawFaults,
  drawLatency,
  drawNodes,
  drawOperations,
  drawThroughput,
} from './plots.ts';

const GAPS_SHOWN = 5;
const SKIPS_SHOWN = 12;

/** Requires that the checkers have left their verdicts. */
export function writeReport(folder: string): void {
  const evidence = readEvidence(folder);
  const verdicts = json<readonly Verdict[]>(join(folder, EVIDENCE_FILES.verdicts));
  writeFileSync(join(folder, EVIDENCE_FILES.report), reportOf(evidence, verdicts));
}

export function reportOf(evidence: Evidence, verdicts: readonly Verdict[]): string {
  const axis = axisOf(evidence);
  const { plan } = evidence;
  const title = `${plan.workloads.join(', ')} under ${faultsOf(plan)}`;
  const parts = [
    `<h1>${escaped(title)}</h1>`,
    `<p>${banner(verdicts)} ${plan.nodeCount} nodes, seed ${plan.seed}${plan.canary === null ? '' : `, with the planted bug <b>${escaped(plan.canary)}</b>`}</p>`,
    verdictTable(verdicts),
    figure('Faults', drawFaults(evidence, axis), 'Those that took place; hover for details.'),
    figure(
      'Nodes',
      drawNodes(evidence, axis),
      legend([
        ['serves as leader', COLORS.leader],
        ['follower', COLORS.follower],
        ['candidate, or a leader that does not serve yet', COLORS.candidate],
        ['no answer', COLORS.down],
      ]),
    ),
    figure(
      'Operations',
      drawOperations(evidence, axis),
      legend([
        ['ok', COLORS.ok],
        ['certainly not done', COLORS.fail],
        ['outcome open', COLORS.info],
      ]),
    ),
    figure('Acknowledged messages per second', drawThroughput(evidence, axis), ''),
    figure('Time of sends', drawLatency(evidence, axis), ''),
    '<h2>Availability</h2>',
    availability(evidence),
    '<h2>The run</h2>',
    facts(evidence),
    skippedFaults(evidence),
  ];
  return page(title, parts.join('\n'));
}

/** By rows; a script has none, and is told by what it does. */
function faultsOf({ rows, schedule }: RunPlan): string {
  const kinds = new Set(schedule.map(({ step }) => step.kind));
  return rows.join(', ') || [...kinds].join(', ') || 'no faults';
}

function banner(verdicts: readonly Verdict[]): string {
  if (verdicts.some(({ valid }) => valid === false)) {
    return '<span class="banner bad">anomalies found</span>';
  }
  if (verdicts.some(({ valid }) => valid === 'unknown')) {
    return '<span class="banner open">not all could be decided</span>';
  }
  return '<span class="banner good">no anomaly</span>';
}

function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ checker, valid, counts, anomalies }): readonly Cell[] => [
    { text: checker },
    valid === true
      ? { text: 'ok', kind: 'good' }
      : valid === false
        ? { text: 'anomaly', kind: 'bad' }
        : { text: 'unknown', kind: 'open' },
    {
      text: Object.entries(counts)
        .map(([name, count]) => `${name} ${count}`)
        .join(', '),
    },
    { text: anomalies.map(({ kind, what }) => `${kind}: ${what}`).join('\n'), kind: 'code' },
  ]);
  return table(['Checker', 'Verdict', 'Looked at', 'Found'], rows);
}

function figure(title: string, drawing: string, caption: string): string {
  if (drawing === '') return '';
  return `<h2>${title}</h2><figure>${drawing}<figcaption>${caption}</figcaption></figure>`;
}

function legend(entries: readonly (readonly [string, string])[]): string {
  const items = entries.map(
    ([text, color]) => `<span><i style="background:${color}"></i>${text}</span>`,
  );
  return `<span class="legend">${items.join('')}</span>`;
}

function availability(evidence: Evidence): string {
  const gaps = gapsOf(evidence).slice(0, GAPS_SHOWN);
  const perFault = gapsPerFault(evidence).map(
    ({ kind, row, count, longestMs }): readonly Cell[] => [
      { text: row },
      { text: kind },
      { text: String(count), kind: 'number' },
      { text: `${longestMs} ms`, kind: 'number' },
    ],
  );
  const words = gaps.map(
    ({ fromMs, toMs }) => `${Math.round(toMs - fromMs)} ms at ${(fromMs / 1_000).toFixed(1)} s`,
  );
  return (
    `<p class="note">Longest times without an acknowledged send: ${words.join(', ') || 'none'}. ` +
    'A gap counts for every fault that it overlaps; several may be at work at once.</p>' +
    table(['Row', 'Fault', 'Times', 'Longest gap'], perFault)
  );
}

function facts({ plan, summary, operations, faults }: Evidence): string {
  const by = (outcome: Outcome): number =>
    operations.filter((each) => each.outcome === outcome).length;
  const isScript = plan.rows.length === 0 && plan.schedule.length > 0;
  const command = [
    `npm run jepsen -- ${isScript ? `--script ${EVIDENCE_FILES.plan}` : `--nemesis ${plan.rows.join(',') || 'none'}`}`,
    `--workload ${plan.workloads.join(',')} --nodes ${plan.nodeCount} --seconds ${plan.seconds} --seed ${plan.seed}`,
    ...(plan.canary === null ? [] : [`--canary ${plan.canary}`]),
    ...(plan.upgradeFrom === null ? [] : ['--upgrade-from DIR']),
  ].join(' ');
  const rows: readonly (readonly [string, string])[] = [
    ['The same schedule again', command],
    ['Operations', `${by('ok')} ok, ${by('fail')} certainly not done, ${by('info')} open`],
    [
      'Faults',
      `${faults.filter(({ skipped }) => skipped === null).length} of ${faults.length} planned`,
    ],
    [
      'First acknowledged send after healing',
      summary.healMs === null ? 'none' : `after ${summary.healMs} ms`,
    ],
    ['Whole run', `${summary.seconds} s, of which ${plan.seconds} s with faults`],
    ['Network', summary.network],
    [
      'Versions',
      Object.entries(summary.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    ['This machine lacks', summary.skippedFeatures.join('; ') || 'nothing'],
  ];
  return table(
    ['', ''],
    rows.map(([name, text]) => [{ text: name }, { text, kind: 'code' }]),
  );
}

function skippedFaults({ faults }: Evidence): string {
  const skipped = faults.filter((fault) => fault.skipped !== null);
  if (skipped.length === 0) return '';
  const rows = skipped
    .slice(0, SKIPS_SHOWN)
    .map(({ row, kind, beginMs, skipped: why }): readonly Cell[] => [
      { text: row },
      { text: kind },
      { text: `${(beginMs / 1_000).toFixed(1)} s`, kind: 'number' },
      { text: why ?? '' },
    ]);
  return `<h2>Planned faults that did not take place: ${skipped.length}</h2>${table(['Row', 'Fault', 'At', 'Why'], rows)}`;
}
