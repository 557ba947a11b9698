/** Gateways that tell clients what they cannot know, or forget what clients have said. */
import {
  createGateway as create,
  type Gateway,
  type GatewayOptions,
} from '../../../src/broker/gateway.ts';
import { BrokerError, type BrokerResponse } from '../../../src/broker/verbs.ts';
import { withOverrides } from '../../stack/planted/with-overrides.ts';

export * from '../../../src/broker/gateway.ts';

const IMPATIENCE_MS = 1_000;
/** As slow as a slave that copies the offsets of its master now and then. */
const ACK_DELAY_MS = 2_500;

export function createGateway(options: GatewayOptions): Gateway {
  const gateway = create(options);
  switch (process.env['MQ_RAFT_CANARY']) {
    case 'timeout-as-failure':
      return impatient(gateway);
    case 'offsets-outside-log':
      return acknowledgesLater(gateway);
    case 'resend-is-new':
      return forgetsIds(gateway);
    default:
      return gateway;
  }
}

/** After a while it says that nothing was done (H29). */
function impatient(gateway: Gateway): Gateway {
  return withOverrides(gateway, {
    call: (request, context) => {
      const answer = gateway.call(request, context);
      if (request.kind !== 'send') return answer;
      return new Promise<BrokerResponse>((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new BrokerError('badRequest', 'Not done in time.'));
        }, IMPATIENCE_MS);
        answer.then(resolve, reject).finally(() => clearTimeout(timer));
      });
    },
  });
}

function acknowledgesLater(gateway: Gateway): Gateway {
  return withOverrides(gateway, {
    call: async (request, context) => {
      if (request.kind !== 'ack') return gateway.call(request, context);
      const late = {
        ...context,
        deadlineAtMonotonicMs: context.deadlineAtMonotonicMs + ACK_DELAY_MS,
      };
      const signal = new AbortController().signal;
      setTimeout(() => {
        // Whether it worked is what this bug does not care about.
        gateway.call(request, { ...late, signal }).catch(() => {});
      }, ACK_DELAY_MS);
      return { kind: 'acked', outcomes: request.handles.map(() => 'ok' as const) };
    },
  });
}

/** Each time the message gets another id on its way in, and its own on its way out. */
function forgetsIds(gateway: Gateway): Gateway {
  let count = 0;
  return withOverrides(gateway, {
    call: async (request, context) => {
      if (request.kind !== 'send') return gateway.call(request, context);
      const messages = request.messages.map((message) => ({
        ...message,
        messageId: `${message.messageId}.${process.pid}.${count++}`,
      }));
      const response = await gateway.call({ ...request, messages }, context);
      if (response.kind !== 'sent') return response;
      const receipts = response.receipts.map((receipt, i) => ({
        ...receipt,
        messageId: request.messages[i]?.messageId ?? receipt.messageId,
      }));
      return { ...response, receipts };
    },
  });
}
