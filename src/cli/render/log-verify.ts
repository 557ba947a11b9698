/** The verdict on a log, as text and as JSON. */
import { unreachable } from '../../base/assert.ts';
import type { Inspection } from '../../store/inspect/inspect-store.ts';
import { jsonLine } from './json.ts';
import { startupJson, startupText } from './log-startup.ts';
import { entryCountText, labelled, sizeText, textOrNull } from './log-words.ts';
import { durationText, type Paint, plural } from './text.ts';

const LABELS_AT = 10;

/** `torn`: nothing that was durable is damaged, and the next start cuts the rest off. */
export type Verdict = 'intact' | 'torn' | 'damaged';

export function verdictOf({ damageCount, rotCount, startup }: Inspection): Verdict {
  if (damageCount === 0) return 'intact';
  const isTorn = rotCount === 0 && startup?.kind === 'opens' && startup.cut.length > 0;
  return isTorn ? 'torn' : 'damaged';
}

export function verifyText(
  inspection: Inspection,
  tookMs: number,
  columns: number,
  paint: Paint,
): string {
  const { segments, messageCount, commandCount, entryCount, checkedBytes } = inspection;
  const { startup, endedAt } = inspection;
  const verdict = verdictOf(inspection);
  const checked = [
    `${sizeText(checkedBytes)} in ${plural(segments.length, 'segment')}`,
    entryCountText(entryCount),
    plural(messageCount, 'message'),
    plural(commandCount, 'command'),
    `${durationText(tookMs)}, ${rateText(checkedBytes, tookMs)}`,
  ];
  const facts: (readonly [string, string])[] = [['checked', checked.join(', ')]];
  if (endedAt !== null) {
    const why = 'the log is being written, so nothing behind it was looked at';
    facts.push(['end', `physical offset ${endedAt}: ${why}`]);
  }
  if (startup !== null) facts.push(['start-up', startupText(startup)]);
  const lines = facts.flatMap(([label, text]) => labelled(label, text, LABELS_AT, columns));
  const last = labelled('verdict', verdictText(inspection, verdict), LABELS_AT, columns);
  const style = verdict === 'intact' ? 'good' : 'bad';
  return `${[...lines, ...last.map((line) => paint(line, style))].join('\n')}\n`;
}

function verdictText(
  { damageCount, rotCount, endedAt, startup }: Inspection,
  verdict: Verdict,
): string {
  const findings = plural(damageCount, 'finding');
  switch (verdict) {
    case 'intact':
      return endedAt === null ? 'intact' : 'intact as far as it was read';
    case 'torn':
      return `TORN: ${findings}, all above the watermark, none of it ever acknowledged by this node`;
    case 'damaged':
      return `DAMAGED: ${findings}, ${rotCount} below the watermark; ${adviceOf(startup)}`;
    default:
      return unreachable(verdict);
  }
}

function adviceOf(startup: Inspection['startup']): string {
  if (startup?.kind === 'opens') return 'nothing that keeps a start from opening it';
  return 'keep the directory as it is, and see that the other replicas are healthy';
}

export function rateText(bytes: number, tookMs: number): string {
  return `${sizeText((bytes * 1000) / Math.max(1, tookMs))}/s`;
}

/** `verifying: 1.20 of 10.0 GiB, 512 MiB/s, 17.2 s left`. */
export function progressText(doneBytes: number, totalBytes: number, tookMs: number): string {
  const parts = [`reading: ${sizeText(doneBytes)} of ${sizeText(totalBytes)}`];
  if (doneBytes > 0 && tookMs > 0) {
    parts.push(rateText(doneBytes, tookMs));
    const leftMs = ((totalBytes - doneBytes) * tookMs) / doneBytes;
    parts.push(`${durationText(Math.max(0, leftMs))} left`);
  }
  return parts.join(', ');
}

export function verifyJson(inspection: Inspection, tookMs: number): string {
  const { startup, last, end } = inspection;
  return jsonLine({
    kind: 'logVerify',
    verdict: verdictOf(inspection),
    damageCount: inspection.damageCount,
    belowWatermarkCount: inspection.rotCount,
    checkedBytes: String(inspection.checkedBytes),
    segmentCount: inspection.segments.length,
    entryCount: String(inspection.entryCount),
    messageCount: String(inspection.messageCount),
    commandCount: String(inspection.commandCount),
    lastIndex: textOrNull(last?.index ?? null),
    end: String(end),
    endedAt: textOrNull(inspection.endedAt),
    startup: startup === null ? null : startupJson(startup),
    tookMs: Math.round(tookMs),
  });
}
