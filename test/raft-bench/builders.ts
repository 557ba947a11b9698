/** Cores in a chosen state, and words to read their effects with. */
import { equal, ok } from 'node:assert/strict';
import { Prng } from '../../src/base/prng.ts';
import { LogIndex, NodeId, PhysicalOffset, Term } from '../../src/base/units.ts';
import {
  type CoreConfig,
  type Effect,
  type EntryDesc,
  type EntryId,
  entrySizeBytes,
  type LoggedMembership,
  logOrigin,
  type Membership,
  type Message,
  type PersistEffect,
  placeEntry,
  RaftCore,
  type SafetyRules,
  SEGMENT_HEADER_SIZE_BYTES,
  type SnapshotDesc,
  standardRules,
} from '../../src/raft/index.ts';
import { benchConfig, benchMember, benchMembership } from './bench.ts';

export const N1 = NodeId('n1');
export const N2 = NodeId('n2');
export const N3 = NodeId('n3');
export const N4 = NodeId('n4');
export const N5 = NodeId('n5');

/** Every entry that the builders make has this payload. */
export const PAYLOAD_SIZE_BYTES = 8;
export const ENTRY_SIZE_BYTES = entrySizeBytes(PAYLOAD_SIZE_BYTES);

export interface CoreOptions {
  readonly voters?: readonly NodeId[];
  /** In place of `voters`. */
  readonly membership?: Membership;
  readonly hasTornTail?: boolean;
  /** What the log stands on; with it comes the membership. */
  readonly base?: SnapshotDesc;
  readonly term?: number;
  readonly votedFor?: NodeId | null;
  /** The term of each entry of the log, from index 1, or from the base on. */
  readonly log?: readonly number[];
  readonly commitIndex?: number;
  readonly appliedIndex?: number;
  readonly config?: Partial<CoreConfig>;
  readonly rules?: SafetyRules;
}

/** `n1`; in term 1 or the term of its last entry, with everything in its log durable. */
export function aCore(options: CoreOptions = {}): RaftCore {
  const log = options.log ?? [];
  const membership = options.membership ?? benchMembership(options.voters ?? [N1, N2, N3]);
  const base = options.base ?? logOrigin(membership);
  const term = Term(options.term ?? log.at(-1) ?? Math.max(1, base.last.term));
  const config = { ...benchConfig(N1), ...options.config };
  const appliedIndex = options.appliedIndex ?? base.last.index;
  const start = {
    hardState: { term, votedFor: options.votedFor ?? null },
    base,
    entries: entriesOf(log, config.segmentSizeBytes, base.last.index),
    memberships: [],
    commitIndex: LogIndex(options.commitIndex ?? appliedIndex),
    appliedIndex: LogIndex(appliedIndex),
    hasTornTail: options.hasTornTail ?? false,
  };
  return new RaftCore(config, start, new Prng(7, 'builder'), options.rules ?? standardRules);
}

/** `n1` leading the term after the one given, its no-op in the log, nothing of it durable yet. */
export function aLeader(options: CoreOptions = {}): { core: RaftCore; effects: readonly Effect[] } {
  const core = aCore(options);
  const { voters, outgoing } = core.status().membership.membership;
  const others = [...new Set([...voters, ...outgoing])].filter((id) => id !== N1);
  let effects: readonly Effect[] = [];
  while (core.status().role === 'follower') effects = core.step({ kind: 'tick' });
  const term = core.status().term + 1;
  for (const peer of others) {
    if (core.status().role === 'candidate') break;
    effects = receive(core, peer, preVoteReply(term, true));
  }
  const voterTerm = core.status().term;
  effects = core.step({ kind: 'persisted', token: thePersist(effects).token });
  for (const peer of others) {
    if (core.status().role === 'leader') break;
    effects = receive(core, peer, { kind: 'voteReply', term: voterTerm, granted: true });
  }
  equal(core.status().role, 'leader');
  return { core, effects };
}

/** @param after index of the entry before the first, which is one of the builders as well */
export function entriesOf(
  terms: readonly number[],
  segmentSizeBytes: number,
  after = 0,
): EntryDesc[] {
  let end = endOffsetOf(after);
  return terms.map((term, i) => {
    const place = placeEntry(end, PAYLOAD_SIZE_BYTES, segmentSizeBytes);
    ok(place.fillerSizeBytes === 0, 'the log of a builder lies in one segment');
    end = PhysicalOffset(place.physicalOffset + place.sizeBytes);
    return {
      index: LogIndex(after + i + 1),
      term: Term(term),
      type: 'data',
      physicalOffset: place.physicalOffset,
      sizeBytes: place.sizeBytes,
      payloadSizeBytes: PAYLOAD_SIZE_BYTES,
      payloadCrc: after + i + 1,
    };
  });
}

