/**
 * Administration between nodes, and from operators to a node, as parcels of the test's network. As with
 * forwarded calls, one to a process that dies fails, and one into a cut link gets no answer.
 */
import type { NodeId } from '../../src/base/units.ts';
import type { AdminTransport, NodeFacts, NodeTasks } from '../../src/broker/admin/admin-ports.ts';
import type { AdminCallClient } from '../../src/client/admin-client.ts';
import { BrokerCallFailure, type CallFailureReason } from '../../src/client/call-client.ts';
import type { Clock } from '../../src/io/clock.ts';
import type { AdminCall, AdminReply } from '../../src/protocol/admin.ts';
import {
  decodeAdminCall,
  decodeAdminReply,
  encodeAdminCall,
  encodeAdminReply,
} from '../../src/protocol/admin-codec.ts';
import type { RoomReport } from '../../src/protocol/verbs.ts';
import { addressOf } from './stack-node.ts';
import type { StackWorld } from './stack-world.ts';

const SOME_BYTES = new Uint8Array(1);
const GIB = 2 ** 30;

export const FACTS: NodeFacts = {
  ...{ version: '0.0.0', uptimeMs: 1, loopDelayMsP99: 1, swapUsedBytes: 0 },
  ...{ scrubFinishedAtMs: null, repair: '', zone: '' },
  departure: { state: 'serving', userCount: 0 },
};
export const ROOM: RoomReport = {
  ...{ level: 'ok', totalBytes: 200 * GIB, freeBytes: 100 * GIB, reserveBytes: GIB },
};
export const TASKS: NodeTasks = {
  takeSnapshot: async () => 'a snapshot was taken',
  scrub: async () => 'a scrub has begun',
};
export const SILENT = { info: () => {}, warn: () => {} };

export class AdminLink implements AdminTransport {
  readonly #world: StackWorld;
  readonly #self: NodeId;
  readonly #clock: Clock;
  #isClosed = false;

  constructor(world: StackWorld, self: NodeId, clock: Clock) {
    this.#world = world;
    this.#self = self;
    this.#clock = clock;
  }

  /** As a client of one address. */
  to(address: string): AdminCallClient {
    return {
      call: (call, signal) => this.call(address, call, signal),
      close: () => this.close(),
    };
  }

  call(address: string, call: AdminCall, signal: AbortSignal): Promise<AdminReply> {
    const { network, nodes } = this.#world;
    const self = this.#self;
    return new Promise((resolve, reject) => {
      const end = () => {
        timer.cancel();
        signal.removeEventListener('abort', cancel);
      };
      const fail = (reason: CallFailureReason) => {
        end();
        if (!this.#isClosed) reject(new BrokerCallFailure(reason, `${address} did not answer`));
      };
      const cancel = () => fail('cancelled');
      const timer = this.#clock.setTimer(call.remainingMs, () => fail('timedOut'));
      const target = nodes.find(({ nodeId }) => addressOf(nodeId) === address);
      const there = target?.running ?? null;
      if (signal.aborted || target === undefined || there === null || there.admin === null) {
        fail('unreachable');
        return;
      }
      signal.addEventListener('abort', cancel, { once: true });
      void there.died.then(() => fail('unreachable')); // Settles at the latest with the world.
      const { admin } = there;
      const peer = target.nodeId;
      const asked = decodeAdminCall(encodeAdminCall(call));
      let onReply = (_reply: AdminReply): void => {};
      const answer = (reply: AdminReply) => {
        if (!there.isAlive) return;
        onReply(reply);
        const known = decodeAdminReply(encodeAdminReply(reply));
        const deliver = () => {
          end();
          if (!this.#isClosed) resolve(known);
        };
        network.post({ from: peer, to: self, bytes: SOME_BYTES, deliver });
      };
      const deliver = () => {
        if (!there.isAlive) return;
        onReply = this.#world.group?.onCall(asked) ?? onReply;
        admin
          .answer(asked, new AbortController().signal)
          .then(answer, (error: unknown) =>
            this.#world.observer.violation('C1', `${peer} failed a call: ${textOf(error)}`),
          );
      };
      network.post({ from: self, to: peer, bytes: SOME_BYTES, deliver });
    });
  }

  close(): void {
    this.#isClosed = true;
  }
}

export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
