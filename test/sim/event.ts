/** Everything that can happen in the world, and a bounded memory of what happened last. */
import type { LogIndex, NodeId, Term } from '../../src/base/units.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { ClientOp } from './client-script.ts';
import type { CrashMemory, Fault } from './fault-script.ts';
import type { SimNode } from './node.ts';
import type { SnapshotContent } from './state-machine.ts';

export type WorldEvent =
  | { readonly kind: 'tick'; readonly node: SimNode; readonly life: number }
  | {
      readonly kind: 'deliver';
      readonly from: SimNode;
      /** Of the sender, when it sent. */
      readonly life: number;
      readonly to: SimNode;
      readonly message: Message;
      /** Brought back by a replay: it has been delivered, or lost, before. */
      readonly isOld: boolean;
    }
  | { readonly kind: 'persisted'; readonly node: SimNode; readonly life: number }
  | { readonly kind: 'applied'; readonly node: SimNode; readonly life: number }
  | { readonly kind: 'unreachable'; readonly node: SimNode; readonly peer: NodeId }
  /** A snapshot of the node's own state is durable. */
  | {
      readonly kind: 'snapshotTaken';
      readonly node: SimNode;
      readonly life: number;
      readonly content: SnapshotContent;
    }
  /** The last file of a snapshot, and the message to install it. */
  | {
      readonly kind: 'snapshotArrives';
      readonly from: SimNode;
      readonly life: number;
      /** Of the leader, when it began to send. */
      readonly term: Term;
      readonly to: SimNode;
      readonly content: SnapshotContent;
    }
  /** The sender learns how it went; `index` null: it failed. */
  | {
      readonly kind: 'snapshotEnds';
      readonly node: SimNode;
      readonly life: number;
      readonly peer: NodeId;
      readonly index: LogIndex | null;
    }
  | { readonly kind: 'client'; readonly op: ClientOp }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'faultEnd'; readonly fault: Fault }
  /** A pause or a stall of the node may be over. */
  | { readonly kind: 'release'; readonly node: SimNode }
  | { readonly kind: 'restart'; readonly node: SimNode; readonly memory: CrashMemory }
  | { readonly kind: 'chaosEnds' }
  | { readonly kind: 'probe' };

/** The node whose process runs the event; null when it is the world itself. */
export function nodeOf(event: WorldEvent): SimNode | null {
  switch (event.kind) {
    case 'tick':
    case 'persisted':
    case 'applied':
    case 'unreachable':
    case 'snapshotTaken':
    case 'snapshotEnds':
      return event.node;
    case 'deliver':
    case 'snapshotArrives':
      return event.to;
    default:
      return null;
  }
}

interface TraceLine {
  readonly atMs: number;
  readonly event: WorldEvent;
}

const TRACE_COUNT_MAX = 200;

/** A ring of the last events; ticks are left out, they hide the story. */
export class Trace {
  readonly #ring: TraceLine[] = [];
  #next = 0;

  record(atMs: number, event: WorldEvent): void {
    if (event.kind === 'tick') return;
    this.#ring[this.#next] = { atMs, event };
    this.#next = (this.#next + 1) % TRACE_COUNT_MAX;
  }

  lines(): readonly string[] {
    const inOrder = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return inOrder.map(({ atMs, event }) => `${atMs.toFixed(3).padStart(12)} ${format(event)}`);
  }
}

function format(event: WorldEvent): string {
  switch (event.kind) {
    case 'deliver': {
      const old = event.isOld ? 'again ' : '';
      return `${old}${event.from.id} -> ${event.to.id} ${JSON.stringify(event.message)}`;
    }
    case 'tick':
    case 'persisted':
    case 'applied':
    case 'release':
      return `${event.kind} ${event.node.id}`;
    case 'unreachable':
      return `unreachable ${event.node.id} to ${event.peer}`;
    case 'snapshotTaken':
      return `snapshot at ${event.content.desc.last.index} taken by ${event.node.id}`;
    case 'snapshotArrives':
      return `snapshot at ${event.content.desc.last.index}, ${event.from.id} -> ${event.to.id}`;
    case 'snapshotEnds':
      return `${event.node.id} to ${event.peer}: snapshot ${event.index ?? 'failed'}`;
    case 'client':
      return `client ${JSON.stringify(event.op)}`;
    case 'fault':
    case 'faultEnd':
      return `${event.kind} ${JSON.stringify(event.fault)}`;
    case 'restart':
      return `restart ${event.node.id} remembering ${event.memory}`;
    case 'chaosEnds':
    case 'probe':
      return event.kind;
  }
}
