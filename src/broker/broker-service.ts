/**
 * Broker.Call on the port for peers and administration: the answering side of forwarding. A client
 * that cancels, or whose connection breaks, cancels what is done for it.
 */
import type {
  ServerUnaryCall,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type BrokerCall, brokerServiceDefinition } from '../protocol/verb-codec.ts';
import type { Gateway } from './gateway.ts';
import type { BrokerReply } from './verbs.ts';

export interface BrokerService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** For `server.addService(definition, implementation)`. */
export function brokerService(gateway: Pick<Gateway, 'answer'>): BrokerService {
  return {
    definition: brokerServiceDefinition(),
    implementation: {
      call: (
        call: ServerUnaryCall<BrokerCall, BrokerReply>,
        callback: sendUnaryData<BrokerReply>,
      ) => {
        const controller = new AbortController();
        call.on('cancelled', () => controller.abort());
        // The gateway turns what a caller can cause into replies; a rejection is a bug and stays
        // unhandled, which ends this program.
        void gateway.answer(call.request, controller.signal).then((reply) => callback(null, reply));
      },
    },
  };
}
