/** Work that one node does for itself, here or on the member that is named. */
import { BrokerCallFailure } from '../../client/broker-call-client.ts';
import type { Clock } from '../../io/clock.ts';
import { type AdminChange, AdminError, NO_OPTIONS } from '../../protocol/admin.ts';
import type { Replica } from '../../replica/replica.ts';
import type { AdminTransport, NodeTasks } from './admin-ports.ts';
import { type GroupView, memberOf } from './group-view.ts';
import { STEP_MS_MAX } from './limits.ts';

export type WorkChange = Extract<AdminChange, { kind: 'snapshot' | 'scrub' }>;

export interface NodeWorkOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly transport: AdminTransport;
  readonly tasks: NodeTasks;
}

export class NodeWork {
  readonly #options: NodeWorkOptions;

  constructor(options: NodeWorkOptions) {
    this.#options = options;
  }

  /** @returns what was done, in words */
  doHere({ kind }: WorkChange): Promise<string> {
    const { tasks } = this.#options;
    return kind === 'snapshot' ? tasks.takeSnapshot() : tasks.scrub();
  }

  async doOn(change: WorkChange, view: GroupView): Promise<string> {
    const { clock, replica, transport } = this.#options;
    if (change.nodeId === view.self) return this.doHere(change);
    const address =
      replica.addressesOf(change.nodeId)?.raft ?? memberOf(view, change.nodeId)?.raftAddress;
    if (address === undefined) {
      throw new AdminError('badRequest', `${change.nodeId} is not a member of this group.`);
    }
    const controller = new AbortController();
    const timer = clock.setTimer(STEP_MS_MAX, () => controller.abort());
    try {
      const call = { remainingMs: STEP_MS_MAX, hops: 1, stale: true, options: NO_OPTIONS };
      const reply = await transport.call(address, { ...call, request: change }, controller.signal);
      if (reply.kind === 'failure') throw new AdminError(reply.code, reply.message);
      if (reply.kind === 'answer' && reply.response.kind === 'changed') {
        return reply.response.sentence;
      }
      throw new AdminError('internal', `${change.nodeId} answered something else.`);
    } catch (error) {
      if (!(error instanceof BrokerCallFailure)) throw error;
      throw new AdminError('timeout', `${error.message}. Whether it has begun is unknown.`, {
        cause: error,
      });
    } finally {
      timer.cancel();
    }
  }
}
