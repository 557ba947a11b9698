/**
 * Calls from node to node as parcels of the test's network. A call to a process that dies fails, one
 * into a cut link gets no answer: the caller's own patience ends it.
 */
import type { NodeId } from '../../src/base/units.ts';
import type { ForwardTransport } from '../../src/broker/forward-transport.ts';
import type { BrokerReply } from '../../src/broker/verbs.ts';
import { BrokerCallFailure } from '../../src/client/broker-call-client.ts';
import type { BrokerCall } from '../../src/protocol/verb-codec.ts';
import { addressOf } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

const SOME_BYTES = new Uint8Array(1);

export class MemoryForwarder implements ForwardTransport {
  readonly #world: StackWorld;
  readonly #self: NodeId;
  #isClosed = false;

  constructor(world: StackWorld, self: NodeId) {
    this.#world = world;
    this.#self = self;
  }

  call(address: string, call: BrokerCall, signal: AbortSignal): Promise<BrokerReply> {
    const { network, nodes } = this.#world;
    const self = this.#self;
    return new Promise((resolve, reject) => {
      const fail = () => {
        if (!this.#isClosed) reject(new BrokerCallFailure('unreachable', 'the connection broke'));
      };
      const target = nodes.find(({ nodeId }) => addressOf(nodeId) === address);
      const there = target?.running ?? null;
      if (signal.aborted || target === undefined || there === null || there.gateway === null) {
        fail();
        return;
      }
      signal.addEventListener('abort', fail, { once: true });
      void there.died.then(fail); // Settles at the latest with the world.
      const { gateway } = there;
      const peer = target.nodeId;
      const answer = (reply: BrokerReply) => {
        if (!there.isAlive) return;
        const deliver = () => {
          if (!this.#isClosed) resolve(reply);
        };
        network.post({ from: peer, to: self, bytes: SOME_BYTES, deliver });
      };
      const deliver = () => {
        if (!there.isAlive) return;
        gateway
          .answer(call, new AbortController().signal)
          .then(answer, (error: unknown) =>
            this.#world.observer.violation('C1', `${peer} failed a forwarded call: ${error}`),
          );
      };
      network.post({ from: self, to: peer, bytes: SOME_BYTES, deliver });
    });
  }

  close(): void {
    this.#isClosed = true;
  }
}
