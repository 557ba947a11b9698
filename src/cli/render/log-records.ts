/** The records of an entry's payload as text and as JSON: messages by their fields, commands generically. */
import { gunzipSync } from 'node:zlib';
import { CorruptionError } from '../../base/errors.ts';
import { advance, type PhysicalOffset } from '../../base/units.ts';
import type { Command } from '../../protocol/command-record.ts';
import {
  isBodyCompressed,
  keysOf,
  MESSAGE_RECORD_LIMITS,
  messageIdOf,
  type StoredMessage,
  tagOf,
} from '../../protocol/message-record.ts';
import { type LogRecord, recordsOf } from '../../protocol/records.ts';
import { continued, labelled } from './log-words.ts';
import { type Paint, plural, printable } from './text.ts';

export type BodyForm = 'none' | 'text' | 'hex';

/** As far as the payload can be read. */
export interface DecodedRecords {
  readonly records: readonly LogRecord[];
  /** null: all of it. */
  readonly problem: string | null;
}

export function decodedRecords(payload: Uint8Array): DecodedRecords {
  const records: LogRecord[] = [];
  try {
    for (const record of recordsOf(payload)) records.push(record);
    return { records, problem: null };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return { records, problem: error.message };
  }
}

export function topicOf(record: LogRecord): string | null {
  if (record.kind === 'message') return record.message.topic;
  return 'topic' in record.command ? record.command.topic : null;
}

const LABELS_AT = 13;
const HEX_ROW_BYTES = 16;

/** @param payloadOffset where the payload starts in the log */
export function recordText(
  record: LogRecord,
  payloadOffset: PhysicalOffset,
  bodies: BodyForm,
  columns: number,
  paint: Paint,
): string {
  const at = advance(payloadOffset, record.at);
  const lines =
    record.kind === 'message'
      ? messageLines(record.message, at, bodies, columns, paint)
      : commandLines(record.command, at, columns, paint);
  return `${lines.join('\n')}\n`;
}

function messageLines(
  message: StoredMessage,
  at: number,
  bodies: BodyForm,
  columns: number,
  paint: Paint,
): readonly string[] {
  const { topic, queueId, queueOffset, body, sysFlag, reconsumeTimes } = message;
  const labels = [
    ...keysOf(message).map((key) => `key=${printable(key)}`),
    ...(tagOf(message) === null ? [] : [`tag=${printable(tagOf(message) ?? '')}`]),
    ...(reconsumeTimes === 0 ? [] : [`reconsumed=${reconsumeTimes}`]),
    ...(isBodyCompressed(message) ? [`compressed, sysFlag=${sysFlag}`] : []),
  ];
  const place = printable(`${topic}/${queueId}@${queueOffset}`);
  const head = `    message  ${paint(place, 'accent')}`;
  const rest = [`${plural(body.length, 'byte')} at ${at}`, ...labels].join(' ');
  const times = `stored ${timeText(message.storeTimestampMs)}, born ${timeText(message.bornTimestampMs)}`;
  return [
    ...continued({ text: head, width: LABELS_AT + place.length }, rest, LABELS_AT, columns),
    ...labelled('', `id ${printable(messageIdOf(message) ?? 'none')}`, LABELS_AT, columns),
    ...labelled('', times, LABELS_AT, columns),
    ...bodyLines(message, bodies, columns),
  ];
}

function bodyLines(message: StoredMessage, form: BodyForm, columns: number): readonly string[] {
  if (form === 'none') return [];
  if (form === 'hex') return hexLines(message.body);
  const text = bodyText(message);
  const shown =
    text === null ? `<${plural(message.body.length, 'byte')}, not text>` : printable(text);
  const width = Math.max(columns - LABELS_AT, 20);
  const lines: string[] = [];
  for (let at = 0; at < shown.length; at += width) {
    lines.push(' '.repeat(LABELS_AT) + shown.slice(at, at + width));
  }
  return lines;
}

/** Place, 16 bytes, and those of them that are printable: 75 columns. */
function hexLines(body: Uint8Array): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < body.length; at += HEX_ROW_BYTES) {
    const row = body.subarray(at, at + HEX_ROW_BYTES);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = [...row].map((byte) =>
      byte < 0x20 || byte > 0x7e ? '.' : String.fromCharCode(byte),
    );
    const place = at.toString(16).padStart(6, '0');
    lines.push(`    ${place}  ${hex.padEnd(3 * HEX_ROW_BYTES - 1)}  ${text.join('')}`);
  }
  return lines;
}

