/**
 * The door to the broker, as the endpoints see it. The verbs themselves lie in protocol/, where the
 * project's own client can reach them too; the broker layer imports them from here.
 */
import type { NodeId } from '../base/units.ts';
import type { BrokerRequest, BrokerResponse, TopicDescription } from '../protocol/verbs.ts';

export * from '../protocol/verbs.ts';

/** Who asks, and until when. */
export interface CallContext {
  /** On the monotonic clock of this node. */
  readonly deadlineAtMonotonicMs: number;
  /** Aborted when the client has gone away. */
  readonly signal: AbortSignal;
}

/**
 * The one door to the broker on every node: serves here when this node leads, else forwards to the
 * leader, else waits for one until the deadline. Rejects with BrokerError only.
 */
export interface BrokerGateway {
  call(request: BrokerRequest, context: CallContext): Promise<BrokerResponse>;
  /** What this node itself knows, without a leader: routes must be answerable during elections. */
  local: {
    topic(topic: string): TopicDescription | null;
    /** Live nodes of the group, this one first; which of them clients are sent to is not said here. */
    liveNodes(): readonly LiveNode[];
    /** This node is drained or stopping: it serves, and clients should go elsewhere. */
    isLeaving(): boolean;
  };
}

export interface LiveNode {
  readonly nodeId: NodeId;
  readonly grpcAddress: string;
  readonly isLeaving: boolean;
}
