/** What a bad history is, and what most of them begin with. */
import { LogIndex, type NodeId, Term } from '../../../src/base/units.ts';
import type { Effect } from '../../../src/raft/effects.ts';
import { entriesOf, entryOf, type HandMadeNode, type History, membershipOf } from './hand-made.ts';
import type { InvariantId } from './violation.ts';

export interface BadHistory {
  readonly id: InvariantId;
  readonly name: string;
  readonly nodeCount?: number;
  /** Legal as far as the invariant goes. */
  readonly tell?: (history: History, ...nodes: HandMadeNode[]) => void;
  readonly badMove: (history: History, ...nodes: HandMadeNode[]) => void;
}

export const T1 = entriesOf(1, 1, 1, 1);
export const ROUND = { term: Term(1), round: 1, commitIndex: LogIndex(0) };
const REPLY = { lastIndex: LogIndex(0), durableIndex: LogIndex(0), isDiskStalled: false };

export function heartbeatReply(round: number, isDiskStalled = false) {
  return { kind: 'heartbeatReply', term: Term(1), ...REPLY, round, isDiskStalled } as const;
}

/** All hold the entries durably, n1 leads term 1 and has committed them. */
export function replicated(history: History): void {
  const [leader, ...others] = history.nodes as [HandMadeNode, ...HandMadeNode[]];
  history.lead(leader, 1, T1);
  for (const node of others) history.write(node, { entries: T1 }, { term: Term(1) });
  history.commit(leader, 3);
}

export function config(index: number, term: number, voters: readonly NodeId[], change = {}) {
  const logged = { index: LogIndex(index), membership: membershipOf(voters, change) };
  return { entries: [entryOf(index, term, 'config')], memberships: [logged] };
}

export function confirmed(tag: number, index: number): Effect {
  return { kind: 'readResult', tag, result: 'confirmed', index: LogIndex(index) };
}

export function ticks(
  history: History,
  node: HandMadeNode,
  peer: HandMadeNode,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    history.receive(node, peer, heartbeatReply(i));
    history.step(node, {}, [], { kind: 'tick' });
  }
}

export function peerOf(node: HandMadeNode, change: object) {
  return {
    nodeId: node.id,
    matchIndex: LogIndex(0),
    nextIndex: LogIndex(1),
    state: 'probing' as const,
    lagBytes: 0,
    isLearner: false,
    isActive: true,
    isDiskStalled: false,
    ...change,
  };
}
