/**
 * ReceiveMessage: a long poll, answered as a stream of status, messages, delivery timestamp. Which
 * queue the client names does not matter, because some clients always name the first: a poll is
 * served from all queues of the topic.
 *
 * "Nothing found" makes clients poll again at once, so it is never said before the wait is over.
 */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { assert } from '../../base/assert.ts';
import { AUTO_RENEW, CONSUME_LIMITS } from '../limits.ts';
import type { DeliveredMessage, ReceiveRequest, TagFilter } from '../verbs.ts';
import { type PollBudget, pollBudget, remainingMs } from './budgets.ts';
import { type Caller, callerOf } from './caller.ts';
import { toWireMessage } from './delivery.ts';
import type { Environment } from './environment.ts';
import { REQUEST_TIMEOUT_MS_DEFAULT } from './limits.ts';
import { storageName } from './resource-names.ts';
import { CODE, OK, StatusError } from './status-codes.ts';
import { serve, type UnaryResponse } from './unary.ts';
import { FILTER_TYPE } from './wire-enums.ts';
import { msToWireTime, wireTimeToMs } from './wire-time.ts';
import type {
  FilterExpression,
  ReceiveMessageRequest,
  Resource,
  Status,
  WireMessage,
  WireTime,
} from './wire-types.ts';
import { writeAll } from './writing.ts';

/** Content of one element of the stream: exactly one field. */
export type ReceiveMessageResponse =
  | { readonly status: Status }
  | { readonly message: WireMessage }
  | { readonly deliveryTimestamp: WireTime };

export type ReceiveCall = ServerWritableStream<ReceiveMessageRequest, ReceiveMessageResponse>;

export function receiveMessage(environment: Environment): (call: ReceiveCall) => void {
  return (call) => environment.inFlight.track(answerPoll(environment, call));
}

async function answerPoll(environment: Environment, call: ReceiveCall): Promise<void> {
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort());
  const forget = environment.closing.onClose(() => abort.abort());
  const { status, messages, topic, namespace } = await poll(environment, call, abort.signal);
  forget();
  if (call.cancelled) {
    giveBack(environment, call, messages);
    return;
  }
  await writeAll(call, [
    { status },
    ...messages.map((message) => ({ message: toWireMessage(message, topic, namespace) })),
    { deliveryTimestamp: msToWireTime(environment.clock.wallMs()) },
  ]);
  call.end();
}

interface PollResult extends UnaryResponse {
  readonly messages: readonly DeliveredMessage[];
  readonly topic: Resource | null;
  readonly namespace: string;
}

async function poll(
  environment: Environment,
  call: ReceiveCall,
  signal: AbortSignal,
): Promise<PollResult> {
  const topic = call.request.messageQueue?.topic ?? null;
  let messages: readonly DeliveredMessage[] = [];
  let namespace = '';
  const { status } = await serve(environment, 'ReceiveMessage', async () => {
    const caller = callerOf(call);
    namespace = caller.namespace;
    messages = await receiveAsGuest(environment, call, caller, signal);
    return { status: messages.length === 0 ? nothingFound() : OK };
  });
  // A poll that was cut short because this node stops found nothing: the client asks elsewhere.
  const isCut = environment.closing.isClosing && messages.length === 0;
  return { status: isCut ? nothingFound() : status, messages, topic, namespace };
}

async function receiveAsGuest(
  environment: Environment,
  call: ReceiveCall,
  caller: Caller,
  signal: AbortSignal,
): Promise<readonly DeliveredMessage[]> {
  const { clock, gateway, leaveTaking } = environment;
  const end = leaveTaking.begin(caller.clientId);
  try {
    const budget = budgetOf(environment, call, caller);
    const request = toReceiveRequest(call.request, caller, leaveTaking.waitMs(budget.waitMs));
    const deadlineAtMonotonicMs = clock.monotonicMs() + budget.totalMs;
    const response = await gateway.call(request, { deadlineAtMonotonicMs, signal });
    assert(response.kind === 'received', 'a receive is answered with messages');
    leaveTaking.handedOut(caller.clientId, response.messages.length);
    return response.messages;
  } finally {
    end();
  }
}

function nothingFound(): Status {
  return { code: CODE.messageNotFound, message: 'No message is there to be received' };
}

function budgetOf(environment: Environment, call: ReceiveCall, caller: Caller): PollBudget {
  const wanted = call.request.longPollingTimeout;
  const wantedMs = wanted === null ? null : wireTimeToMs(wanted);
  if (wanted !== null && wantedMs === null) {
    throw new StatusError(CODE.illegalPollingTime, 'The long polling timeout is out of range');
  }
  const timeout = environment.clients.settingsOf(caller.clientId)?.requestTimeout ?? null;
  const timeoutMs = timeout === null ? null : wireTimeToMs(timeout);
  return pollBudget(
    wantedMs,
    remainingMs(call.getDeadline(), environment.clock),
    timeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
  );
}

function toReceiveRequest(
  request: ReceiveMessageRequest,
  caller: Caller,
  waitMs: number,
): ReceiveRequest {
  return {
    kind: 'receive',
    group: storageName(request.group, caller.namespace),
    topic: storageName(request.messageQueue?.topic ?? null, caller.namespace),
    filter: tagFilterOf(request.filterExpression),
    batchSize: Math.min(Math.max(request.batchSize, 1), CONSUME_LIMITS.batchSizeMax),
    invisibleMs: request.autoRenew ? AUTO_RENEW.invisibleMs : invisibleMsOf(request),
    autoRenew: request.autoRenew,
    waitMs,
    clientId: caller.clientId,
    attemptId: request.attemptId ?? '',
  };
}

function invisibleMsOf({ invisibleDuration }: ReceiveMessageRequest): number {
  const ms = invisibleDuration === null ? null : wireTimeToMs(invisibleDuration);
  if (ms === null) {
    throw new StatusError(
      CODE.illegalInvisibleTime,
      'The request has no usable invisible duration and does not ask for automatic renewal',
    );
  }
  return ms;
}

/** `a || b`: one of these tags. `*` and nothing: every message. */
export function tagFilterOf(filter: FilterExpression | null): TagFilter {
  if (filter === null) return { tags: [] };
  if (filter.type === FILTER_TYPE.sql) {
    throw new StatusError(
      CODE.illegalFilterExpression,
      'Filters in SQL are not there yet: this release filters by tag',
    );
  }
  const expression = filter.expression.trim();
  if (expression === '' || expression === '*') return { tags: [] };
  const tags = expression
    .split('||')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  if (tags.length === 0) {
    throw new StatusError(
      CODE.illegalFilterExpression,
      `The filter "${expression}" names no tag; write * for every message`,
    );
  }
  return { tags };
}

/** The client left while its messages were on the way: others shall not wait for them. */
function giveBack(
  environment: Environment,
  call: ReceiveCall,
  messages: readonly DeliveredMessage[],
): void {
  if (messages.length === 0) return;
  const { namespace } = callerOf(call);
  const group = storageName(call.request.group, namespace);
  const topic = storageName(call.request.messageQueue?.topic ?? null, namespace);
  for (const { handle } of messages) {
    const request = { kind: 'changeInvisible', group, topic, handle, invisibleMs: 0 } as const;
    environment.background.submit(`handle ${handle}`, request);
  }
}
