/**
 * What consumers say about a delivery: AckMessage, ChangeInvisibleDuration and
 * ForwardMessageToDeadLetterQueue. Push consumers repeat these for ever until they hear OK or
 * "invalid handle", so a delivery that is no longer theirs is always answered with one of the two.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { AckOutcome, CallContext } from '../verbs.ts';
import type { Caller } from './caller.ts';
import type { Environment } from './environment.ts';
import { storageName } from './resource-names.ts';
import { CODE, OK, overallStatus, StatusError } from './status-codes.ts';
import type { UnaryResponse } from './unary.ts';
import { wireTimeToMs } from './wire-time.ts';
import type {
  AckMessageRequest,
  ChangeInvisibleDurationRequest,
  ForwardToDeadLetterRequest,
  Status,
} from './wire-types.ts';

export interface AckMessageResponse extends UnaryResponse {
  readonly entries: readonly {
    readonly messageId: string;
    readonly receiptHandle: string;
    readonly status: Status;
  }[];
}

export async function ackMessage(
  environment: Environment,
  request: AckMessageRequest,
  caller: Caller,
  context: CallContext,
): Promise<AckMessageResponse> {
  const { entries } = request;
  if (entries.length === 0) {
    throw new StatusError(CODE.badRequest, 'The request holds no receipt handle');
  }
  const response = await environment.gateway.call(
    {
      kind: 'ack',
      group: storageName(request.group, caller.namespace),
      topic: storageName(request.topic, caller.namespace),
      handles: entries.map(({ receiptHandle }) => receiptHandle),
    },
    context,
  );
  assert(response.kind === 'acked', 'an ack is answered with outcomes');
  assert(response.outcomes.length === entries.length, 'each handle has an outcome');
  environment.leaveTaking.settled(caller.clientId, entries.length);
  const statuses = response.outcomes.map(statusOfOutcome);
  return {
    status: overallStatus(statuses),
    entries: entries.map(({ messageId, receiptHandle }, i) => ({
      messageId,
      receiptHandle,
      status: statuses[i]!, // as many as entries, asserted above
    })),
  };
}

function statusOfOutcome(outcome: AckOutcome): Status {
  switch (outcome) {
    case 'ok':
      return OK;
    case 'staleHandle':
      return {
        code: CODE.invalidReceiptHandle,
        message: 'The invisible time ran out and the message was delivered again',
      };
    case 'invalidHandle':
      return {
        code: CODE.invalidReceiptHandle,
        message: 'The receipt handle names no delivery of this topic and group',
      };
    default:
      return unreachable(outcome);
  }
}

export interface ChangeInvisibleDurationResponse extends UnaryResponse {
  /** The old handle is void from now on. */
  readonly receiptHandle: string;
}

export async function changeInvisibleDuration(
  environment: Environment,
  request: ChangeInvisibleDurationRequest,
  caller: Caller,
  context: CallContext,
): Promise<ChangeInvisibleDurationResponse> {
  const duration = request.invisibleDuration;
  const invisibleMs = duration === null ? null : wireTimeToMs(duration);
  if (invisibleMs === null) {
    throw new StatusError(
      CODE.illegalInvisibleTime,
      'The invisible duration is missing or out of range; 0 makes the message visible at once',
    );
  }
  const response = await environment.gateway.call(
    {
      kind: 'changeInvisible',
      group: storageName(request.group, caller.namespace),
      topic: storageName(request.topic, caller.namespace),
      handle: request.receiptHandle,
      invisibleMs,
    },
    context,
  );
  assert(response.kind === 'invisibleChanged', 'a change is answered with a handle');
  return { status: OK, receiptHandle: response.handle };
}

export async function forwardToDeadLetterQueue(
  environment: Environment,
  request: ForwardToDeadLetterRequest,
  caller: Caller,
  context: CallContext,
): Promise<UnaryResponse> {
  const response = await environment.gateway.call(
    {
      kind: 'deadLetter',
      group: storageName(request.group, caller.namespace),
      topic: storageName(request.topic, caller.namespace),
      handle: request.receiptHandle,
      messageId: request.messageId,
    },
    context,
  );
  assert(response.kind === 'deadLettered', 'a dead letter is answered as such');
  environment.leaveTaking.settled(caller.clientId, 1);
  return { status: OK };
}
