/** Gateways that tell clients what they cannot know, or forget what clients have said. */
import {
  createGateway as create,
  type Gateway,
  type GatewayOptions,
} from '../../../src/broker/gateway.ts';
import type { BrokerCall } from '../../../src/protocol/verb-codec.ts';
import type { BrokerReply } from '../../../src/protocol/verbs.ts';
import { withOverrides } from '../../stack/planted/with-overrides.ts';
import { clingsToLeadership } from './clinging-replica.ts';

export * from '../../../src/broker/gateway.ts';

const IMPATIENCE_MS = 1_000;
/** As slow as a slave that copies the offsets of its master now and then. */
const ACK_DELAY_MS = 2_500;

export function createGateway(options: GatewayOptions): Gateway {
  switch (process.env['MQ_RAFT_CANARY']) {
    case 'timeout-as-failure':
      return impatient(create(options));
    case 'offsets-outside-log':
      return acknowledgesLater(create(options));
    case 'resend-is-new':
      return forgetsIds(create(options));
    case 'stale-read':
      return create({ ...options, replica: clingsToLeadership(options.replica) });
    default:
      return create(options);
  }
}

/** The clients of the suite come in over the port for peers and administration: hops counts from there. */
function isFromClient({ hops }: BrokerCall): boolean {
  return hops === 0;
}

/** After a while it says that nothing was done (H29). */
function impatient(gateway: Gateway): Gateway {
  return withOverrides(gateway, {
    answer: (call, signal) => {
      const answer = gateway.answer(call, signal);
      if (call.request.kind !== 'send' || !isFromClient(call)) return answer;
      const failure = {
        kind: 'failure',
        code: 'badRequest',
        message: 'Not done in time.',
      } as const;
      return new Promise<BrokerReply>((resolve, reject) => {
        const timer = setTimeout(() => resolve(failure), IMPATIENCE_MS);
        answer.then(resolve, reject).finally(() => clearTimeout(timer));
      });
    },
  });
}

function acknowledgesLater(gateway: Gateway): Gateway {
  return withOverrides(gateway, {
    answer: async (call, signal) => {
      const { request } = call;
      if (request.kind !== 'ack' || !isFromClient(call)) return gateway.answer(call, signal);
      // Whether it worked is what this bug does not care about.
      setTimeout(() => void gateway.answer(call, new AbortController().signal), ACK_DELAY_MS);
      const outcomes = request.handles.map(() => 'ok' as const);
      return { kind: 'answer', response: { kind: 'acked', outcomes } };
    },
  });
}

/** Each time the message gets another id on its way in, and its own on its way out. */
function forgetsIds(gateway: Gateway): Gateway {
  let count = 0;
  return withOverrides(gateway, {
    answer: async (call, signal) => {
      const { request } = call;
      if (request.kind !== 'send' || !isFromClient(call)) return gateway.answer(call, signal);
      const messages = request.messages.map((message) => ({
        ...message,
        messageId: `${message.messageId}.${process.pid}.${count++}`,
      }));
      const reply = await gateway.answer({ ...call, request: { ...request, messages } }, signal);
      if (reply.kind !== 'answer' || reply.response.kind !== 'sent') return reply;
      const receipts = reply.response.receipts.map((receipt, i) => ({
        ...receipt,
        messageId: request.messages[i]?.messageId ?? receipt.messageId,
      }));
      return { kind: 'answer', response: { ...reply.response, receipts } };
    },
  });
}
