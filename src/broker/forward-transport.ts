/** How calls reach another node: a port, so that the gateway can be tested without a network. */
import { type BrokerCallClient, createBrokerCallClient } from '../client/broker-call-client.ts';
import type { BrokerCall } from '../protocol/verb-codec.ts';
import type { BrokerReply } from './verbs.ts';

export interface ForwardTransport {
  /**
   * One try. Rejects with BrokerCallFailure only: no answer came, and whether the call had an effect
   * is open.
   */
  call(address: string, call: BrokerCall, signal: AbortSignal): Promise<BrokerReply>;
  close(): void;
}

/** Keeps a connection to each address it was asked for: those of the members of the group. */
export function createGrpcForwardTransport(): ForwardTransport {
  const clients = new Map<string, BrokerCallClient>();
  return {
    call: (address, call, signal) => {
      let client = clients.get(address);
      if (client === undefined) {
        client = createBrokerCallClient(address);
        clients.set(address, client);
      }
      return client.call(call, signal);
    },
    close: () => {
      for (const client of clients.values()) client.close();
      clients.clear();
    },
  };
}
