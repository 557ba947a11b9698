/** What a simulated node is made from, and what it needs of the world around it. */
import { type LogIndex, NodeId } from '../../src/base/units.ts';
import type { CoreConfig } from '../../src/raft/core-types.ts';
import type { SnapshotDesc } from '../../src/raft/entry.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { Observers } from './checkers/observers.ts';
import type { SimNode } from './node.ts';
import type { PlantedBugs } from './planted-bugs.ts';
import type { SnapshotContent } from './state-machine.ts';

export interface Host {
  readonly observers: Observers;
  readonly nowMs: number;
  send(from: SimNode, to: NodeId, message: Message): void;
  /** Another persist is first in the node's disk queue. */
  persistQueued(node: SimNode): void;
  /** Committed entries up to `to` wait for the node's state machine. */
  applyQueued(node: SimNode, to: LogIndex): void;
  /** The node's newest snapshot is to be brought to a peer. */
  transferSnapshot(node: SimNode, to: NodeId): void;
  /** The node has begun to write a snapshot; `finishSnapshot` says when it is durable. */
  snapshotBegun(node: SimNode, content: SnapshotContent): void;
}

export interface NodeSetup {
  readonly id: NodeId;
  /** 0-based place in the world. */
  readonly place: number;
  readonly seed: number;
  readonly config: CoreConfig;
  readonly bugs: PlantedBugs;
  /** What an empty directory starts from. */
  readonly origin: SnapshotDesc;
  /** A snapshot is taken when so many entries were applied since the last; 0: never. */
  readonly snapshotEveryCount: number;
}

export function nodeIdAt(place: number): NodeId {
  return NodeId(`n${place + 1}`);
}
