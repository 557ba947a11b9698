/**
 * `mq-raft consume`: prints messages and acknowledges each after it is printed, so that what was
 * not printed comes again. Other consumers of the same group share the messages.
 */
import { gunzipSync } from 'node:zlib';
import { type Command, Option } from 'commander';
import { BrokerError, type DeliveredMessage } from '../../protocol/verbs.ts';
import { CliError, usageError } from '../cli-error.ts';
import { Interrupted } from '../environment.ts';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import { type Invocation, parseCount, parseDurationMs, type Run } from '../invocation.ts';
import { messageJson, messageText } from '../render/message.ts';
import { plural } from '../render/text.ts';

const BATCH_SIZE_MAX = 16;
const LONG_POLL_MS = 10_000;
/** Nothing for so long: the topic is taken for empty. */
const EMPTY_AFTER_MS = 1_000;
const INVISIBLE_DEFAULT_MS = 30_000;
/** RocketMQ's default; then a message goes to the dead-letter topic. */
const MAX_ATTEMPTS = 16;
/** A compressed body that grows beyond this is not expanded. */
const BODY_SIZE_BYTES_MAX = 32 * 1024 * 1024;

interface ConsumeOptions {
  readonly group: string;
  readonly max?: number;
  readonly tag?: string;
  readonly untilEmpty?: true;
  readonly invisible: number;
}

export function addConsumeCommand(program: Command, run: Run): Command {
  return program
    .command('consume')
    .description('receive messages, print and acknowledge them')
    .argument('<topic>', 'topic that exists')
    .requiredOption('--group <group>', 'consumer group; one that does not exist is created')
    .option('--max <n>', 'stop after so many', parseCount('--max', 1, Number.MAX_SAFE_INTEGER))
    .option('--tag <expression>', "only these tags: 'paid' or 'paid || refund'")
    .option('--until-empty', 'stop when there is nothing more')
    .addOption(
      new Option('--invisible <duration>', 'an unacknowledged message comes again after this')
        .argParser(parseDurationMs)
        .default(INVISIBLE_DEFAULT_MS, '30s'),
    )
    .addHelpText('after', HELP)
    .action((topic: string, options: ConsumeOptions, command: Command) =>
      run(command, (invocation) => consume(invocation, topic, options)),
    );
}

/** `'*'` and nothing are all messages. */
export function parseTags(expression: string | undefined): readonly string[] {
  if (expression === undefined || expression.trim() === '*') return [];
  const tags = expression.split('||').map((tag) => tag.trim());
  if (tags.some((tag) => tag === '')) {
    throw usageError(`--tag '${expression}' has an empty part`, "for example 'paid || refund'");
  }
  return tags;
}

async function consume(
  invocation: Invocation,
  topic: string,
  options: ConsumeOptions,
): Promise<CliExit> {
  const tags = parseTags(options.tag);
  const max = options.max ?? Number.POSITIVE_INFINITY;
  const { clock } = invocation.environment;
  let lastAtMs = clock.monotonicMs();
  let count = 0;
  try {
    while (count < max) {
      const silentMs = clock.monotonicMs() - lastAtMs;
      const leftMs = invocation.hasTimeout ? invocation.timeoutMs - silentMs : LONG_POLL_MS;
      if (leftMs <= 0) throw outOfTime(invocation, count, options.max);
      const waitMs = Math.min(options.untilEmpty === true ? EMPTY_AFTER_MS : LONG_POLL_MS, leftMs);
      const batchSize = Math.min(BATCH_SIZE_MAX, max - count);
      const asked = { topic, tags, batchSize, waitMs, options };
      const messages = await receive(invocation, asked);
      if (messages.length === 0 && options.untilEmpty === true) break;
      for (const message of messages) {
        await printAndAck(invocation, message, options.group);
        count++;
      }
      if (messages.length > 0) lastAtMs = clock.monotonicMs();
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    invocation.note(summaryText(count, options.group));
    return CLI_EXIT.interrupted;
  }
  invocation.note(summaryText(count, options.group));
  return CLI_EXIT.ok;
}

interface Asked {
  readonly topic: string;
  readonly tags: readonly string[];
  readonly batchSize: number;
  readonly waitMs: number;
  readonly options: ConsumeOptions;
}

async function receive(invocation: Invocation, asked: Asked): Promise<readonly DeliveredMessage[]> {
  const { environment, signal } = invocation;
  const { group, invisible } = asked.options;
  const request = {
    group,
    topic: asked.topic,
    filter: { tags: asked.tags },
    batchSize: asked.batchSize,
    invisibleMs: invisible,
    autoRenew: false,
    waitMs: Math.ceil(asked.waitMs),
    clientId: environment.clientId,
    attemptId: environment.newId(),
  };
  try {
    return await invocation.client().receive(request, { signal });
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'groupNotFound') throw error;
    await invocation.client().groupPut(group, MAX_ATTEMPTS, { signal });
    invocation.note(`group ${group} did not exist and was created`);
    return await invocation.client().receive(request, { signal });
  }
}

async function printAndAck(
  invocation: Invocation,
  message: DeliveredMessage,
  group: string,
): Promise<void> {
  const { output, paint, signal } = invocation;
  const body = expanded(message);
  const isTable = output === 'table';
  const { stdout } = invocation.environment;
  const columns = stdout.isTty ? stdout.columns : null;
  const text = isTable ? messageText(message, body, paint, columns) : messageJson(message, body);
  invocation.print(text);
  const { topic, handle } = message;
  let verdict = 'not acknowledged: it will come again';
  try {
    const [outcome] = await invocation
      .client()
      .ack({ group, topic, handles: [handle] }, { signal });
    if (outcome === 'ok') verdict = 'acked';
    else if (outcome === 'staleHandle') verdict = 'not acked: it was delivered again meanwhile';
    else verdict = 'not acked: the broker does not know the handle';
  } finally {
    if (isTable) invocation.print(`  ${paint(`(${verdict})`, 'dim')}\n`);
    else if (verdict !== 'acked') invocation.note(`${message.messageId} ${verdict}`);
  }
}

function expanded({ body, bodyEncoding }: DeliveredMessage): Uint8Array {
  if (bodyEncoding === 'identity') return body;
  try {
    return gunzipSync(body, { maxOutputLength: BODY_SIZE_BYTES_MAX });
  } catch (error) {
    // Not what its producer said it is, or too large: shown as the bytes it has.
    if (!(error instanceof Error)) throw error;
    return body;
  }
}

function outOfTime(invocation: Invocation, count: number, max: number | undefined): CliError {
  const wanted = max === undefined ? '' : ` of ${max}`;
  return new CliError({
    exit: CLI_EXIT.unknown,
    what: `No more messages within ${invocation.timeoutMs} ms`,
    why: `${plural(count, 'message')}${wanted} received and acknowledged`,
    todo: 'give a longer --timeout, or --until-empty to stop at the end',
  });
}

function summaryText(count: number, group: string): string {
  return `${plural(count, 'message')} consumed by group ${group}`;
}

const HELP = `
Runs until Ctrl-C, --max or --until-empty; with --timeout until no message came
for that long (exit code 6). A terminal shows long bodies cut; a pipe, or
-o json, gets them whole.

Examples:
  mq-raft consume orders --group demo --max 1
  mq-raft consume orders --group audit --tag 'paid || refund' --until-empty
  mq-raft consume orders --group export --until-empty -o json > orders.jsonl`;
