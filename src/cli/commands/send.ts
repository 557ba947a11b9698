/**
 * `mq-raft send`: one message, or many of a kind with a summary. Each message has an id of its own;
 * retries keep it, so that a message is stored once however often it is sent (design, promise 2).
 */
import { createHistogram } from 'node:perf_hooks';
import type { Command } from 'commander';
import { BrokerError, type OutgoingMessage } from '../../protocol/verbs.ts';
import { usageError } from '../cli-error.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import { type Invocation, parseCount, type Run } from '../invocation.ts';
import { Progress } from '../progress.ts';
import {
  receiptJson,
  receiptText,
  type SendSummary,
  sendSummaryJson,
  sendSummaryText,
} from '../render/message.ts';

const COUNT_MAX = 100_000_000;
const IN_FLIGHT_DEFAULT = 64;
const IN_FLIGHT_MAX = 1024;
/** RocketMQ's limit of a message. */
const BODY_SIZE_BYTES_MAX = 4 * 1024 * 1024;
/** Reasons that are told one by one; the rest is in the counts. */
const REASONS_TOLD_MAX = 5;

interface SendOptions {
  readonly key: readonly string[];
  readonly tag?: string;
  readonly property: readonly string[];
  readonly count: number;
  readonly size?: number;
  readonly inFlight: number;
}

export function addSendCommand(program: Command, run: Run): Command {
  return program
    .command('send')
    .description('send a message, or many')
    .argument('<topic>', 'topic that exists')
    .argument('[body]', 'text of the message; may be left out with --size')
    .option('--key <key>', 'index key, may be repeated', collected, [])
    .option('--tag <tag>', 'tag that consumers can filter by')
    .option('--property <name=value>', 'property, may be repeated', collected, [])
    .option('--count <n>', 'how many messages', parseCount('--count', 1, COUNT_MAX), 1)
    .option(
      '--size <bytes>',
      'pad the body to this size',
      parseCount('--size', 1, BODY_SIZE_BYTES_MAX),
    )
    .option(
      '--in-flight <n>',
      'with --count: messages under way at once',
      parseCount('--in-flight', 1, IN_FLIGHT_MAX),
      IN_FLIGHT_DEFAULT,
    )
    .addHelpText('after', HELP)
    .action((topic: string, body: string | undefined, options: SendOptions, command: Command) =>
      run(
        command,
        (invocation) => {
          const message = templateOf(topic, body, options);
          if (options.count === 1) return sendOne(invocation, message);
          return sendMany(invocation, message, options);
        },
        'write',
      ),
    );
}

const collected = (value: string, before: readonly string[]): readonly string[] => [
  ...before,
  value,
];

type Template = Omit<OutgoingMessage, 'messageId' | 'bornTimestampMs'>;

function templateOf(topic: string, text: string | undefined, options: SendOptions): Template {
  return {
    topic,
    body: bodyOf(text, options.size),
    bodyEncoding: 'identity',
    tag: options.tag ?? null,
    keys: options.key,
    userProperties: Object.fromEntries(options.property.map(propertyOf)),
    bornHost: '127.0.0.1:0',
    traceContext: null,
  };
}

function propertyOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw usageError(`--property '${text}' is not name=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function bodyOf(text: string | undefined, sizeBytes: number | undefined): Uint8Array {
  if (text === undefined && sizeBytes === undefined) {
    throw usageError('There is nothing to send', 'give a body, or --size BYTES');
  }
  const given = Buffer.from(text ?? '');
  if (sizeBytes === undefined) return given;
  if (given.length > sizeBytes) {
    throw usageError(`The body has ${given.length} bytes, --size allows ${sizeBytes}`);
  }
  return Buffer.concat([given, Buffer.alloc(sizeBytes - given.length, '.')]);
}

function numbered(template: Template, invocation: Invocation): OutgoingMessage {
  const { environment } = invocation;
  const bornTimestampMs = environment.clock.wallMs();
  return { ...template, messageId: environment.newId(), bornTimestampMs };
}

async function sendOne(invocation: Invocation, template: Template): Promise<CliExit> {
  const { environment, output, paint, signal } = invocation;
  const { clock, stderr } = environment;
  const startedAtMs = clock.monotonicMs();
  const waiting = new Progress(stderr, clock, () => 'waiting for an answer ...');
  const message = numbered(template, invocation);
  const sending = invocation.client().send([message], { signal });
  const [receipt] = await sending.finally(() => waiting.stop());
  if (receipt === undefined) throw new BrokerError('internal', 'The answer has no receipt');
  const tookMs = clock.monotonicMs() - startedAtMs;
  invocation.print(
    output === 'json'
      ? receiptJson(template.topic, receipt, tookMs)
      : receiptText(template.topic, receipt, tookMs, paint),
  );
  return CLI_EXIT.ok;
}

interface Tally {
  sentCount: number;
  duplicateCount: number;
  refusedCount: number;
  unknownCount: number;
}

async function sendMany(
  invocation: Invocation,
  template: Template,
  { count, inFlight }: SendOptions,
): Promise<CliExit> {
  const { environment, output, paint, signal } = invocation;
  const { clock, stderr } = environment;
  const tally: Tally = { sentCount: 0, duplicateCount: 0, refusedCount: 0, unknownCount: 0 };
  const latencyUs = createHistogram();
  const reasons = new Map<string, number>();
  let startedCount = 0;
  const startedAtMs = clock.monotonicMs();
  const progress = new Progress(stderr, clock, () => progressText(tally, count, reasons));
  const sendInTurn = async (): Promise<void> => {
    while (startedCount < count && !signal.aborted) {
      startedCount++;
      const atMs = clock.monotonicMs();
      await sendAndTally(invocation, numbered(template, invocation), tally, reasons);
      latencyUs.record(Math.max(1, Math.round((clock.monotonicMs() - atMs) * 1000)));
    }
  };
  const lanes = Array.from({ length: Math.min(inFlight, count) }, sendInTurn);
  // All lanes end before an error is told: nothing goes on behind the user's back.
  const ends = await Promise.allSettled(lanes);
  progress.stop();
  for (const end of ends) if (end.status === 'rejected' && !signal.aborted) throw end.reason;
  const hasSent = tally.sentCount > 0;
  const summary: SendSummary = {
    topic: template.topic,
    ...tally,
    tookMs: clock.monotonicMs() - startedAtMs,
    p50Ms: hasSent ? latencyUs.percentile(50) / 1000 : null,
    p99Ms: hasSent ? latencyUs.percentile(99) / 1000 : null,
    bodySizeBytes: template.body.length,
  };
  invocation.print(output === 'json' ? sendSummaryJson(summary) : sendSummaryText(summary, paint));
  for (const [reason, times] of [...reasons].slice(0, REASONS_TOLD_MAX)) {
    invocation.note(`${times} x ${reason}`);
  }
  if (signal.aborted) return CLI_EXIT.interrupted;
  if (tally.unknownCount > 0) return CLI_EXIT.unknown;
  return tally.refusedCount > 0 ? CLI_EXIT.refused : CLI_EXIT.ok;
}

/** Rejects with what stops the whole command: the next message would meet it too. */
async function sendAndTally(
  invocation: Invocation,
  message: OutgoingMessage,
  tally: Tally,
  reasons: Map<string, number>,
): Promise<void> {
  try {
    const [receipt] = await invocation.client().send([message], { signal: invocation.signal });
    tally.sentCount++;
    if (receipt?.duplicate === true) tally.duplicateCount++;
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    if (error.code === 'timeout') tally.unknownCount++;
    else if (error.code === 'busy') tally.refusedCount++;
    else throw error;
    reasons.set(error.message, (reasons.get(error.message) ?? 0) + 1);
  }
}

function progressText(tally: Tally, count: number, reasons: ReadonlyMap<string, number>): string {
  const { sentCount, refusedCount, unknownCount } = tally;
  const percent = Math.floor((100 * (sentCount + refusedCount + unknownCount)) / count);
  const troubles = reasons.size > 0 ? `, ${refusedCount + unknownCount} without success` : '';
  return `sent ${sentCount} of ${count} (${percent}%)${troubles}`;
}

const HELP = `
SEND_OK means: on the disks of a majority, and applied. After exit code 6 the
message may or may not be stored: look before sending it again as a new one.
orders/2@7 is the place of a message: topic orders, queue 2, offset 7.

Examples:
  mq-raft send orders "hello" --key A-1 --tag paid
  mq-raft send orders --size 1024 --count 10000
  mq-raft send orders "{}" --property source=shop -o json`;