/** Where the entry ends, if it and all before it are of the builders. */
export function endOffsetOf(index: number): PhysicalOffset {
  return PhysicalOffset(index === 0 ? 0 : SEGMENT_HEADER_SIZE_BYTES + index * ENTRY_SIZE_BYTES);
}

/** Of entries of the builders. */
export function aSnapshot(
  term: number,
  index: number,
  membership: LoggedMembership = logged(benchMembership([N1, N2, N3])),
): SnapshotDesc {
  return { last: anId(term, index), endOffset: endOffsetOf(index), membership };
}

export function logged(membership: Membership, index = 0): LoggedMembership {
  return { index: LogIndex(index), membership };
}

/** The voters of both sets, who were all there before or are new; a voter never is a learner. */
export function aMembership(options: {
  readonly voters: readonly NodeId[];
  readonly outgoing?: readonly NodeId[];
  readonly learners?: readonly NodeId[];
  readonly priorities?: Readonly<Record<string, number>>;
}): Membership {
  const { voters, outgoing = [], learners = [], priorities = {} } = options;
  const ids = [...new Set([...voters, ...outgoing, ...learners])].sort();
  const members = ids.map((id) => benchMember(id, { priority: priorities[id] ?? 0 }));
  return { members, voters, outgoing, learners, removed: [] };
}

/** An append of the entries of `log` after `prevIndex`. */
export function anAppend(options: {
  readonly term: number;
  readonly log: readonly number[];
  readonly prevIndex: number;
  readonly commitIndex?: number;
}): Extract<Message, { kind: 'appendRequest' }> {
  const entries = entriesOf(options.log, 2 ** 20);
  return {
    kind: 'appendRequest',
    term: Term(options.term),
    prev: anId(options.log[options.prevIndex - 1] ?? 0, options.prevIndex),
    entries: entries.slice(options.prevIndex),
    memberships: [],
    commitIndex: LogIndex(options.commitIndex ?? 0),
  };
}

export function preVoteReply(term: number, granted: boolean, last = anId(0, 0)): Message {
  return { kind: 'preVoteReply', term: Term(term), granted, last, hasTornTail: false };
}

export function heartbeat(term: number, commitIndex = 0, round = 0): Message {
  return { kind: 'heartbeat', term: Term(term), round, commitIndex: LogIndex(commitIndex) };
}

export function heartbeatReply(
  term: number,
  log: { readonly last: number; readonly durable?: number },
  round = 0,
): Message {
  return {
    kind: 'heartbeatReply',
    term: Term(term),
    round,
    lastIndex: LogIndex(log.last),
    durableIndex: LogIndex(log.durable ?? log.last),
    isDiskStalled: false,
  };
}

export function voteRequest(term: number, last: EntryId, isTransfer = false): Message {
  return { kind: 'voteRequest', term: Term(term), last, isTransfer };
}

export function anId(term: number, index: number): EntryId {
  return { term: Term(term), index: LogIndex(index) };
}

export function receive(core: RaftCore, from: NodeId, message: Message): readonly Effect[] {
  return core.step({ kind: 'receive', from, message });
}

export function propose(core: RaftCore, tag = 1, payloadSizeBytes = 8): readonly Effect[] {
  const proposal = { tag, type: 'data', payloadSizeBytes, payloadCrc: tag } as const;
  return core.step({ kind: 'propose', proposals: [proposal] });
}

export function ticks(core: RaftCore, count: number): readonly Effect[] {
  return Array.from({ length: count }, () => core.step({ kind: 'tick' })).flat();
}

/** Messages that leave at once, and those that wait for a write. */
export function sent<K extends Message['kind']>(
  effects: readonly Effect[],
  kind: K,
): { to: NodeId; message: Extract<Message, { kind: K }> }[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'send' || effect.message.kind !== kind) return [];
    return [{ to: effect.to, message: effect.message as Extract<Message, { kind: K }> }];
  });
}

export function waiting<K extends Message['kind']>(
  effects: readonly Effect[],
  kind: K,
): { to: NodeId; message: Extract<Message, { kind: K }> }[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'persist') return [];
    return effect.after
      .filter(({ message }) => message.kind === kind)
      .map(({ to, message }) => ({ to, message: message as Extract<Message, { kind: K }> }));
  });
}

export function thePersist(effects: readonly Effect[]): PersistEffect {
  const persists = effects.filter((effect) => effect.kind === 'persist');
  equal(persists.length, 1, 'one persist');
  return persists[0]!; // counted above
}

export function effectsOf<K extends Effect['kind']>(
  effects: readonly Effect[],
  kind: K,
): Extract<Effect, { kind: K }>[] {
  return effects.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind);
}

export function termsOf(core: RaftCore): number[] {
  const { lastIndex } = core.status();
  return Array.from({ length: lastIndex }, (_, i) => Number(core.termAt(LogIndex(i + 1))));
}
