/** The audit trail and the feature levels of a group. */
import type { AdminEvent, EventsReport, FeaturesReport } from '../../protocol/admin-report.ts';
import { jsonLine } from './json.ts';
import { labelled } from './log-words.ts';
import { type Column, cell, type Paint, printable, tableLines, timeText, widthOf } from './text.ts';

const EVENT_COLUMNS: readonly Column[] = [
  { title: '#', align: 'right' },
  { title: 'time', align: 'left' },
  { title: 'who', align: 'left' },
  { title: 'what', align: 'left' },
  { title: 'phase', align: 'left' },
  { title: 'config', align: 'right' },
  { title: 'details', align: 'left' },
];

const DETAILS_AT = 7;

export function eventsText(events: readonly AdminEvent[], columns: number, paint: Paint): string {
  const rows = events.map((event) => [
    cell(event.sequence, 'dim'),
    cell(timeText(event.atMs)),
    cell(printable(event.actor)),
    cell(printable(event.action)),
    cell(printable(event.phase)),
    cell(`#${event.configIndex}`),
    cell(printable(event.details), 'dim'),
  ]);
  const isWide = widthOf(EVENT_COLUMNS, rows) > columns;
  const lines = isWide
    ? events.flatMap((event) => narrowEvent(event, columns, paint))
    : tableLines(EVENT_COLUMNS, rows, paint);
  return `${lines.join('\n')}\n`;
}

/** Where the table is too wide: who and when, and below it what. */
function narrowEvent(event: AdminEvent, columns: number, paint: Paint): readonly string[] {
  const { sequence, atMs, actor, action, phase, configIndex, details } = event;
  const head = `${paint(String(sequence).padStart(4), 'dim')}  ${timeText(atMs)}  ${printable(actor)}`;
  const more = details === '' ? '' : `, ${printable(details)}`;
  const what = `${printable(action)}: ${printable(phase)}, config #${configIndex}${more}`;
  return [head, ...labelled('', what, DETAILS_AT, columns)];
}

/** One line for each: an audit trail is read as a stream. */
export function eventsJson({ events }: EventsReport): string {
  return events.map(eventJson).join('');
}

function eventJson({ atMs, ...event }: AdminEvent): string {
  return jsonLine({
    kind: 'event',
    ...event,
    at: new Date(atMs).toISOString(),
    sequence: String(event.sequence),
    logIndex: String(event.logIndex),
    configIndex: String(event.configIndex),
  });
}

export function featuresText({ level, levelMax, nodes }: FeaturesReport, paint: Paint): string {
  const columns: readonly Column[] = [
    { title: 'node', align: 'left' },
    { title: 'supports', align: 'right' },
    { title: 'version', align: 'left' },
  ];
  const rows = nodes.map((node) => [
    cell(node.nodeId),
    node.levelMax === null ? cell('no answer', 'bad') : cell(node.levelMax),
    cell(node.version),
  ]);
  const possible =
    levelMax > level
      ? `all members support ${levelMax}: raise it with \`mq-raft features --finalize ${levelMax}\``
      : 'the highest that all members support';
  const title = `feature level ${paint(String(level), 'bold')}:\n${possible}`;
  return `${[title, '', ...tableLines(columns, rows, paint)].join('\n')}\n`;
}

export function featuresJson(report: FeaturesReport): string {
  return jsonLine({ kind: 'features', ...report });
}
