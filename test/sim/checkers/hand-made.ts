/**
 * A history told by hand: nodes without cores, of which a test says what they did. All checkers
 * listen; those that a test is not about are muted.
 */
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../../src/base/units.ts';
import type { CoreStart, CoreStatus } from '../../../src/raft/core-types.ts';
import type { Effect, Input, PersistEffect } from '../../../src/raft/effects.ts';
import {
  ENTRY_HEADER_SIZE_BYTES,
  type EntryDesc,
  type EntryType,
  logOrigin,
  type SnapshotDesc,
} from '../../../src/raft/entry.ts';
import {
  foundingMembership,
  type LoggedMembership,
  type Membership,
} from '../../../src/raft/membership.ts';
import type { Envelope, Message } from '../../../src/raft/messages.ts';
import type { SimNode } from '../node.ts';
import { addAllCheckers } from './all-checkers.ts';
import type { DurableView } from './node-view.ts';
import { Switchboard } from './observers.ts';
import { INVARIANTS, type InvariantId, Judge } from './violation.ts';

const SEGMENT_SIZE_BYTES = 2 ** 20;
const FIRST_OFFSET = 4096;

export const LIMITS = {
  segmentSizeBytes: SEGMENT_SIZE_BYTES,
  electionTimeoutTicksMax: 10,
  progressTimeoutTicks: 20,
  appendSizeBytesMax: 1024,
  inflightSizeBytesMax: 2048,
  uncommittedSizeBytesMax: 4096,
  handoverLagBytesMax: 512,
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class HandMadeNode {
  readonly id: NodeId;
  isUp = true;
  status: Mutable<CoreStatus>;
  readonly disk: { image: Mutable<DurableView> };
  /** What the core would say of its log in the end. */
  readonly log: EntryDesc[] = [];
  readonly core = { entryAt: (index: number) => this.log[index - 1] ?? null };

  constructor(id: NodeId, base: SnapshotDesc) {
    this.id = id;
    this.disk = {
      image: {
        hardState: { term: Term(0), votedFor: null },
        base,
        entries: [],
        appliedIndex: LogIndex(0),
      },
    };
    this.status = {
      self: id,
      role: 'follower',
      term: Term(0),
      votedFor: null,
      leader: null,
      baseIndex: base.last.index,
      lastIndex: base.last.index,
      lastTerm: base.last.term,
      durableIndex: base.last.index,
      commitIndex: base.last.index,
      appliedIndex: base.last.index,
      endOffset: base.endOffset,
      membership: base.membership,
      transferTo: null,
      isDiskStalled: false,
      peers: [],
    };
  }

  /** Told where a node of the simulator is expected: checkers know no more of it than NodeView. */
  get asTold(): SimNode {
    return this as unknown as SimNode;
  }
}

export interface Write {
  readonly entries?: readonly EntryDesc[];
  readonly memberships?: readonly LoggedMembership[];
  readonly truncateFrom?: number | null;
  readonly snapshot?: SnapshotDesc | null;
  readonly hardState?: { readonly term: number; readonly votedFor: NodeId | null };
  readonly after?: readonly Envelope[];
  /** Whether the disk has it as well. */
  readonly isDurable?: boolean;
}

export class History {
  readonly board = new Switchboard();
  readonly nodes: readonly HandMadeNode[];
  readonly origin: SnapshotDesc;

  /** @param watched the only invariants that may speak */
  constructor(watched: readonly InvariantId[], nodeCount = 3) {
    const ids = Array.from({ length: nodeCount }, (_, i) => NodeId(`n${i + 1}`));
    this.origin = logOrigin(membershipOf(ids));
    this.nodes = ids.map((id) => new HandMadeNode(id, this.origin));
    const muted = (Object.keys(INVARIANTS) as InvariantId[]).filter((id) => !watched.includes(id));
    addAllCheckers(this.board, {
      judge: new Judge(muted),
      nodes: this.nodes.map((node) => node.asTold),
      limits: LIMITS,
    });
    for (const node of this.nodes) this.start(node);
  }

  start(node: HandMadeNode, start: Partial<CoreStart> = {}): void {
    this.board.started(node.asTold, {
      hardState: node.disk.image.hardState,
      base: node.disk.image.base,
      entries: [],
      memberships: [],
      commitIndex: LogIndex(0),
      appliedIndex: LogIndex(0),
      hasTornTail: false,
      ...start,
    });
  }

  /** One step: its effects are carried out, then the node's status is `change` richer. */
  step(
    node: HandMadeNode,
    change: Partial<CoreStatus>,
    effects: readonly Effect[] = [],
    input: Input = { kind: 'resumed' },
  ): void {
    const before = { ...node.status };
    for (const effect of effects) {
      this.board.emitted(node.asTold, effect);
      if (effect.kind === 'persist') this.board.persisting(node.asTold, effect, before);
      if (effect.kind === 'send') this.board.released(node.asTold, effect.to, effect.message);
    }
    const after = { ...before, ...change };
    node.status = after;
    if (after.membership.index !== before.membership.index) {
      this.board.membershipChanged(node.asTold, after.membership);
    }
    this.board.stepped({ node: node.asTold, input, effects, before, after });
  }

  /** A step that writes; what the node says of its log follows from it. */
  write(node: HandMadeNode, write: Write, change: Partial<CoreStatus> = {}): void {
    const { entries = [], truncateFrom = null, snapshot = null, memberships = [] } = write;
    const { image } = node.disk;
    if (snapshot !== null) node.log.length = 0;
    if (truncateFrom !== null) node.log.length = truncateFrom - 1;
    node.log.push(...entries);
    if (write.isDurable !== false) {
      if (snapshot !== null) image.base = snapshot;
      image.entries = [...node.log];
      if (write.hardState !== undefined) image.hardState = hardStateOf(write);
    }
    const last = node.log.at(-1) ?? snapshot?.last ?? node.status.membership;
    const membership = memberships.at(-1) ?? snapshot?.membership ?? node.status.membership;
    const lastTerm = node.log.at(-1)?.term ?? snapshot?.last.term ?? node.status.lastTerm;
    const durableIndex = LogIndex(image.base.last.index + image.entries.length);
    const told = { lastIndex: last.index, lastTerm, durableIndex, membership };
    this.step(node, { ...told, ...change }, [persistOf(write)]);
  }

  /** The node leads the term, its vote durable, with these entries after what it has. */
  lead(node: HandMadeNode, term: number, entries: readonly EntryDesc[] = []): void {
    const hardState = { term: Term(term), votedFor: node.id };
    node.disk.image.hardState = hardState;
    const change = { role: 'leader', term: Term(term), leader: node.id } as const;
    this.write(node, { entries, hardState }, change);
  }

  receive(
    node: HandMadeNode,
    from: HandMadeNode,
    message: Message,
    change: Partial<CoreStatus> = {},
    effects: readonly Effect[] = [],
  ): void {
    this.step(node, change, effects, { kind: 'receive', from: from.id, message });
  }

  commit(node: HandMadeNode, index: number): void {
    this.step(node, { commitIndex: LogIndex(index) });
  }
}

export function membershipOf(
  voters: readonly NodeId[],
  change: Partial<Membership> = {},
): Membership {
  const sets = [voters, change.outgoing ?? [], change.learners ?? []].flat();
  const members = [...new Set(sets)].map((nodeId) => ({ nodeId, raftAddress: `${nodeId}:1` }));
  return { ...foundingMembership(members), voters, ...change };
}

/** Entries of 80 bytes each, from `first` on, one per given term. */
export function entriesOf(first: number, ...terms: readonly number[]): EntryDesc[] {
  return terms.map((term, i) => entryOf(first + i, term, 'data', (first + i) * 100 + term));
}

export function entryOf(index: number, term: number, type: EntryType, payloadCrc = 0): EntryDesc {
  const sizeBytes = ENTRY_HEADER_SIZE_BYTES + 16;
  return {
    index: LogIndex(index),
    term: Term(term),
    type,
    physicalOffset: PhysicalOffset(FIRST_OFFSET + (index - 1) * sizeBytes),
    sizeBytes,
    payloadSizeBytes: 16,
    payloadCrc,
  };
}

export function snapshotOf(
  index: number,
  term: number,
  membership: LoggedMembership,
): SnapshotDesc {
  const { physicalOffset, sizeBytes } = entryOf(index, term, 'data');
  return {
    last: { index: LogIndex(index), term: Term(term) },
    endOffset: PhysicalOffset(physicalOffset + sizeBytes),
    membership,
  };
}

export function sendTo(to: HandMadeNode, message: Message): Effect {
  return { kind: 'send', to: to.id, message };
}

function hardStateOf({ hardState }: Write): PersistEffect['hardState'] & object {
  const { term, votedFor } = hardState ?? { term: 0, votedFor: null };
  return { term: Term(term), votedFor };
}

function persistOf(write: Write): PersistEffect {
  const { entries = [], memberships = [], truncateFrom = null, snapshot = null } = write;
  return {
    kind: 'persist',
    token: 1,
    hardState: write.hardState === undefined ? null : hardStateOf(write),
    snapshot,
    truncateFrom: truncateFrom === null ? null : LogIndex(truncateFrom),
    entries,
    memberships,
    after: write.after ?? [],
  };
}
