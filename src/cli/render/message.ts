/** Messages sent and received, as text and as JSON. */
import type { DeliveredMessage, SendReceipt } from '../../protocol/verbs.ts';
import { jsonLine } from './json.ts';
import { durationText, type Paint, plural, printable } from './text.ts';

export const ACKED = '(acked)';
/** A body is cut to no less, also where the line then wraps. */
const BODY_LENGTH_MIN = 32;

export function receiptText(
  topic: string,
  receipt: SendReceipt,
  tookMs: number,
  paint: Paint,
): string {
  const parts = [
    paint('SEND_OK', 'good'),
    paint(placeText(topic, receipt), 'accent'),
    `msgId=${receipt.messageId}`,
    durationText(tookMs),
  ];
  if (receipt.duplicate) parts.push('(seen before: this is the first outcome)');
  return `${parts.join('  ')}\n`;
}

export function receiptJson(topic: string, receipt: SendReceipt, tookMs: number): string {
  return jsonLine({
    kind: 'sent',
    topic,
    messageId: receipt.messageId,
    queueId: receipt.queueId,
    queueOffset: String(receipt.queueOffset),
    physicalOffset: String(receipt.physicalOffset),
    duplicate: receipt.duplicate,
    tookMs: rounded(tookMs),
  });
}

export interface SendSummary {
  readonly topic: string;
  readonly sentCount: number;
  readonly duplicateCount: number;
  /** Refused: surely not stored. */
  readonly refusedCount: number;
  /** No answer in time: stored or not. */
  readonly unknownCount: number;
  readonly tookMs: number;
  /** null: nothing was sent. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly bodySizeBytes: number;
}

export function sendSummaryText(summary: SendSummary, paint: Paint): string {
  const { sentCount, refusedCount, unknownCount, duplicateCount } = summary;
  const perSecond = Math.round((sentCount * 1000) / Math.max(1, summary.tookMs));
  const latency = (ms: number | null): string => (ms === null ? '-' : durationText(ms));
  const failed = (count: number, what: string): string =>
    count === 0 ? `${what} 0` : paint(`${what} ${count}`, 'bad');
  const verdict = sentCount > 0 ? paint('SEND_OK', 'good') : paint('SEND_FAILED', 'bad');
  const lines = [
    `${verdict}  topic=${summary.topic}  ${plural(sentCount, 'message')} of ${plural(summary.bodySizeBytes, 'byte')}`,
    `  ${[
      `${durationText(summary.tookMs)}, ${perSecond}/s`,
      `p50 ${latency(summary.p50Ms)}`,
      `p99 ${latency(summary.p99Ms)}`,
    ].join('  ')}`,
    `  ${failed(refusedCount, 'refused')}  ${failed(unknownCount, 'outcome unknown')}  duplicates ${duplicateCount}`,
  ];
  return `${lines.join('\n')}\n`;
}

export function sendSummaryJson(summary: SendSummary): string {
  return jsonLine({
    kind: 'sendSummary',
    ...summary,
    tookMs: rounded(summary.tookMs),
    p50Ms: summary.p50Ms === null ? null : rounded(summary.p50Ms),
    p99Ms: summary.p99Ms === null ? null : rounded(summary.p99Ms),
  });
}

/**
 * Without the end of the line: whether it was acknowledged follows.
 *
 * @param columns width of the line; null: bodies are shown whole, however long they are
 */
export function messageText(
  message: DeliveredMessage,
  body: Uint8Array,
  paint: Paint,
  columns: number | null,
): string {
  const labels = [
    ...message.keys.map((key) => `key=${printable(key)}`),
    ...(message.tag === null ? [] : [`tag=${printable(message.tag)}`]),
    ...(message.attempt > 1 ? [`attempt=${message.attempt}`] : []),
  ];
  const place = placeText(message.topic, message);
  const rest = [
    new Date(message.bornTimestampMs).toISOString(),
    ...(labels.length > 0 ? [labels.join(' ')] : []),
  ].join('  ');
  const usedLength = [place, rest, '', ACKED].join('  ').length;
  const shown = columns === null ? bodyText(body) : cut(bodyText(body), columns - usedLength, body);
  return [paint(place, 'accent'), rest, shown].join('  ');
}

/** Where a message lies: `topic/queue@offset`. */
function placeText(
  topic: string,
  { queueId, queueOffset }: { readonly queueId: number; readonly queueOffset: number },
): string {
  return `${topic}/${queueId}@${queueOffset}`;
}

/** The beginning of a body, and how long it is. */
function cut(text: string, room: number, { length }: Uint8Array): string {
  if (text.length <= Math.max(room, BODY_LENGTH_MIN)) return text;
  const size = `… (${plural(length, 'byte')})`;
  return `${text.slice(0, Math.max(room, BODY_LENGTH_MIN) - size.length)}${size}`;
}

export function messageJson(message: DeliveredMessage, body: Uint8Array): string {
  const text = decodedUtf8(body);
  return jsonLine({
    kind: 'message',
    topic: message.topic,
    queueId: message.queueId,
    queueOffset: String(message.queueOffset),
    messageId: message.messageId,
    keys: message.keys,
    tag: message.tag,
    properties: message.userProperties,
    attempt: message.attempt,
    bornAt: new Date(message.bornTimestampMs).toISOString(),
    storedAt: new Date(message.storeTimestampMs).toISOString(),
    ...(text === null ? { bodyBase64: Buffer.from(body).toString('base64') } : { body: text }),
  });
}

function bodyText(body: Uint8Array): string {
  const text = decodedUtf8(body);
  return text === null ? `<${body.length} bytes, not text>` : printable(text);
}

/** @returns null when the bytes are not UTF-8. */
function decodedUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return null;
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
