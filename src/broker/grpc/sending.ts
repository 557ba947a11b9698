/** SendMessage: one answer per message, in order; OK means committed and durable on a majority. */
import { assert } from '../../base/assert.ts';
import type { CallContext, SendReceipt } from '../verbs.ts';
import type { Caller } from './caller.ts';
import type { Environment } from './environment.ts';
import { toOutgoingMessage } from './incoming-message.ts';
import { OK } from './status-codes.ts';
import type { UnaryResponse } from './unary.ts';
import type { SendMessageRequest, Status } from './wire-types.ts';

export interface SendMessageResponse extends UnaryResponse {
  readonly entries: readonly SendResultEntry[];
}

interface SendResultEntry {
  readonly status: Status;
  readonly messageId: string;
  /** RocketMQ answers the message id for every type, and its own client tests look for that. */
  readonly transactionId: string;
  readonly offset: number;
}

export async function sendMessage(
  environment: Environment,
  request: SendMessageRequest,
  caller: Caller,
  context: CallContext,
): Promise<SendMessageResponse> {
  const { clock, gateway, leaveTaking } = environment;
  leaveTaking.turnAway(caller.clientId);
  const nowMs = clock.wallMs();
  const messages = request.messages.map((message) => toOutgoingMessage(message, caller, nowMs));
  const response = await gateway.call({ kind: 'send', messages }, context);
  assert(response.kind === 'sent', 'a send is answered with receipts');
  assert(response.receipts.length === messages.length, 'each message has a receipt');
  return { status: OK, entries: response.receipts.map(toEntry) };
}

function toEntry(receipt: SendReceipt): SendResultEntry {
  return {
    status: OK,
    messageId: receipt.messageId,
    transactionId: receipt.messageId,
    offset: receipt.queueOffset,
  };
}
