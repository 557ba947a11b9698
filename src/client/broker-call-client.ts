/** Broker.Call on one address: brokers forward with it, the command line sends and inspects with it. */
import { type BrokerCall, brokerServiceDefinition } from '../protocol/verb-codec.ts';
import type { BrokerReply } from '../protocol/verbs.ts';
import { type CallClient, createCallClient } from './call-client.ts';

export { BrokerCallFailure, type CallFailureReason } from './call-client.ts';

export type BrokerCallClient = CallClient<BrokerCall, BrokerReply>;

/** @param address `host:port` of a broker's port for peers and administration */
export function createBrokerCallClient(address: string): BrokerCallClient {
  return createCallClient(address, brokerServiceDefinition().call);
}