/** @returns null when the body, decompressed if need be, is not UTF-8. */
function bodyText(message: StoredMessage): string | null {
  try {
    const maxOutputLength = MESSAGE_RECORD_LIMITS.bodySizeBytesMax;
    const { body } = message;
    const plain = isBodyCompressed(message) ? gunzipSync(body, { maxOutputLength }) : body;
    return new TextDecoder('utf-8', { fatal: true }).decode(plain);
  } catch (error) {
    // TypeError: not UTF-8. An Error with a code: not gzip, or beyond the limit.
    if (error instanceof TypeError || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}

function commandLines(
  command: Command,
  at: number,
  columns: number,
  paint: Paint,
): readonly string[] {
  const { kind, ...fields } = command;
  const { scalars, lists } = partsOf(fields);
  const head = `    command  ${paint(kind, 'accent')}`;
  const width = LABELS_AT + kind.length;
  return [
    ...continued({ text: head, width }, `at ${at} ${scalars}`.trim(), LABELS_AT, columns),
    ...lists.flatMap(([name, item]) => itemLines(name, item, LABELS_AT, columns)),
  ];
}

function itemLines(name: string, item: object, indent: number, columns: number): string[] {
  const { scalars, lists } = partsOf(item);
  const label = `${' '.repeat(indent)}${name}: `;
  const own = labelled(label, scalars, label.length, columns);
  return [...own, ...lists.flatMap(([inner, each]) => itemLines(inner, each, indent + 2, columns))];
}

/** Fields with one value as `name=value`, and the members of lists of objects, each with its list's name. */
function partsOf(fields: object): {
  readonly scalars: string;
  readonly lists: readonly (readonly [string, object])[];
} {
  const scalars: string[] = [];
  const lists: (readonly [string, object])[] = [];
  for (const [name, value] of Object.entries(fields) as [string, unknown][]) {
    if (Array.isArray(value) && value.some((item) => typeof item === 'object')) {
      for (const item of value as readonly object[]) lists.push([name, item]);
    } else if (value !== null && value !== '') {
      scalars.push(`${name}=${printable(scalarText(name, value))}`);
    }
  }
  return { scalars: scalars.join(' '), lists };
}

function scalarText(name: string, value: unknown): string {
  return isTime(name) && typeof value === 'number' ? timeText(value) : String(value);
}

/** In commands a wall-clock time is named so; durations are not stored. */
function isTime(name: string): boolean {
  return name === 'atMs' || name.endsWith('AtMs') || name.endsWith('UntilMs');
}

/** A time may be any number that a client or a clock made up. */
const TIME_MS_MAX = 8.64e15;

function timeText(ms: number): string {
  return ms <= TIME_MS_MAX ? new Date(ms).toISOString() : `${ms} ms`;
}

export function recordJson(
  record: LogRecord,
  payloadOffset: PhysicalOffset,
  bodies: BodyForm,
): object {
  const place = {
    kind: record.kind,
    physicalOffset: String(advance(payloadOffset, record.at)),
    sizeBytes: record.sizeBytes,
  };
  if (record.kind === 'command') {
    const { kind, ...fields } = record.command;
    return { ...place, command: kind, fields: jsonValue('', fields) };
  }
  const { message } = record;
  return {
    ...place,
    topic: message.topic,
    queueId: message.queueId,
    queueOffset: String(message.queueOffset),
    saysPhysicalOffset: String(message.physicalOffset),
    messageId: messageIdOf(message),
    keys: keysOf(message),
    tag: tagOf(message),
    flag: message.flag,
    sysFlag: message.sysFlag,
    reconsumeTimes: message.reconsumeTimes,
    bornAtMs: String(message.bornTimestampMs),
    bornHost: message.bornHost,
    storedAtMs: String(message.storeTimestampMs),
    storeHost: message.storeHost,
    properties: Object.fromEntries(message.properties),
    bodySizeBytes: message.body.length,
    ...bodyJson(message, bodies),
  };
}

function bodyJson(message: StoredMessage, form: BodyForm): object {
  if (form === 'none') return {};
  if (form === 'hex') return { bodyHex: Buffer.from(message.body).toString('hex') };
  const text = bodyText(message);
  if (text !== null) return { body: text };
  return { bodyBase64: Buffer.from(message.body).toString('base64') };
}

/** Offsets and times have 64 bits, everything else less. */
function jsonValue(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => jsonValue(name, item));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([inner, each]) => [inner, jsonValue(inner, each)]),
    );
  }
  const isLong = /(Offset|Ms)$/.test(name) && typeof value === 'number';
  return isLong ? String(value) : value;
}
