/** What administration needs of the rest of the process, and of the other nodes. */
import type { NodeId } from '../../base/units.ts';
import { createAdminCallClient } from '../../client/admin-client.ts';
import { Connections } from '../../client/connections.ts';
import type { Clock } from '../../io/clock.ts';
import type { AdminCall, AdminReply } from '../../protocol/admin.ts';
import type { Departure } from '../../protocol/admin-report.ts';
import type { RoomReport } from '../../protocol/verbs.ts';
import type { Replica } from '../../replica/replica.ts';

/** The way to the admin service of another node. */
export interface AdminTransport {
  /** One try. Rejects with BrokerCallFailure only: no answer came, and the effect is open. */
  call(address: string, call: AdminCall, signal: AbortSignal): Promise<AdminReply>;
  close(): void;
}

/** What only the process knows of itself. */
export interface NodeFacts {
  readonly version: string;
  /** Of its settings; empty: none. */
  readonly zone: string;
  readonly uptimeMs: number;
  readonly loopDelayMsP99: number | null;
  readonly swapUsedBytes: number | null;
  readonly scrubFinishedAtMs: number | null;
  /** What is being repaired while it follows, in words; empty: nothing. */
  readonly repair: string;
  readonly departure: Departure;
}

/** Long work of one node. Each answers in a sentence; throws AdminError when it cannot be done. */
export interface NodeTasks {
  /** Resolves when the snapshot is durable. */
  takeSnapshot(): Promise<string>;
  /** Resolves when it has begun. */
  scrub(): Promise<string>;
}

export interface AdminOptions {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly transport: AdminTransport;
  /** With whom the group was founded: told to those who join. */
  readonly founders: readonly { readonly nodeId: NodeId; readonly raftAddress: string }[];
  readonly facts: () => NodeFacts;
  readonly diskRoom: () => RoomReport | null;
  readonly tasks: NodeTasks;
  /** Random, for tokens. */
  readonly randomBytes: (count: number) => Uint8Array;
}

/** Keeps a connection to each address it was asked for: those of the members of the group. */
export function createGrpcAdminTransport(): AdminTransport {
  const connections = new Connections(createAdminCallClient);
  return {
    call: (address, call, signal) => connections.to(address).call(call, signal),
    close: () => connections.close(),
  };
}
